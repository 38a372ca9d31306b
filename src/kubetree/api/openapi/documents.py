"""The OpenAPI documents: v2 as a whole, v3 by group and version with an index of hashes.

kubectl explain, apply, diff and the validation of fields read v3; older clients and generators read v2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from kubetree.api.kinds import Kind, Kinds
from kubetree.api.openapi import operations as ops
from kubetree.api.openapi import schemas
from kubetree.api.openapi.custom_operations import CustomPaths
from kubetree.api.openapi.custom_schemas import custom, custom_name
from kubetree.api.openapi.operations import Operation
from kubetree.api.openapi.parameters import Parameter
from kubetree.api.openapi.shared_parameters import share
from kubetree.api.schema import definitions as d

Document = dict[str, Any]
SchemaOf = Callable[[Kind], dict[str, Any] | None]
"""The `openAPIV3Schema` of a custom resource's kind; None for one without."""

_INFO = {"title": "Kubernetes", "version": "1.36"}
_CUSTOM_INFO = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
_SECURITY = {"BearerToken": {"description": "Bearer Token authentication", "in": "header", "name": "authorization", "type": "apiKey"}}
_META_DOCUMENTS: dict[str, tuple[tuple[str, Operation], ...]] = {
    "api": (ops.of_group(""),),
    "apis": (ops.ALL_GROUPS,),
    "version": (ops.VERSION,),
    "openid/v1/jwks": (ops.KEYS,),
    ".well-known/openid-configuration": (ops.ISSUER,),
}


def _name(kind: Kind, name: str) -> str | None:
    """The definition of a kind (or of a list of it) at the row's group and version; made up for custom resources."""
    found = d.definition_name(kind.group, kind.version, name)
    if found is not None:
        return found
    builtin = d.definition_name(kind.group, kind.version, kind.kind) is not None or not kind.plural
    return None if builtin else custom_name(kind.group, kind.version, name)


def _is_custom(kind: Kind) -> bool:
    return d.name_of(kind) is None


def _custom(row: Kind, schema_of: SchemaOf | None, prefix: str) -> dict[str, Document]:
    """The definitions of a custom resource. A row that knows its schema needs nobody else to."""
    found = row.behaviour
    schema = found.schema if found is not None else schema_of(row) if schema_of is not None else None
    list_kind, labels = (found.list_kind, found.field_labels()) if found is not None else ("", ())
    return custom(schema, row.group, row.version, row.kind, row.plural, prefix, list_kind=list_kind, selectable=labels)


def _of_rows(rows: list[Kind]) -> dict[str, list[Operation]]:
    found = ops.of_kinds([row for row in rows if row.behaviour is None], _name)
    for row in rows:
        if row.behaviour is not None:
            found |= dict(CustomPaths(row, _name).all())
    return found


def _of_groups(rows: list[Kind]) -> dict[str, list[Operation]]:
    """The discovery of groups and versions, where there is a built-in kind in them."""
    built_in = [row for row in rows if row.behaviour is None]
    found = {}
    for group, version in dict.fromkeys((row.group, row.version) for row in built_in):
        path, operation = ops.of_group_version(group, version)
        found[path] = [operation]
    for group in dict.fromkeys(row.group for row in built_in):
        path, operation = ops.of_group(group)
        found[path] = [operation]
    return found


def _definitions_used(paths: Mapping[str, list[Operation]]) -> set[str]:
    used = {answer[2] for operations in paths.values() for o in operations for answer in o.answers if answer[2]}
    used |= {o.body for operations in paths.values() for o in operations if o.body}
    return {name for name in used if name}


def _shared(operations: list[Operation]) -> tuple[Parameter, ...]:
    """The parameters that all methods of a path have: they stand beside them."""
    first, *rest = operations
    return tuple(sorted(parameter for parameter in set(first.parameters) if all(parameter in o.parameters for o in rest)))


def _own(operation: Operation, shared: tuple[Parameter, ...]) -> list[Parameter]:
    return sorted(set(operation.parameters) - set(shared))


def _extensions(operation: Operation) -> Document:
    out: Document = {}
    if operation.action:
        out["x-kubernetes-action"] = operation.action
    if operation.kind is not None:
        group, version, kind = operation.kind
        out["x-kubernetes-group-version-kind"] = {"group": group, "kind": kind, "version": version}
    return out


# OpenAPI v2


def openapi_v2(kinds: Kinds, schema_of: SchemaOf | None = None) -> Document:
    """The whole API in OpenAPI v2. `schema_of` gives the schemas of custom resources."""
    rows = list(kinds)
    paths = _of_rows(rows) | _of_groups(rows)
    for path, operation in (ops.ALL_GROUPS, ops.VERSION, ops.KEYS, ops.ISSUER):
        paths[path] = [operation]
    found = {name: schemas.v2(name) for name in schemas.needed(_definitions_used(paths) | {d.OBJECT_META, d.LIST_META})}
    for row in rows:
        if _is_custom(row):
            found |= _custom(row, schema_of, schemas.V2)
    rendered = {path: _path_v2(paths[path]) for path in sorted(paths)}
    return {
        "swagger": "2.0",
        "info": _INFO,
        "parameters": share(rendered),
        "paths": rendered,
        "definitions": found,
        "securityDefinitions": _SECURITY,
        "security": [{"BearerToken": []}],
    }


def _path_v2(operations: list[Operation]) -> Document:
    shared = _shared(operations)
    out: Document = {o.method: _operation_v2(o, shared) for o in operations}
    if shared:
        out["parameters"] = [_parameter_v2(parameter) for parameter in shared]
    return out


def _parameter_v2(parameter: Parameter) -> Document:
    out = {"name": parameter.name, "in": parameter.place, "type": parameter.type, "description": parameter.description, "uniqueItems": True}
    return out | ({"required": True} if parameter.place == "path" else {})


def _operation_v2(o: Operation, shared: tuple[Parameter, ...]) -> Document:
    parameters = [_parameter_v2(parameter) for parameter in _own(o, shared)]
    if o.body:
        body: Document = {"name": "body", "in": "body", "schema": {"$ref": schemas.V2 + o.body}}
        parameters.insert(0, body | ({"required": True} if o.body_required else {}))
    out: Document = {
        "operationId": o.id,
        "description": o.description,
        **({} if o.bare else {"consumes": list(o.body_formats if o.action else o.formats)}),
        "produces": list(o.formats),
        "schemes": ["https"],
        "tags": [o.tag],
        "responses": {code: {"description": text, **_schema(definition, schemas.V2)} for code, text, definition in o.answers},
        **_extensions(o),
    }
    if parameters:
        out["parameters"] = parameters
    return out


def _schema(definition: str | None, prefix: str) -> Document:
    if definition is None:
        return {}
    return {"schema": {"$ref": prefix + definition} if definition else {"type": "string"}}


# OpenAPI v3


def document_names(kinds: Kinds) -> list[str]:
    """The names of all v3 documents: `api/v1`, `apis/apps`, `apis/apps/v1`, `version`."""
    names = dict.fromkeys(_META_DOCUMENTS)
    for row in kinds:
        if row.group and row.behaviour is None:
            names[f"apis/{row.group}"] = None
        names[f"apis/{row.group}/{row.version}" if row.group else f"api/{row.version}"] = None
    return sorted(names)


def openapi_v3_index(kinds: Kinds, schema_of: SchemaOf | None = None) -> Document:
    """`/openapi/v3`: every document with a URL that changes when it does, so that clients may keep it for ever."""
    return {
        "paths": {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={document_hash(kinds, name, schema_of)}"}
            for name in document_names(kinds)
        }
    }


def document_hash(kinds: Kinds, name: str, schema_of: SchemaOf | None = None) -> str:
    """The hash of what a document is made of. Upper-case hexadecimal SHA-512, without rendering the document."""
    digest = hashlib.sha512(f"{_INFO['version']} {name}".encode())
    for row in _rows(kinds, name):
        digest.update(repr(row).encode())
        if row.behaviour is not None:
            digest.update(repr((row.behaviour.schema, row.behaviour.list_kind, row.behaviour.field_labels())).encode())
        elif schema_of is not None and _is_custom(row):
            digest.update(repr(schema_of(row)).encode())
    return digest.hexdigest().upper()


def _rows(kinds: Iterable[Kind], name: str) -> list[Kind]:
    return [row for row in kinds if (f"apis/{row.group}/{row.version}" if row.group else f"api/{row.version}") == name]


def openapi_v3(kinds: Kinds, group: str, version: str, schema_of: SchemaOf | None = None) -> Document | None:
    """The document of a group and version; None when there is none."""
    return openapi_v3_document(kinds, f"apis/{group}/{version}" if group else f"api/{version}", schema_of)


def openapi_v3_document(kinds: Kinds, name: str, schema_of: SchemaOf | None = None) -> Document | None:
    """Any document by its name in the index; None when there is none."""
    if name in _META_DOCUMENTS:
        return _document({path: [operation] for path, operation in _META_DOCUMENTS[name]})
    rows = _rows(kinds, name)
    if not rows:
        group = name.removeprefix("apis/")
        if "/" in group or not any(row.group == group and row.behaviour is None for row in kinds):
            return None
        path, operation = ops.of_group(group)
        return _document({path: [operation]})
    paths = _of_rows(rows)
    custom_only = all(row.behaviour is not None for row in rows)
    if not custom_only:
        path, operation = ops.of_group_version(rows[0].group, rows[0].version)
        paths[path] = [operation]
    own: Document = {}
    for row in rows:
        if _is_custom(row):
            own |= _custom(row, schema_of, schemas.V3)
    document = _document(paths, own, rows[0].group, rows[0].version)
    if custom_only:
        document["info"] = _CUSTOM_INFO
        del document["components"]["securitySchemes"]
    return document


def _document(paths: dict[str, list[Operation]], own: Document | None = None, group: str = "", version: str = "") -> Document:
    used = _definitions_used(paths)
    if own:
        used |= {d.OBJECT_META, d.LIST_META}
    found = {name: schemas.v3(name) for name in schemas.needed(used)}
    keep = schemas.of_custom_resources if own else partial(schemas.of_group_version, group=group, version=version)
    found = {name: keep(schema) for name, schema in found.items()}
    found |= own or {}
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": {path: _path_v3(paths[path]) for path in sorted(paths)},
        "components": ({"schemas": found} if found else {}) | {"securitySchemes": _SECURITY},
    }


def _path_v3(operations: list[Operation]) -> Document:
    shared = _shared(operations)
    out: Document = {o.method: _operation_v3(o, shared) for o in operations}
    if shared:
        out["parameters"] = [_parameter_v3(parameter) for parameter in shared]
    return out


def _parameter_v3(parameter: Parameter) -> Document:
    out: Document = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": {"type": parameter.type, "uniqueItems": True},
    }
    return out | ({"required": True} if parameter.place == "path" else {})


def _operation_v3(o: Operation, shared: tuple[Parameter, ...]) -> Document:
    out: Document = {"operationId": o.id, "description": o.description, "tags": [o.tag]}
    parameters = [_parameter_v3(parameter) for parameter in _own(o, shared)]
    if parameters:
        out["parameters"] = parameters
    if o.body:
        schema = _schema(o.body, schemas.V3)
        out["requestBody"] = {"content": dict.fromkeys(o.body_formats, schema)} | ({"required": True} if o.body_required else {})
    responses: Document = {}
    for code, text, definition in o.answers:
        schema = _schema(definition, schemas.V3)
        responses[code] = {"description": text, **({"content": dict.fromkeys(o.formats, schema)} if schema else {})}
    return out | {"responses": responses} | _extensions(o)
