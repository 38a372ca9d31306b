"""The requests that custom resources answer, as apiextensions' openapi builder lists them: no watch paths, JSON and YAML only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubetree.api.kinds import Kind, Subresource
from kubetree.api.openapi import parameters as p
from kubetree.api.openapi.operations import (
    CUSTOM_PATCHES,
    DELETE_OPTIONS,
    PATCH,
    STATUS,
    Names,
    Operation,
    group_words,
    tag_of,
    with_article,
)
from kubetree.api.openapi.parameters import Parameter

_FORMATS = ("application/json", "application/yaml")
_GET = (next(parameter for parameter in p.LIST if parameter.name == "resourceVersion"),)


class CustomPaths:
    """The paths of one custom resource at one version."""

    def __init__(self, kind: Kind, names: Names) -> None:
        self._kind = kind
        self._gvk = (kind.group, kind.version, kind.kind)
        self._tag = tag_of(kind.group, kind.version)
        self._group = group_words(kind.group) + kind.version[:1].upper() + kind.version[1:]
        self._scope = "Namespaced" if kind.namespaced else ""
        self._object = names(kind, kind.kind) or ""
        list_kind = kind.behaviour.list_kind if kind.behaviour is not None else kind.kind + "List"
        self._list = names(kind, list_kind) or self._object
        self._space = (p.NAMESPACE,) if kind.namespaced else ()
        self._named = (p.name_of(kind.kind), *self._space)

    def all(self) -> Iterator[tuple[str, list[Operation]]]:
        kind = self._kind
        base = kind.path("{namespace}" if kind.namespaced else "")
        if kind.namespaced:
            yield kind.path(), [self._listing(f"list{self._group}{kind.kind}ForAllNamespaces")]
        yield base, list(self._collection())
        yield f"{base}/{{name}}", [*self._reading_and_writing(self._object, "", ""), self._deleting()]
        for sub in kind.subresources:
            yield f"{base}/{{name}}/{sub.name}", list(self._subresource(sub))

    def _operation(
        self, method: str, id: str, text: str, action: str, *params: Parameter, ok: str, codes: str = "200", **more: Any
    ) -> Operation:
        words = {"200": "OK", "201": "Created", "202": "Accepted"}
        answers = (*((code, words[code], ok) for code in codes.split()), ("401", "Unauthorized", None))
        usual: dict[str, Any] = {"body_formats": _FORMATS, **more}
        return Operation(
            method, id, text, action, self._gvk, (*params, p.PRETTY), answers=answers, formats=_FORMATS, tag=self._tag, **usual
        )

    def _id(self, verb: str, rest: str = "") -> str:
        return f"{verb}{self._group}{self._scope}{self._kind.kind}{rest}"

    def _listing(self, id: str, *params: Parameter) -> Operation:
        return self._operation("get", id, f"list objects of kind {self._kind.kind}", "list", *params, *p.LIST, ok=self._list)

    def _collection(self) -> Iterator[Operation]:
        kind = self._kind.kind
        yield self._listing(self._id("list"), *self._space)
        yield self._operation(
            "post", self._id("create"), f"create {with_article(kind)}", "post", *self._space, *p.WRITE,
            ok=self._object, codes="200 201 202", body=self._object,
        )  # fmt: skip
        id = f"delete{self._group}Collection{self._scope}{kind}"
        yield self._operation("delete", id, f"delete collection of {kind}", "deletecollection", *self._space, *p.LIST, ok=STATUS)

    def _deleting(self) -> Operation:
        return self._operation(
            "delete", self._id("delete"), f"delete {with_article(self._kind.kind)}", "delete", *self._named, *p.DELETE,
            ok=STATUS, codes="200 202", body=DELETE_OPTIONS, body_required=False,
        )  # fmt: skip

    def _reading_and_writing(self, definition: str, of: str, rest: str) -> Iterator[Operation]:
        what = f"{of}the specified {self._kind.kind}"
        yield self._operation("get", self._id("read", rest), f"read {what}", "get", *self._named, *_GET, ok=definition)
        yield self._operation(
            "put", self._id("replace", rest), f"replace {what}", "put", *self._named, *p.WRITE,
            ok=definition, codes="200 201", body=definition,
        )  # fmt: skip
        yield self._operation(
            "patch", self._id("patch", rest), f"partially update {what}", "patch", *self._named, *p.PATCH,
            ok=definition, body=PATCH, body_formats=CUSTOM_PATCHES,
        )  # fmt: skip

    def _subresource(self, sub: Subresource) -> Iterator[Operation]:
        definition = f"io.k8s.api.{sub.group}.{sub.version}.{sub.kind}" if sub.group else self._object
        return self._reading_and_writing(definition, f"{sub.name} of ", sub.name.capitalize())
