"""OpenAPI v2 in gnostic's protobuf encoding, which kubectl and client-go ask for (`application/com.github.proto-openapi.spec.v2...`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.openapi.proto import ONE, TWO, Encoding, Fields, free_value, named, security, strings
from kubetree.api.protobuf.wire import tagged

MEDIA_TYPES = (
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
)
"""What clients ask for. Answers are of the first: the @ of the second is no valid media type."""

_MESSAGES: dict[str, Fields] = {
    "Document": {
        "swagger": (1, "string"), "info": (2, "Info"), "host": (3, "string"), "basePath": (4, "string"), "schemes": (5, "[]string"),
        "consumes": (6, "[]string"), "produces": (7, "[]string"), "paths": (8, "Paths"), "definitions": (9, "{}Schema"), "parameters": (10, "{}BareParameter"),
        "security": (12, "[]Security"), "securityDefinitions": (13, "{}SecurityDefinition"), "x-": (16, ""),
    },
    "Info": {"title": (1, "string"), "version": (2, "string"), "description": (3, "string"), "x-": (7, "")},
    "PathItem": {
        "$ref": (1, "string"), "get": (2, "Operation"), "put": (3, "Operation"), "post": (4, "Operation"), "delete": (5, "Operation"),
        "options": (6, "Operation"), "head": (7, "Operation"), "patch": (8, "Operation"), "parameters": (9, "[]Parameter"), "x-": (10, ""),
    },
    "Operation": {
        "tags": (1, "[]string"), "summary": (2, "string"), "description": (3, "string"), "operationId": (5, "string"),
        "produces": (6, "[]string"), "consumes": (7, "[]string"), "parameters": (8, "[]Parameter"), "responses": (9, "Responses"),
        "schemes": (10, "[]string"), "deprecated": (11, "bool"), "x-": (13, ""),
    },
    "BodyParameter": {
        "description": (1, "string"), "name": (2, "string"), "in": (3, "string"), "required": (4, "bool"), "schema": (5, "Schema"),
        "x-": (6, ""),
    },
    "QueryParameter": {
        "required": (1, "bool"), "in": (2, "string"), "description": (3, "string"), "name": (4, "string"), "type": (6, "string"),
        "format": (7, "string"), "uniqueItems": (20, "bool"), "x-": (23, ""),
    },
    "PathParameter": {
        "required": (1, "bool"), "in": (2, "string"), "description": (3, "string"), "name": (4, "string"), "type": (5, "string"),
        "format": (6, "string"), "uniqueItems": (19, "bool"), "x-": (22, ""),
    },
    "Response": {"description": (1, "string"), "schema": (2, "ResponseSchema"), "x-": (5, "")},
    "Schema": {
        "$ref": (1, "string"), "format": (2, "string"), "title": (3, "string"), "description": (4, "string"), "default": (5, "any"),
        "multipleOf": (6, "double"), "maximum": (7, "double"), "exclusiveMaximum": (8, "bool"), "minimum": (9, "double"),
        "exclusiveMinimum": (10, "bool"), "maxLength": (11, "int"), "minLength": (12, "int"), "pattern": (13, "string"),
        "maxItems": (14, "int"), "minItems": (15, "int"), "uniqueItems": (16, "bool"), "maxProperties": (17, "int"),
        "minProperties": (18, "int"), "required": (19, "[]string"), "enum": (20, "[]any"), "additionalProperties": (21, "Additional"),
        "type": (22, "Type"), "items": (23, "Items"), "allOf": (24, "[]Schema"), "properties": (25, "{}Schema"),
        "discriminator": (26, "string"), "readOnly": (27, "bool"), "example": (30, "any"), "x-": (31, ""),
    },
    "ApiKey": {"type": (1, "string"), "name": (2, "string"), "in": (3, "string"), "description": (4, "string"), "x-": (5, "")},
}  # fmt: skip


def encode(document: dict[str, Any]) -> bytes:
    """The bytes of a whole OpenAPI v2 document."""
    return _V2.message("Document", document)


def _paths(value: dict[str, Any]) -> bytes:
    return b"".join(tagged(TWO, named(path, _V2.message("PathItem", item))) for path, item in value.items())


def _parameter(value: dict[str, Any]) -> bytes:
    if "$ref" in value:
        return tagged(TWO, tagged(ONE, value["$ref"].encode()))
    return tagged(ONE, _bare_parameter(value))


def _bare_parameter(value: dict[str, Any]) -> bytes:
    if value["in"] == "body":
        return tagged(ONE, _V2.message("BodyParameter", value))
    number, kind = (4, "PathParameter") if value["in"] == "path" else (3, "QueryParameter")
    return tagged(TWO, tagged(number, _V2.message(kind, value)))


def _responses(value: dict[str, Any]) -> bytes:
    return b"".join(tagged(ONE, named(code, tagged(ONE, _V2.message("Response", item)))) for code, item in value.items())


def _additional(value: Any) -> bytes:
    return _V2.field(TWO, "bool", value) if isinstance(value, bool) else tagged(ONE, _V2.message("Schema", value))


def _schemas(value: Any) -> bytes:
    return b"".join(tagged(ONE, _V2.message("Schema", item)) for item in (value if isinstance(value, list) else [value]))


def _type(value: Any) -> bytes:
    return strings([value] if isinstance(value, str) else value)


_SHAPES: dict[str, Callable[[Any], bytes]] = {
    "any": free_value,
    "Paths": _paths,
    "Parameter": _parameter,
    "BareParameter": _bare_parameter,
    "Responses": _responses,
    "ResponseSchema": lambda value: tagged(ONE, _V2.message("Schema", value)),
    "Additional": _additional,
    "Items": _schemas,
    "Type": _type,
    "Security": security,
    "SecurityDefinition": lambda value: tagged(TWO, _V2.message("ApiKey", value)),
}
_V2: Encoding = Encoding(_MESSAGES, _SHAPES)
