"""OpenAPI v2 to v3, for servers that speak only the older one. Pure; what v2 does not know, v3 does not get.

Follows kube-openapi's openapiconv.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.openapi.schemas import V2, V3
from kubetree.api.openapi.shared_parameters import PREFIX as PARAMETERS

Document = dict[str, Any]
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_KEPT = ("description", "tags", "summary", "deprecated", "operationId")
_SIMPLE = ("type", "format", "uniqueItems")


def to_v3(document: Document) -> Document:
    shared = document.get("parameters") or {}
    paths = {path: _path(item, shared) for path, item in (document.get("paths") or {}).items()}
    components: Document = {"schemas": {name: _schema(schema) for name, schema in (document.get("definitions") or {}).items()}}
    if document.get("securityDefinitions"):
        components["securitySchemes"] = document["securityDefinitions"]
    return {"openapi": "3.0.0", "info": document.get("info") or {}, "paths": paths, "components": components}


def _path(item: Document, shared: Document) -> Document:
    out: Document = {key: value for key, value in item.items() if key.startswith("x-")}
    out |= {method: _operation(item[method], shared) for method in _METHODS if method in item}
    if item.get("parameters"):
        out["parameters"] = [_parameter(_resolved(parameter, shared)) for parameter in item["parameters"]]
    return out


def _resolved(parameter: Document, shared: Document) -> Document:
    found: Document = shared.get(str(parameter.get("$ref", "")).removeprefix(PARAMETERS), parameter)
    return found


def _operation(operation: Document, shared: Document) -> Document:
    out: Document = {key: value for key, value in operation.items() if key in _KEPT or key.startswith("x-")}
    parameters = []
    for given in operation.get("parameters") or ():
        parameter = _resolved(given, shared)
        if parameter.get("name") == "body" and parameter.get("schema") is not None:
            schema = _schema(parameter["schema"])
            out["requestBody"] = {"content": {kind: {"schema": schema} for kind in operation.get("consumes") or ()}}
        else:
            parameters.append(_parameter(parameter))
    if parameters:
        out["parameters"] = parameters
    responses: Document = {}
    for code, response in (operation.get("responses") or {}).items():
        made: Document = {"description": response.get("description") or ""}
        if response.get("schema") is not None:
            made["content"] = {kind: {"schema": _schema(response["schema"])} for kind in operation.get("produces") or ()}
        responses[code] = made
    return out | {"responses": responses}


def _parameter(parameter: Document) -> Document:
    out = {key: value for key, value in parameter.items() if key not in (*_SIMPLE, "schema")}
    if parameter.get("schema") is not None:
        return out | {"schema": _schema(parameter["schema"])}
    return out | {"schema": {key: parameter[key] for key in _SIMPLE if key in parameter}}


def _schema(schema: Any) -> Any:
    """References go to where v3 has them, and are wrapped where something stands beside them, which v3 would not see."""
    if isinstance(schema, list):
        return [_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out: Document = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: _schema(field) for name, field in value.items()}
        elif key in ("items", "additionalProperties", "additionalItems"):
            out[key] = _schema(value)
        elif key == "$ref":
            out[key] = value.replace(V2, V3, 1)
        else:
            out[key] = value
    if "$ref" in out and len(out) > 1:
        out["allOf"] = [{"$ref": out.pop("$ref")}]
    return out
