"""Who should hold a lease, of those who say that they could: a pure function of the candidates, the lease and the time.

Follows pkg/controlplane/controller/leaderelection: an election begins with a ping, which candidates answer by renewing; of those who did, the
one of the oldest emulation version is given the lease, or is named as the one to whom its holder should give way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.cel.functions.semver import SemverValue, parse
from kubetree.api.times import format_micro_time, parse_time
from kubetree.api.validation.lease_candidates import OLDEST
from kubetree.apiserver.identity_lease import expired

Object = dict[str, Any]
ELECTION, VALID = timedelta(seconds=5), timedelta(minutes=30)
DURATION = 5
"""Seconds a lease is given for."""


@dataclass(frozen=True, slots=True)
class Ping:
    """These are to say that they are there."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Elected:
    """`holder` is '' where the strategy is one that others follow."""

    strategy: str
    holder: str


class Disagreement(ValueError):
    """Candidates of one version want different strategies, or none answered."""


def gone(candidate: Object, now: datetime) -> bool:
    """It has not said for half an hour that it is there, or never."""
    renewed = _time(candidate, "renewTime")
    return renewed is None or renewed + VALID < now


def election(candidates: Sequence[Object], lease: Object | None, now: datetime) -> Ping | Elected | None:
    """What to do next about a lease, None: nothing for now. `candidates` are not gone. Raises Disagreement."""
    if not candidates or not _needed(candidates, lease, now):
        return None
    pinged, waits = [], False
    for candidate in candidates:
        ping, renewed = _time(candidate, "pingTime"), _time(candidate, "renewTime")
        answered = ping is None or (renewed is not None and renewed >= ping)
        if not answered and ping is not None and ping + ELECTION > now:
            waits = True
        elif (renewed is None or renewed + ELECTION <= now) and (ping is None or (ping + ELECTION < now and answered)):
            pinged.append(candidate["metadata"]["name"])
    if pinged or waits:
        return Ping(tuple(pinged))
    there = [each for each in candidates if (renewed := _time(each, "renewTime")) is not None and renewed + ELECTION > now]
    if not there:
        raise Disagreement("no available candidates")
    wanted = strategy(there)
    if wanted != OLDEST:
        return Elected(wanted, "")
    best = oldest(there)
    if best is None:
        raise Disagreement("no candidate has versions that can be read")
    return Elected(wanted, best["metadata"]["name"])


def _needed(candidates: Sequence[Object], lease: Object | None, now: datetime) -> bool:
    if lease is None or expired(lease, now):
        return True
    holder = lease["spec"].get("holderIdentity")
    if not holder:
        return True
    if any((renewed := _time(each, "renewTime")) is not None and renewed + VALID / 2 < now for each in candidates):
        return True
    if strategy(candidates) != OLDEST:
        return False
    best = oldest(candidates)
    return best is not None and best["metadata"]["name"] != holder


def strategy(candidates: Sequence[Object]) -> str:
    """That of the newest binary. Raises Disagreement."""
    first, *others = candidates
    highest, wanted, name = _version(first, "binaryVersion"), _strategy(first), first["metadata"]["name"]
    for candidate in others:
        version = _version(candidate, "binaryVersion")
        if version.key > highest.key:
            highest, wanted, name = version, _strategy(candidate), candidate["metadata"]["name"]
        elif version.key == highest.key and _strategy(candidate) != wanted:
            named, given = f'"{name}", "{candidate["metadata"]["name"]}"', f"{wanted}, {_strategy(candidate)}"
            raise Disagreement(f"candidates {named} at same binary version but received differing strategies {given}")
    return wanted


def oldest(candidates: Sequence[Object]) -> Object | None:
    """Of the oldest emulation version, then binary version, then age."""
    able = [each for each in candidates if all(_readable(each, field) for field in ("emulationVersion", "binaryVersion"))]
    return min(
        able,
        key=lambda each: (
            _version(each, "emulationVersion").key,
            _version(each, "binaryVersion").key,
            each["metadata"].get("creationTimestamp") or "",
        ),
        default=None,
    )


def with_elected(lease: Object, elected: Elected, now: datetime) -> Object | None:
    """The lease as it should stand, None when it does. A holder that still renews keeps it, and learns who is preferred."""
    spec = {**(lease.get("spec") or {})}
    holder = spec.get("holderIdentity") or ""
    spec["strategy"] = elected.strategy
    if elected.holder and (not holder or (holder != elected.holder and expired(lease, now))):
        for field in ("preferredHolder", "acquireTime"):
            spec.pop(field, None)
        spec |= _held(elected.holder, now)
    elif elected.holder and holder != elected.holder:
        spec["preferredHolder"] = elected.holder
    return {**lease, "spec": spec} if spec != lease.get("spec") else None


def new_lease(namespace: str, name: str, elected: Elected, now: datetime) -> Object:
    spec = {"strategy": elected.strategy, **_held(elected.holder, now)}
    return {"metadata": {"namespace": namespace, "name": name}, "spec": spec}


def _held(holder: str, now: datetime) -> Object:
    named = {"holderIdentity": holder} if holder else {}
    return {**named, "leaseDurationSeconds": DURATION, "renewTime": format_micro_time(now)}


def _strategy(candidate: Object) -> str:
    return str(candidate["spec"].get("strategy") or "")


def _time(candidate: Object, field: str) -> datetime | None:
    text = (candidate.get("spec") or {}).get(field)
    return parse_time(text) if text else None


def _readable(candidate: Object, field: str) -> bool:
    try:
        parse(candidate["spec"].get(field) or "")
    except ValueError:
        return False
    return True


def _version(candidate: Object, field: str) -> SemverValue:
    """0.0.0 where it cannot be read."""
    return parse(candidate["spec"][field]) if _readable(candidate, field) else SemverValue((0, 0, 0), [])
