"""The priority levels at work: each with its queues and its seats, made anew as their objects change; and where a request belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.flow_control.bootstrap import EXEMPT, MANDATORY_LEVELS, MANDATORY_SCHEMAS
from kubetree.apiserver.flow_control.matching import distinguisher, in_order, schema_of
from kubetree.apiserver.flow_control.queues import UNLIMITED, QueueSet, flow_hash
from kubetree.apiserver.flow_control.shares import Limits, adjusted, limits_of
from kubetree.apiserver.metrics.exposition import Histogram
from kubetree.apiserver.wire.request_info import RequestInfo

Object = dict[str, Any]
_REMEMBERED = 4096
_Question = tuple[str, tuple[str, ...], str, str, str, str, str]


class Level:
    """`uid` is '' for a mandatory level whose object is not there."""

    __slots__ = ("leaving", "limits", "name", "queues", "spec", "uid")

    def __init__(self, name: str, uid: str, spec: Object, limits: Limits, clock: Callable[[], float]) -> None:
        self.name, self.uid, self.spec, self.limits = name, uid, spec, limits
        self.leaving = False
        self.queues = QueueSet(UNLIMITED, 0, 0, 0, clock)
        self.resize(limits.nominal - (limits.nominal - limits.least) // 2)

    @property
    def exempt(self) -> bool:
        return self.name == EXEMPT

    @property
    def idle(self) -> bool:
        return not self.queues.executing and not self.queues.waiting

    def resize(self, seats: int) -> None:
        queuing: Object = ((self.spec.get("limited") or {}).get("limitResponse") or {}).get("queuing") or {}
        count, hand, length = queuing.get("queues") or 0, queuing.get("handSize") or 0, queuing.get("queueLengthLimit") or 0
        self.queues.configure(UNLIMITED if self.exempt else seats, count, hand, length)


class Traffic:
    """What is counted of the requests of one schema: plain numbers, of which `metrics.py` makes families. `waits` are by whether the
    request was worked on after it; requests that did not have to wait are counted in `entered` alone."""

    __slots__ = ("entered", "executing", "level", "lines", "rejected", "schema", "seats", "times", "waiting", "waits", "watches", "widths")

    def __init__(self, schema: str, level: str) -> None:
        self.schema, self.level = schema, level
        self.entered = self.executing = self.seats = 0
        self.waiting = 0
        self.rejected: dict[str, int] = {}
        self.times, self.watches = Histogram(WAITS), Histogram(WAITS)
        self.waits: dict[bool, Histogram] = {}
        self.widths, self.lines = Histogram(WIDTHS), Histogram(LINES)


WAITS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
WIDTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0)
LINES = (0.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)


class Place(NamedTuple):
    """Where a request belongs. `headers` name both objects by UID: names would tell strangers about the administrator's view of them."""

    level: Level
    schema: str
    flow: str
    hand: tuple[int, ...]
    headers: dict[str, str]
    traffic: Traffic


class Levels:
    """`total` seats are shared among all levels. Call `configure` before use and whenever an object changes."""

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self._total, self._clock = total, clock
        self._levels: dict[str, Level] = {}
        self._schemas: list[Object] = []
        self._places: dict[_Question, Place] = {}
        self.traffic: dict[tuple[str, str], Traffic] = {}
        """By schema and level; what was counted stays when either has gone."""
        self.configure((), ())

    def __iter__(self) -> Iterator[Level]:
        return iter(self._levels.values())

    @property
    def schemas(self) -> Sequence[Object]:
        return self._schemas

    def configure(self, schemas: Sequence[Object], levels: Sequence[Object]) -> None:
        """A level that has gone stays until its last request has. Schemas of levels that are not there count for nothing."""
        objects = {obj["metadata"]["name"]: obj for obj in (*MANDATORY_LEVELS, *levels)}
        for name, level in self._levels.items():
            if name not in objects and not level.idle:
                objects[name] = {"metadata": {"name": name, "uid": level.uid}, "spec": level.spec, "leaving": True}
        limits = limits_of({name: obj["spec"] for name, obj in objects.items()}, self._total)
        for name, obj in objects.items():
            self._level(name, obj, limits[name])
        for name in self._levels.keys() - objects.keys():
            del self._levels[name]
        named = {obj["metadata"]["name"]: obj for obj in (*MANDATORY_SCHEMAS, *schemas)}
        served = {name for name, obj in objects.items() if not obj.get("leaving")}
        self._schemas = in_order(s for s in named.values() if s["spec"]["priorityLevelConfiguration"]["name"] in served)
        self._places.clear()

    def _level(self, name: str, obj: Object, limits: Limits) -> None:
        uid, spec = obj["metadata"].get("uid", ""), obj["spec"]
        level = self._levels.get(name)
        if level is None:
            level = self._levels[name] = Level(name, uid, spec, limits, self._clock)
        else:
            changed = level.limits != limits
            level.uid, level.spec, level.limits = uid, spec, limits
            level.resize(limits.nominal - (limits.nominal - limits.least) // 2 if changed else level.queues.limit)
        level.leaving = bool(obj.get("leaving"))

    def place(self, user: User, info: RequestInfo) -> Place:
        if info.is_resource:
            question = (user.name, user.groups, info.verb, info.group, info.resource, info.subresource, info.namespace)
        else:
            question = (user.name, user.groups, info.verb, "", "", "", info.path)
        found = self._places.get(question)
        if found is None:
            if len(self._places) >= _REMEMBERED:
                self._places.clear()
            found = self._places[question] = self._placed(user, info)
        return found

    def _placed(self, user: User, info: RequestInfo) -> Place:
        schema = schema_of(self._schemas, user, info)
        name = schema["metadata"]["name"]
        level = self._levels[schema["spec"]["priorityLevelConfiguration"]["name"]]
        flow = "" if level.exempt else distinguisher(schema, user, info)
        headers = {
            "X-Kubernetes-Pf-Flowschema-Uid": schema["metadata"].get("uid", ""),
            "X-Kubernetes-Pf-Prioritylevel-Uid": level.uid,
        }
        traffic = self.traffic.get((name, level.name))
        if traffic is None:
            traffic = self.traffic[name, level.name] = Traffic(name, level.name)
        return Place(level, name, flow, level.queues.hand_of(flow_hash(name, flow)), headers, traffic)

    def adjust(self) -> None:
        """Lends the seats that levels did not need to those that did; to be called each ten seconds."""
        now = self._clock()
        highest = {name: level.queues.demand.read(now) for name, level in self._levels.items()}
        smoothed = {name: level.queues.demand.smoothed for name, level in self._levels.items()}
        limits = {name: level.limits for name, level in self._levels.items()}
        for name, seats in adjusted(limits, highest, smoothed, EXEMPT).items():
            self._levels[name].resize(seats)

    def reap(self) -> bool:
        """Whether there is a level to take away."""
        return any(level.leaving and level.idle for level in self)
