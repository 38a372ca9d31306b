"""OpenAPI v3 in gnostic's protobuf encoding (`application/com.github.proto-openapi.spec.v3...`)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from kubetree.api.openapi.proto import ONE, TWO, Encoding, Fields, free_value, named, security
from kubetree.api.protobuf.wire import FIXED64, tagged, varint

MEDIA_TYPES = (
    "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
)
"""What clients ask for. Answers are of the first: the @ of the second is no valid media type."""

_MESSAGES: dict[str, Fields] = {
    "Document": {
        "openapi": (1, "string"), "info": (2, "Info"), "servers": (3, "[]Server"), "paths": (4, "Paths"), "components": (5, "Components"),
        "security": (6, "[]Security"), "x-": (9, ""),
    },
    "Info": {"title": (1, "string"), "description": (2, "string"), "version": (6, "string"), "x-": (7, "")},
    "Server": {"url": (1, "string"), "description": (2, "string"), "x-": (4, "")},
    "Components": {
        "schemas": (1, "{}SchemaOrRef"), "responses": (2, "{}ResponseOrRef"), "parameters": (3, "{}ParameterOrRef"),
        "requestBodies": (5, "{}RequestBodyOrRef"), "headers": (6, "{}HeaderOrRef"), "securitySchemes": (7, "{}SecuritySchemeOrRef"), "x-": (10, ""),
    },
    "PathItem": {
        "$ref": (1, "string"), "summary": (2, "string"), "description": (3, "string"), "get": (4, "Operation"), "put": (5, "Operation"),
        "post": (6, "Operation"), "delete": (7, "Operation"), "options": (8, "Operation"), "head": (9, "Operation"), "patch": (10, "Operation"),
        "trace": (11, "Operation"), "servers": (12, "[]Server"), "parameters": (13, "[]ParameterOrRef"), "x-": (14, ""),
    },
    "Operation": {
        "tags": (1, "[]string"), "summary": (2, "string"), "description": (3, "string"), "operationId": (5, "string"),
        "parameters": (6, "[]ParameterOrRef"), "requestBody": (7, "RequestBodyOrRef"), "responses": (8, "Responses"), "deprecated": (10, "bool"),
        "security": (11, "[]Security"), "servers": (12, "[]Server"), "x-": (13, ""),
    },
    "Parameter": {
        "name": (1, "string"), "in": (2, "string"), "description": (3, "string"), "required": (4, "bool"), "deprecated": (5, "bool"),
        "allowEmptyValue": (6, "bool"), "style": (7, "string"), "explode": (8, "bool"), "allowReserved": (9, "bool"),
        "schema": (10, "SchemaOrRef"), "example": (11, "any"), "content": (13, "{}MediaType"), "x-": (14, ""),
    },
    "Header": {
        "description": (1, "string"), "required": (2, "bool"), "deprecated": (3, "bool"), "allowEmptyValue": (4, "bool"), "style": (5, "string"),
        "explode": (6, "bool"), "allowReserved": (7, "bool"), "schema": (8, "SchemaOrRef"), "example": (9, "any"), "x-": (12, ""),
    },
    "RequestBody": {"description": (1, "string"), "content": (2, "{}MediaType"), "required": (3, "bool"), "x-": (4, "")},
    "Response": {"description": (1, "string"), "headers": (2, "{}HeaderOrRef"), "content": (3, "{}MediaType"), "x-": (5, "")},
    "MediaType": {"schema": (1, "SchemaOrRef"), "example": (2, "any"), "x-": (5, "")},
    "Schema": {
        "nullable": (1, "bool"), "discriminator": (2, "Discriminator"), "readOnly": (3, "bool"), "writeOnly": (4, "bool"),
        "externalDocs": (6, "ExternalDocs"), "example": (7, "any"), "deprecated": (8, "bool"), "title": (9, "string"),
        "multipleOf": (10, "double"), "maximum": (11, "double"), "exclusiveMaximum": (12, "bool"), "minimum": (13, "double"),
        "exclusiveMinimum": (14, "bool"), "maxLength": (15, "int"), "minLength": (16, "int"), "pattern": (17, "string"), "maxItems": (18, "int"),
        "minItems": (19, "int"), "uniqueItems": (20, "bool"), "maxProperties": (21, "int"), "minProperties": (22, "int"),
        "required": (23, "[]string"), "enum": (24, "[]any"), "type": (25, "string"), "allOf": (26, "[]SchemaOrRef"), "oneOf": (27, "[]SchemaOrRef"),
        "anyOf": (28, "[]SchemaOrRef"), "not": (29, "Schema"), "items": (30, "Items"), "properties": (31, "{}SchemaOrRef"),
        "additionalProperties": (32, "Additional"), "default": (33, "Default"), "description": (34, "string"), "format": (35, "string"), "x-": (36, ""),
    },
    "ExternalDocs": {"description": (1, "string"), "url": (2, "string"), "x-": (3, "")},
    "Discriminator": {"propertyName": (1, "string"), "x-": (3, "")},
    "SecurityScheme": {
        "type": (1, "string"), "description": (2, "string"), "name": (3, "string"), "in": (4, "string"), "scheme": (5, "string"),
        "bearerFormat": (6, "string"), "openIdConnectUrl": (8, "string"), "x-": (9, ""),
    },
}  # fmt: skip


def encode(document: dict[str, Any]) -> bytes:
    """The bytes of a whole OpenAPI v3 document."""
    return _V3.message("Document", document)


def _paths(value: dict[str, Any]) -> bytes:
    return b"".join(tagged(ONE, named(path, _V3.message("PathItem", item))) for path, item in value.items())


def _responses(value: dict[str, Any]) -> bytes:
    default = tagged(ONE, _SHAPES["ResponseOrRef"](value["default"])) if "default" in value else b""
    rest = (tagged(TWO, named(code, _SHAPES["ResponseOrRef"](item))) for code, item in value.items() if code != "default")
    return default + b"".join(rest)


def _or_reference(kind: str) -> Callable[[dict[str, Any]], bytes]:
    def encoded(value: dict[str, Any]) -> bytes:
        if "$ref" in value:
            return tagged(TWO, tagged(ONE, value["$ref"].encode()))
        return tagged(ONE, _V3.message(kind, value))

    return encoded


def _additional(value: Any) -> bytes:
    if isinstance(value, bool):
        return varint(TWO << 3) + (b"\x01" if value else b"\x00")
    return tagged(ONE, _SHAPES["SchemaOrRef"](value))


def _items(value: Any) -> bytes:
    return b"".join(tagged(ONE, _SHAPES["SchemaOrRef"](item)) for item in (value if isinstance(value, list) else [value]))


def _default(value: Any) -> bytes:
    """A default that is a list or an object has no place here."""
    if isinstance(value, bool):
        return varint(TWO << 3) + (b"\x01" if value else b"\x00")
    if isinstance(value, int | float):
        return varint(ONE << 3 | FIXED64) + struct.pack("<d", value)
    return tagged(3, value.encode()) if isinstance(value, str) else b""


_SHAPES: dict[str, Callable[[Any], bytes]] = {
    "any": free_value,
    "Paths": _paths,
    "Responses": _responses,
    "Additional": _additional,
    "Items": _items,
    "Default": _default,
    "Security": security,
    **{f"{kind}OrRef": _or_reference(kind) for kind in ("Schema", "Response", "Parameter", "RequestBody", "Header", "SecurityScheme")},
}
_V3: Encoding = Encoding(_MESSAGES, _SHAPES)
