"""Every request that the API server answers, from the table of kinds, in terms that both versions of OpenAPI render.

Operation ids and extensions are upstream's: generated clients are named after them, and kubectl finds kinds by
`x-kubernetes-group-version-kind` and `x-kubernetes-action`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from kubetree.api.kinds import Kind, Subresource
from kubetree.api.openapi import parameters as p
from kubetree.api.openapi.parameters import Parameter

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS, DELETE_OPTIONS, PATCH, WATCH_EVENT = _META + "Status", _META + "DeleteOptions", _META + "Patch", _META + "WatchEvent"
RESOURCE_LIST, GROUP = _META + "APIResourceList", _META + "APIGroup"

FORMATS = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
STREAMS = (*FORMATS, "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
CUSTOM_PATCHES = tuple(kind for kind in PATCHES if "strategic" not in kind)
ANY = ("*/*",)

_RETURNS_DELETED = frozenset(
    {
        "PersistentVolume", "PersistentVolumeClaim", "Pod", "PodTemplate", "ResourceQuota", "Service", "ServiceAccount", "DeviceClass",
        "DeviceTaintRule", "ResourceClaim", "ResourceClaimTemplate", "ResourcePoolStatusRequest", "ResourceSlice", "CSIDriver", "CSINode",
        "StorageClass", "VolumeAttachment", "VolumeAttributesClass",
    }
)  # fmt: skip
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_STREAM_METHODS = {"exec": ("get", "post"), "attach": ("get", "post"), "portforward": ("get", "post"), "proxy": _METHODS}

Names = Callable[[Kind, str], str | None]
"""(kind row, name of a kind) to the name of its definition; None for one that has none."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `answers` maps a status code to (text, definition); the definition '' means a string, None nothing."""

    method: str
    id: str
    description: str = ""
    action: str = ""
    kind: tuple[str, str, str] | None = None
    parameters: tuple[Parameter, ...] = ()
    body: str = ""
    body_required: bool = True
    body_formats: tuple[str, ...] = ANY
    answers: tuple[tuple[str, str, str | None], ...] = ()
    formats: tuple[str, ...] = FORMATS
    tag: str = ""
    bare: bool = False
    """Takes no body of any format, and says so."""


def group_words(group: str) -> str:
    """`rbac.authorization.k8s.io` as operation ids have it: RbacAuthorization; the core group is Core."""
    text = group.removesuffix(".k8s.io") or "core"
    return "".join(part[:1].upper() + part[1:] for part in text.replace("-", ".").split("."))


def with_article(kind: str) -> str:
    """A kind as upstream writes it in a sentence: what ends in one s counts as a plural and has no article ("create Endpoints")."""
    if kind.endswith("s") and not kind.endswith("ss"):
        return kind
    return f"an {kind}" if kind[:1].lower() in "aeiou" else f"a {kind}"


def tag_of(group: str, version: str = "") -> str:
    words = group_words(group)
    return words[:1].lower() + words[1:] + (f"_{version}" if version else "")


class _Paths:
    """The paths of one kind."""

    def __init__(self, kind: Kind, names: Names) -> None:
        self._kind = kind
        self._gvk = (kind.group, kind.version, kind.kind)
        self._tag = tag_of(kind.group, kind.version)
        self._group = group_words(kind.group) + kind.version[:1].upper() + kind.version[1:]
        self._names = names
        self._object = names(kind, kind.kind) or ""
        self._list = names(kind, kind.kind + "List") or self._object
        self._custom = not self._object.startswith("io.k8s.")
        self._space = (p.NAMESPACE,) if kind.namespaced else ()
        self._named = (p.name_of(kind.kind), *self._space)

    def _id(self, verb: str, rest: str = "", *, scoped: bool = True, kind: str = "") -> str:
        scope = "Namespaced" if self._kind.namespaced and scoped else ""
        return f"{verb}{self._group}{scope}{kind or self._kind.kind}{rest}"

    def _operation(self, method: str, id: str, description: str, action: str, *params: Parameter, ok: str = "", **more: Any) -> Operation:
        answers = (("200", "OK", ok or self._object), ("401", "Unauthorized", None))
        made = Operation(method, id, description, action, self._gvk, (*params, p.PRETTY), answers=answers, tag=self._tag)
        return replace(made, **more)

    def _answers(self, definition: str, *codes: tuple[str, str]) -> tuple[tuple[str, str, str | None], ...]:
        return (*((code, text, definition) for code, text in codes), ("401", "Unauthorized", None))

    def all(self) -> Iterator[tuple[str, list[Operation]]]:
        kind, verbs = self._kind, self._kind.verbs
        base = kind.path("{namespace}" if kind.namespaced else "")
        root = kind.path()
        collection = list(self._collection(verbs))
        if collection:
            yield base, collection
        single = list(self._single(verbs))
        if single:
            yield f"{base}/{{name}}", single
        for sub in kind.subresources:
            yield from self._subresource(f"{base}/{{name}}/{sub.name}", sub)
        watched = "watch" in verbs
        prefix, _, rest = root.partition(f"/{kind.version}/")
        start = f"{prefix}/{kind.version}/watch/"
        if kind.namespaced:
            if "list" in verbs:
                yield root, [self._listing(self._id("list", "ForAllNamespaces", scoped=False))]
            if watched:
                yield start + rest, [self._watching(self._id("watch", "ListForAllNamespaces", scoped=False), "watchlist")]
                yield f"{start}namespaces/{{namespace}}/{rest}", [self._watching(self._id("watch", "List"), "watchlist", *self._space)]
                yield f"{start}namespaces/{{namespace}}/{rest}/{{name}}", [self._watching(self._id("watch"), "watch", *self._named)]
        elif watched:
            yield start + rest, [self._watching(self._id("watch", "List"), "watchlist")]
            yield f"{start}{rest}/{{name}}", [self._watching(self._id("watch"), "watch", *self._named)]

    def _listing(self, id: str, *params: Parameter) -> Operation:
        text = f"{'list or watch' if 'watch' in self._kind.verbs else 'list'} objects of kind {self._kind.kind}"
        return self._operation("get", id, text, "list", *params, *p.LIST, ok=self._list, formats=STREAMS)

    def _watching(self, id: str, action: str, *params: Parameter) -> Operation:
        what = "an object" if action == "watch" else "objects"
        text = f"watch {what} of kind {self._kind.kind}. Deprecated: use the watch parameter with a list instead."
        return self._operation("get", id, text, action, *params, *p.LIST, ok=WATCH_EVENT, formats=STREAMS)

    def _collection(self, verbs: tuple[str, ...]) -> Iterator[Operation]:
        kind = self._kind.kind
        if "deletecollection" in verbs:
            yield self._operation(
                "delete",
                f"delete{self._group}Collection{'Namespaced' if self._kind.namespaced else ''}{kind}",
                f"delete collection of {kind}",
                "deletecollection",
                *self._space,
                *p.DELETE_COLLECTION,
                ok=STATUS,
                body=DELETE_OPTIONS,
                body_required=False,
            )
        if "list" in verbs:
            yield self._listing(self._id("list"), *self._space)
        if "create" in verbs:
            yield self._creating(self._id("create"), f"create {with_article(kind)}", self._object, *self._space)

    def _creating(self, id: str, text: str, definition: str, *params: Parameter, **more: Any) -> Operation:
        answers = self._answers(definition, ("200", "OK"), ("201", "Created"), ("202", "Accepted"))
        return self._operation("post", id, text, "post", *params, *p.WRITE, body=definition, answers=answers, **more)

    def _single(self, verbs: tuple[str, ...]) -> Iterator[Operation]:
        kind = self._kind.kind
        if "delete" in verbs:
            definition = self._object if kind in _RETURNS_DELETED else STATUS
            yield self._operation(
                "delete",
                self._id("delete"),
                f"delete {with_article(kind)}",
                "delete",
                *self._named,
                *p.DELETE,
                body=DELETE_OPTIONS,
                body_required=False,
                answers=self._answers(definition, ("200", "OK"), ("202", "Accepted")),
            )
        yield from self._reading_and_writing(verbs, self._object, "", "")

    def _reading_and_writing(self, verbs: tuple[str, ...], definition: str, of: str, rest: str, **more: Any) -> Iterator[Operation]:
        what = f"{of}the specified {self._kind.kind}"
        changed = self._answers(definition, ("200", "OK"), ("201", "Created"))
        if "get" in verbs:
            yield self._operation("get", self._id("read", rest), f"read {what}", "get", *self._named, ok=definition, **more)
        if "patch" in verbs:
            formats = CUSTOM_PATCHES if self._custom else PATCHES
            yield self._operation(
                "patch", self._id("patch", rest), f"partially update {what}", "patch", *self._named, *p.PATCH,
                body=PATCH, body_formats=formats, answers=changed, **more,
            )  # fmt: skip
        if "update" in verbs:
            yield self._operation(
                "put", self._id("replace", rest), f"replace {what}", "put", *self._named, *p.WRITE, body=definition, answers=changed, **more
            )

    def _subresource(self, path: str, sub: Subresource) -> Iterator[tuple[str, list[Operation]]]:
        group, version, kind = sub.group or self._kind.group, sub.version or self._kind.version, sub.kind or self._kind.kind
        gvk, rest = (group, version, kind), sub.name[:1].upper() + sub.name[1:]
        if sub.name in _STREAM_METHODS:
            yield path, list(self._connecting(sub, gvk, rest, *p.CONNECT[sub.name]))
            if sub.name == "proxy":
                yield f"{path}/{{path}}", list(self._connecting(sub, gvk, rest + "WithPath", *p.CONNECT[sub.name], p.PATH_IN_URL))
            return
        definition = self._names(Kind(group, version, kind, ""), kind) or self._object
        if sub.name == "log":
            log = self._operation(
                "get", self._id("read", rest), "read log of the specified Pod", "get", *self._named, formats=("text/plain", *FORMATS)
            )
            yield path, [replace(log, parameters=(*self._named, *p.LOG), answers=self._answers("", ("200", "OK")))]
            return
        found = list(self._reading_and_writing(sub.verbs, definition, f"{sub.name} of ", rest, kind=gvk))
        if "create" in sub.verbs:
            found.append(
                self._creating(
                    self._id("create", rest), f"create {sub.name} of {with_article(self._kind.kind)}", definition, *self._named, kind=gvk
                )
            )
        yield path, found

    def _connecting(self, sub: Subresource, gvk: tuple[str, str, str], rest: str, *params: Parameter) -> Iterator[Operation]:
        answers: tuple[tuple[str, str, str | None], ...] = (("200", "OK", ""), ("401", "Unauthorized", None))
        for method in _STREAM_METHODS[sub.name]:
            verb = method.capitalize()
            scope = "Namespaced" if self._kind.namespaced else ""
            yield Operation(
                method,
                f"connect{self._group}{verb}{scope}{self._kind.kind}{rest}",
                f"connect {verb.upper()} requests to {sub.name} of {self._kind.kind}",
                "connect",
                gvk,
                (*self._named, *params),
                answers=answers,
                formats=ANY,
                tag=self._tag,
            )


def of_kinds(kinds: Iterable[Kind], names: Names) -> dict[str, list[Operation]]:
    """Path to operations, for all kinds."""
    found: dict[str, list[Operation]] = {}
    for kind in kinds:
        for path, operations in _Paths(kind, names).all():
            found.setdefault(path, []).extend(operations)
    return found


def _information(id: str, description: str, definition: str, tag: str) -> Operation:
    answers = (("200", "OK", definition), ("401", "Unauthorized", None))
    return Operation("get", id, description, answers=answers, tag=tag)


def of_group_version(group: str, version: str) -> tuple[str, Operation]:
    path = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    id = f"get{group_words(group)}{version[:1].upper()}{version[1:]}APIResources"
    return path, _information(id, "get available resources", RESOURCE_LIST, tag_of(group, version))


def of_group(group: str) -> tuple[str, Operation]:
    if not group:
        return "/api/", _information("getCoreAPIVersions", "get available API versions", _META + "APIVersions", "core")
    return f"/apis/{group}/", _information(f"get{group_words(group)}APIGroup", "get information of a group", GROUP, tag_of(group))


ALL_GROUPS = ("/apis/", _information("getAPIVersions", "get available API versions", _META + "APIGroupList", "apis"))
VERSION = ("/version/", replace(_information("getCodeVersion", "get the version of this server", "io.k8s.apimachinery.pkg.version.Info", "version"), formats=("application/json",)))  # fmt: skip
KEYS = ("/openid/v1/jwks/", replace(_information("getServiceAccountIssuerOpenIDKeyset", "get the keys that service account tokens are signed with", "", "openid"), formats=("application/jwk-set+json",), bare=True))  # fmt: skip
ISSUER = ("/.well-known/openid-configuration/", replace(_information("getServiceAccountIssuerOpenIDConfiguration", "get the OpenID configuration of the issuer of service account tokens", "", "WellKnown"), formats=("application/json",), bare=True))  # fmt: skip
