"""What a duty wants done: frozen data, so that a reconciler stays pure and the runner alone talks to the API server.

A `Plan` is applied in order. An action that fails ends the plan (those of one `Batch` run side by side), its key is tried again
with a back-off, and `then` may look at what happened and say what follows, such as a status that tells of the failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kubetree.api.errors import ApiError
from kubetree.api.kinds import Kind

Object = dict[str, Any]

NOT_FOUND = frozenset({"NotFound"})
NAMESPACE_TERMINATING = frozenset({"NamespaceTerminating"})
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Event:
    """An event about `about` (an object with apiVersion and kind). As `done` or `failed` of an action, `message` may name
    `{name}`, the object's name in the server's answer, and `{error}`."""

    about: Object
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Create:
    """`ignore` holds the Status reasons and cause reasons that are no failure."""

    kind: Kind
    obj: Object
    done: Event | None = None
    failed: Event | None = None
    ignore: frozenset[str] = NONE


@dataclass(frozen=True, slots=True)
class Update:
    """A PUT of the whole object; its resourceVersion makes it fail with a Conflict when somebody else wrote meanwhile."""

    kind: Kind
    obj: Object
    subresource: str = ""
    done: Event | None = None
    failed: Event | None = None
    ignore: frozenset[str] = NONE


def StatusUpdate(kind: Kind, obj: Object, status: Object, *, ignore: frozenset[str] = NONE) -> Update:
    """Replaces the status of `obj`, as seen in the cache, by `status`."""
    return Update(kind, {**obj, "status": status}, subresource="status", ignore=ignore)


@dataclass(frozen=True, slots=True)
class Patch:
    """`type` is strategic, merge, json or apply; `patch` is in the form that it wants."""

    kind: Kind
    namespace: str
    name: str
    patch: Object | list[Any]
    type: str = "strategic"
    subresource: str = ""
    done: Event | None = None
    failed: Event | None = None
    ignore: frozenset[str] = NONE
    field_manager: str = ""
    force: bool = False
    """Of an apply: takes fields over from other managers."""


@dataclass(frozen=True, slots=True)
class Delete:
    kind: Kind
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""
    grace_period: int | None = None
    propagation: str = ""
    done: Event | None = None
    failed: Event | None = None
    ignore: frozenset[str] = NOT_FOUND


@dataclass(frozen=True, slots=True)
class Post:
    """Creates a subresource such as a binding or an eviction below `name`."""

    kind: Kind
    namespace: str
    name: str
    subresource: str
    obj: Object
    done: Event | None = None
    failed: Event | None = None
    ignore: frozenset[str] = NONE


@dataclass(frozen=True, slots=True)
class DeleteCollection:
    kind: Kind
    namespace: str
    propagation: str = ""
    ignore: frozenset[str] = NOT_FOUND


@dataclass(frozen=True, slots=True)
class Read:
    """A GET past the cache. Its result is the object, None when there is none."""

    kind: Kind
    namespace: str
    name: str
    subresource: str = ""
    ignore: frozenset[str] = NOT_FOUND


@dataclass(frozen=True, slots=True)
class ReadAll:
    """A LIST past the cache. Its result is the List object."""

    kind: Kind
    namespace: str = ""
    label_selector: str = ""
    limit: int = 0
    ignore: frozenset[str] = NOT_FOUND


@dataclass(frozen=True, slots=True)
class Verify:
    """Fails unless the object, read past the cache, is still the one of `uid` and not being deleted: asked before an adoption."""

    kind: Kind
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Discover:
    """Asks which kinds are served. Its result is {"kinds": [Kind, ...]}."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Has the key, or another one, reconciled `seconds` from now, whatever else happens."""

    seconds: float
    key: tuple[str, ...] | None = None


Request = Create | Update | Patch | Delete | Post | DeleteCollection | Read | ReadAll | Verify | Discover


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests side by side. `slow_start`: 1, then 2, 4, 8, ... at a time while all succeed, and none after a failure, so that a
    quota that is used up costs one request and not a hundred."""

    requests: tuple[Request, ...]
    slow_start: bool = False


Action = Request | Batch | Event | RequeueAfter


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the requests of a plan went, in order: `results` has the server's answer or None; `errors` what failed."""

    results: tuple[Object | None, ...] = ()
    errors: tuple[ApiError, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.errors


@dataclass(frozen=True, slots=True)
class Plan:
    """`then` is asked what follows once the actions are through, also when some failed. With `forgive` a failure is not retried
    by back-off: what follows has dealt with it."""

    actions: tuple[Action, ...] = ()
    then: Callable[[Outcome], Plan] | None = field(default=None, compare=False)
    forgive: bool = False

    def __add__(self, other: Plan) -> Plan:
        return Plan(self.actions + other.actions, other.then or self.then, self.forgive or other.forgive)

    def __bool__(self) -> bool:
        return bool(self.actions) or self.then is not None


NOTHING = Plan()


def plan(*actions: Action | Iterable[Action | None] | None, then: Callable[[Outcome], Plan] | None = None, forgive: bool = False) -> Plan:
    """A Plan of the actions given; iterables are laid flat, None is left out."""
    flat: list[Action] = []
    for action in actions:
        if isinstance(action, Iterable):
            flat.extend(each for each in action if each is not None)
        elif action is not None:
            flat.append(action)
    return Plan(tuple(flat), then, forgive)
