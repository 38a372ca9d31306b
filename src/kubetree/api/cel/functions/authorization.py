"""The `authorizer` of policies: `authorizer.group('').resource('pods').namespace('a').check('get').allowed()`.

Who may do what is the caller's to say, through `Authorize`. It is called while an expression is evaluated and must answer at once; a
caller whose authorizer waits for others lets it raise an exception of its own (no EvaluationError), gets the answer, and evaluates
again: expressions have no effects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..declarations import function, method, table
from ..errors import EvaluationError
from ..types import BOOL, STRING, Type, struct
from ..values import no_such_overload

AUTHORIZER = struct("kubernetes.authorization.Authorizer")
PATH_CHECK = struct("kubernetes.authorization.PathCheck")
GROUP_CHECK = struct("kubernetes.authorization.GroupCheck")
RESOURCE_CHECK = struct("kubernetes.authorization.ResourceCheck")
DECISION = struct("kubernetes.authorization.Decision")


class Check(NamedTuple):
    """What is asked. `user` is whom the authorizer was made for, or ("namespace", "name") of a service account. A check of a path
    has no resource; one of a resource is of any version."""

    user: Any
    verb: str
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""


class Verdict(NamedTuple):
    """`error` is what went wrong in asking, None if nothing."""

    allowed: bool
    reason: str = ""
    error: str | None = None


Authorize = Callable[[Check], Verdict]


class ServiceAccount(NamedTuple):
    """Whom `authorizer.serviceAccount(namespace, name)` asks for."""

    namespace: str
    name: str


class _Value:
    __slots__ = ()

    def equals(self, other: Any) -> bool:
        raise no_such_overload()


class AuthorizerValue(_Value):
    """The variable `authorizer`. `user` is whom it asks for; `authorize` decides."""

    __slots__ = ("authorize", "user")
    cel_type: Type = AUTHORIZER

    def __init__(self, user: Any, authorize: Authorize) -> None:
        self.user, self.authorize = user, authorize


class PathCheck(_Value):
    """`authorizer.path(...)`, to which a verb is still lacking."""

    __slots__ = ("authorizer", "path")
    cel_type: Type = PATH_CHECK

    def __init__(self, authorizer: AuthorizerValue, path: str) -> None:
        self.authorizer, self.path = authorizer, path


class GroupCheck(_Value):
    """`authorizer.group(...)`, to which a resource is still lacking."""

    __slots__ = ("authorizer", "group")
    cel_type: Type = GROUP_CHECK

    def __init__(self, authorizer: AuthorizerValue, group: str) -> None:
        self.authorizer, self.group = authorizer, group


class ResourceCheck(_Value):
    """`check` is what will be asked, but for the verb."""

    __slots__ = ("authorize", "check")
    cel_type: Type = RESOURCE_CHECK

    def __init__(self, authorize: Authorize, check: Check) -> None:
        self.authorize, self.check = authorize, check


class DecisionValue(_Value):
    """What `check` gives."""

    __slots__ = ("verdict",)
    cel_type: Type = DECISION

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict


def authorizer_value(user: Any, authorize: Authorize) -> AuthorizerValue:
    """The value of the variable `authorizer`; its type is AUTHORIZER."""
    return AuthorizerValue(user, authorize)


def resource_check(
    user: Any, authorize: Authorize, *, group: str, resource: str, subresource: str = "", namespace: str = "", name: str = ""
) -> ResourceCheck:
    """The value of `authorizer.requestResource`: a check of what the request is about."""
    return ResourceCheck(authorize, Check(user, "", "", group, resource, subresource, namespace, name))


def _path(authorizer: AuthorizerValue, path: str) -> PathCheck:
    if not path.strip():
        raise EvaluationError("path must not be empty")
    return PathCheck(authorizer, path)


def _service_account(authorizer: AuthorizerValue, namespace: str, name: str) -> AuthorizerValue:
    from kubetree.api.validation import names

    if names.dns_subdomain(name):
        raise EvaluationError("Invalid service account name")
    if names.dns_label(namespace):
        raise EvaluationError("Invalid service account namespace")
    return AuthorizerValue(ServiceAccount(namespace, name), authorizer.authorize)


def _resource(check: GroupCheck, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise EvaluationError("resource must not be empty")
    return ResourceCheck(check.authorizer.authorize, Check(check.authorizer.user, "", group=check.group, resource=resource))


def _with(field: str) -> Callable[[ResourceCheck, str], ResourceCheck]:
    def run(value: ResourceCheck, part: str) -> ResourceCheck:
        change: dict[str, Any] = {field: part}
        return ResourceCheck(value.authorize, value.check._replace(**change))

    return run


def _check_path(check: PathCheck, verb: str) -> DecisionValue:
    return DecisionValue(check.authorizer.authorize(Check(check.authorizer.user, verb, path=check.path)))


def _check_resource(value: ResourceCheck, verb: str) -> DecisionValue:
    return DecisionValue(value.authorize(value.check._replace(verb=verb)))


def _refined(name: str, id: str, field: str) -> Any:
    return function(name, method(id, (RESOURCE_CHECK, STRING), RESOURCE_CHECK, _with(field)))


AUTHORIZATION = table(
    function("path", method("authorizer_path", (AUTHORIZER, STRING), PATH_CHECK, _path)),
    function("group", method("authorizer_group", (AUTHORIZER, STRING), GROUP_CHECK, GroupCheck)),
    function(
        "serviceAccount", method("authorizer_serviceaccount", (AUTHORIZER, STRING, STRING), AUTHORIZER, _service_account, variadic=True)
    ),
    function("resource", method("groupcheck_resource", (GROUP_CHECK, STRING), RESOURCE_CHECK, _resource)),
    _refined("subresource", "resourcecheck_subresource", "subresource"),
    _refined("namespace", "resourcecheck_namespace", "namespace"),
    _refined("name", "resourcecheck_name", "name"),
    _refined("fieldSelector", "authorizer_fieldselector", "field_selector"),
    _refined("labelSelector", "authorizer_labelselector", "label_selector"),
    function(
        "check",
        method("pathcheck_check", (PATH_CHECK, STRING), DECISION, _check_path),
        method("resourcecheck_check", (RESOURCE_CHECK, STRING), DECISION, _check_resource),
    ),
    function("errored", method("decision_errored", (DECISION,), BOOL, lambda decision: decision.verdict.error is not None)),
    function("error", method("decision_error", (DECISION,), STRING, lambda decision: decision.verdict.error or "")),
    function("allowed", method("decision_allowed", (DECISION,), BOOL, lambda decision: decision.verdict.allowed)),
    function("reason", method("decision_reason", (DECISION,), STRING, lambda decision: decision.verdict.reason)),
)
