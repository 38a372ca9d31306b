"""The query parameters of every verb as typed options: parsed once, checked as upstream checks them.

Follows metav1's *Options, their conversion from url.Values and apimachinery's validation of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import orjson

from kubetree.api.errors import BadRequest, Cause, Invalid, invalid, quoted
from kubetree.apiserver.wire.request_info import Query, first, truthy

EXACT, NOT_OLDER_THAN = "Exact", "NotOlderThan"
_MAX_MANAGER = 128
_POLICIES = ("Foreground", "Background", "Orphan")


_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")


def _integer(query: Query, key: str) -> int:
    text = first(query, key)
    if not text:
        return 0
    if not _INTEGER.fullmatch(text):
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if not -(1 << 63) <= int(text) < 1 << 63:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def _invalid(kind: str, causes: list[Cause]) -> Invalid:
    return invalid(kind, "meta.k8s.io", "", causes)


def _forbidden(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", field)


def _not_supported(field: str, value: str, allowed: tuple[str, ...]) -> Cause:
    choices = ", ".join(f'"{a}"' for a in allowed)
    return Cause("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {choices}', field)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """metav1.ListOptions, read and checked."""

    label_selector: str = ""
    field_selector: str = ""
    watch: bool = False
    bookmarks: bool = False
    resource_version: str = ""
    match: str = ""
    timeout: int = 0
    limit: int = 0
    continue_: str = ""
    send_initial_events: bool | None = None


_NO_LIST_OPTIONS = ListOptions()


def list_options(query: Query, *, watch: bool | None = None, watch_list: bool = True) -> ListOptions:
    """`watch_list`: a watch may ask for initial events, the gate WatchList. Raises BadRequest for unreadable values and Invalid for combinations that upstream refuses."""
    if not query and not watch:
        return _NO_LIST_OPTIONS
    initial = query.get("sendInitialEvents")
    watching = truthy(query.get("watch")) if watch is None else watch
    found = ListOptions(
        label_selector=first(query, "labelSelector"),
        field_selector=first(query, "fieldSelector"),
        watch=watching,
        bookmarks=truthy(query.get("allowWatchBookmarks")),
        resource_version=first(query, "resourceVersion"),
        match=first(query, "resourceVersionMatch"),
        timeout=_integer(query, "timeoutSeconds"),
        limit=max(0, _integer(query, "limit")),
        continue_=first(query, "continue"),
        send_initial_events=truthy(initial) if initial and initial[0] else None,
    )
    if watching and found.send_initial_events is None and found.resource_version in ("", "0") and not found.match:
        found = replace(found, send_initial_events=True, match=NOT_OLDER_THAN)  # how watches began before they could ask for it
    causes = _watch_causes(found, may_ask=watch_list or initial is None) if watching else _list_causes(found)
    if causes:
        raise _invalid("ListOptions", causes)
    return found


def _list_causes(o: ListOptions) -> list[Cause]:
    causes = []
    if o.match:
        field = "resourceVersionMatch"
        if not o.resource_version:
            causes.append(_forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if o.continue_:
            causes.append(_forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
        if o.match not in (EXACT, NOT_OLDER_THAN):
            causes.append(_not_supported(field, o.match, (EXACT, NOT_OLDER_THAN, "")))
        if o.match == EXACT and o.resource_version == "0":
            causes.append(_forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if o.send_initial_events is not None:
        causes.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return causes


def _watch_causes(o: ListOptions, *, may_ask: bool) -> list[Cause]:
    causes, field = [], "resourceVersionMatch"
    if o.send_initial_events is not None and o.match != NOT_OLDER_THAN:
        causes.append(_forbidden(field, f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER_THAN}"))
    if o.send_initial_events is not None and not may_ask:
        why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        causes.append(_forbidden("sendInitialEvents", why))
    if o.match:
        if o.send_initial_events is None:
            causes.append(_forbidden(field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
        if o.match != NOT_OLDER_THAN:
            causes.append(_not_supported(field, o.match, (NOT_OLDER_THAN,)))
        if o.continue_:
            causes.append(_forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
    return causes


def revision_of(text: str) -> int:
    """A resourceVersion parameter. Raises Invalid, worded as upstream's storage layer does."""
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        detail = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        cause = Cause("FieldValueInvalid", f'Invalid value: "{text}": {detail}', "resourceVersion")
        raise BadRequest(f'resourceVersion: Invalid value: "{text}": {detail}', causes=[cause])
    return int(text)


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """CreateOptions, UpdateOptions and PatchOptions. `manager` is already resolved against the User-Agent; `given_manager` and
    `given_validation` are what the client itself said, '' for nothing."""

    dry_run: bool = False
    manager: str = ""
    validation: str = "Warn"
    force: bool | None = None
    given_manager: str = ""
    given_validation: str = ""

    def to_dict(self, kind: str) -> dict[str, Any]:
        """As admission sees them."""
        found: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
        if self.dry_run:
            found["dryRun"] = ["All"]
        if self.given_manager:
            found["fieldManager"] = self.given_manager
        if self.given_validation:
            found["fieldValidation"] = self.given_validation
        return found


def write_options(query: Query, user_agent: str, kind: str, *, apply: bool = False) -> WriteOptions:
    """`kind` is CreateOptions, UpdateOptions or PatchOptions. Raises Invalid as upstream."""
    if not query and not apply:
        return WriteOptions(manager=manager_of_agent(user_agent))
    causes: list[Cause] = []
    force = truthy(query["force"]) if query.get("force") else None
    manager = first(query, "fieldManager")
    if kind == "PatchOptions":
        if apply and not manager:
            causes.append(Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager"))
        if not apply and force is not None:
            causes.append(_forbidden("force", "may not be specified for non-apply patch"))
    causes += _manager_causes(manager)
    causes += _dry_run_causes(query.get("dryRun"))
    validation = first(query, "fieldValidation")
    if validation not in ("", "Ignore", "Warn", "Strict"):
        causes.append(_not_supported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    if causes:
        raise _invalid(kind, causes)
    resolved = manager or manager_of_agent(user_agent)
    return WriteOptions(bool(query.get("dryRun")), resolved, validation or "Warn", force, manager, validation)


def _manager_causes(manager: str) -> list[Cause]:
    causes = []
    if len(manager.encode()) > _MAX_MANAGER:
        causes.append(Cause("FieldValueTooLong", f"Too long: may not be more than {_MAX_MANAGER} bytes", "fieldManager"))
    for i, char in enumerate(manager):
        if not char.isprintable():
            detail = f"invalid character U+{ord(char):04X} (at position {i})"
            causes.append(Cause("FieldValueInvalid", f"Invalid value: {quoted(manager)}: {detail}", "fieldManager"))
    return causes


def _dry_run_causes(values: list[str] | None) -> list[Cause]:
    bad = [v for v in values or () if v != "All"]
    if not bad:
        return []
    listed = orjson.dumps(values).decode().replace(",", ", ")
    return [Cause("FieldValueNotSupported", f'Unsupported value: {listed}: supported values: "All"', "dryRun")]


def manager_of_agent(user_agent: str) -> str:
    """The default field manager: the User-Agent up to its first slash, printable, at most 128 bytes."""
    name = user_agent.partition("/")[0]
    if name.isascii() and name.isprintable() and len(name) <= _MAX_MANAGER:
        return name
    kept, size = [], 0
    for char in name:
        if not char.isprintable():
            continue
        size += len(char.encode())
        if size > _MAX_MANAGER:
            break
        kept.append(char)
    return "".join(kept)


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """None: not given."""

    grace_period: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    orphan: bool | None = None
    policy: str | None = None
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
        if self.grace_period is not None:
            found["gracePeriodSeconds"] = self.grace_period
        if self.policy is not None:
            found["propagationPolicy"] = self.policy
        if self.orphan is not None:
            found["orphanDependents"] = self.orphan
        preconditions = {k: v for k, v in (("uid", self.uid), ("resourceVersion", self.resource_version)) if v is not None}
        if preconditions:
            found["preconditions"] = preconditions
        if self.dry_run:
            found["dryRun"] = ["All"]
        return found


def delete_options(query: Query, body: dict[str, Any] | None) -> DeleteOptions:
    """From the body when there is one, else from the query. Raises BadRequest and Invalid."""
    if body is None:
        if not query:
            return DeleteOptions()
        body = {}
        if first(query, "gracePeriodSeconds"):
            body["gracePeriodSeconds"] = _integer(query, "gracePeriodSeconds")
        if first(query, "propagationPolicy"):
            body["propagationPolicy"] = first(query, "propagationPolicy")
        if query.get("orphanDependents"):
            body["orphanDependents"] = truthy(query["orphanDependents"])
        if query.get("dryRun"):
            body["dryRun"] = list(query["dryRun"])
    policy, orphan = body.get("propagationPolicy"), body.get("orphanDependents")
    causes = []
    if policy is not None and orphan is not None:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{policy}": {detail}', "propagationPolicy"))
    if policy is not None and policy not in _POLICIES:
        causes.append(_not_supported("propagationPolicy", policy, (*_POLICIES, "nil")))
    causes += _dry_run_causes(body.get("dryRun"))
    if causes:
        raise _invalid("DeleteOptions", causes)
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        body.get("gracePeriodSeconds"),
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
        orphan,
        policy,
        bool(body.get("dryRun")),
    )
