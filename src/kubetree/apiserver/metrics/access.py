"""Who was made out and what they were allowed, counted under upstream's metric names; and how configuration files were taken up.

Names of users never become labels: what is not one of a few known names counts as `other`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping

from kubetree.apiserver.metrics.exposition import Histogram, family, heading, labelled

_ATTEMPT_EDGES = tuple(0.001 * 2**i for i in range(15))
_FILTER_EDGES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 5.0, 10.0, 15.0, 30.0)
_EDGES = tuple(sorted({*_ATTEMPT_EDGES, *_FILTER_EDGES}))
"""One measurement serves both families."""
_FILTER, _FILTERED = (
    "apiserver_request_filter_duration_seconds",
    "[ALPHA] Request filter latency distribution in seconds, for each filter type",
)
_KNOWN = frozenset({"admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"})
_USER = "[ALPHA] Counter of authenticated requests broken out by username."
_ATTEMPTS = {
    "authentication": ("[ALPHA] Counter of authenticated attempts.", "[ALPHA] Authentication duration in seconds broken out by result."),
    "authorization": (
        "[ALPHA] Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', 'no-opinion' or 'error'.",
        "[ALPHA] Authorization duration in seconds broken out by result.",
    ),
}
_DECISIONS = "[ALPHA] Total number of terminal decisions made by an authorizer split by authorizer type, name, and decision."
_RELOADS = "[ALPHA] Total number of automatic reloads of {} configuration split by status and apiserver identity."
_LAST = "[ALPHA] Timestamp of the last automatic reload of {} configuration split by status and apiserver identity."
_INFO = "[ALPHA] Information about the last applied {} configuration with hash as label, split by apiserver identity."

Decisions = Mapping[tuple[str, str, str], int]
"""Decision, name and type of an authorizer: how often."""


class Attempts:
    """By their result: how many, how long."""

    def __init__(self) -> None:
        self._by_result: dict[str, Histogram] = {}

    def add(self, result: str, seconds: float) -> None:
        found = self._by_result.get(result)
        if found is None:
            found = self._by_result[result] = Histogram(_EDGES)
        found.add(seconds)

    def lines(self, what: str, total: str) -> Iterator[str]:
        counted, timed = _ATTEMPTS[what]
        results = sorted(self._by_result.items())
        yield from family(total, "counter", counted, [(labelled(("result",), (result,)), found.count) for result, found in results])
        name = f"{what}_duration_seconds"
        if results:
            yield from (f"# HELP {name} {timed}", f"# TYPE {name} histogram")
        for result, found in results:
            yield from found.lines(name, f'result="{result}"', _ATTEMPT_EDGES)

    def whole(self) -> Histogram:
        """Of all results."""
        found = Histogram(_EDGES)
        for times in self._by_result.values():
            found = found.merged(times)
        return found


class AccessMetrics:
    def __init__(self) -> None:
        self.authentication, self.authorization = Attempts(), Attempts()
        self._users: dict[str, int] = {}

    def authenticated(self, username: str, seconds: float) -> None:
        name = username if username in _KNOWN else "email_id" if "@" in username else "other"
        self._users[name] = self._users.get(name, 0) + 1
        self.authentication.add("success", seconds)

    def lines(self, decisions: Decisions) -> Iterator[str]:
        users = [(labelled(("username",), (name,)), n) for name, n in sorted(self._users.items())]
        yield from family("authenticated_user_requests", "counter", _USER, users)
        yield from self.authentication.lines("authentication", "authentication_attempts")
        yield from self.authorization.lines("authorization", "authorization_attempts_total")
        yield from heading(_FILTER, "histogram", _FILTERED)
        for name, attempts in (("authentication", self.authentication), ("authorization", self.authorization)):
            yield from attempts.whole().lines(_FILTER, f'filter="{name}"', _FILTER_EDGES)
        decided = [(labelled(("decision", "name", "type"), key), n) for key, n in sorted(decisions.items())]
        yield from family("apiserver_authorization_decisions_total", "counter", _DECISIONS, decided)


class Reloads:
    """How the file of a configuration was taken up since the start. `subject` is authentication, authorization or encryption, `identity`
    this server's."""

    def __init__(self, subject: str, identity: str, content: bytes, clock: Callable[[], float] = time.time) -> None:
        self._subject, self._clock = subject, clock
        self._identity = _hash(identity.encode())
        self._content = _hash(content)
        self._counts: dict[str, int] = {}
        self._last: dict[str, float] = {}

    def count(self, content: bytes | None) -> None:
        """None: what the file holds could not be used."""
        status = "success" if content is not None else "failure"
        self._counts[status] = self._counts.get(status, 0) + 1
        self._last[status] = self._clock()
        if content is not None:
            self._content = _hash(content)

    def lines(self) -> Iterator[str]:
        name, names = f"apiserver_{self._subject}_config_controller_", ("apiserver_id_hash", "status")
        counts = [(labelled(names, (self._identity, status)), n) for status, n in sorted(self._counts.items())]
        yield from family(f"{name}automatic_reloads_total", "counter", _RELOADS.format(self._subject), counts)
        last = [(labelled(names, (self._identity, status)), at) for status, at in sorted(self._last.items())]
        yield from family(f"{name}automatic_reload_last_timestamp_seconds", "gauge", _LAST.format(self._subject), last)
        info = labelled(("apiserver_id_hash", "hash"), (self._identity, self._content))
        yield from family(f"{name}last_config_info", "gauge", _INFO.format(self._subject), [(info, 1)])


def _hash(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
