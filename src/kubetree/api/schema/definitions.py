"""The OpenAPI definitions of every built-in type of v1.36, from the kubernetes-validate package, indexed by kind.

Loaded once, on first use. Definitions are shared: nobody changes them.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from kubetree.api.kinds import Kind

Schema = dict[str, Any]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
OBJECT_META = _META + "ObjectMeta"
LIST_META = _META + "ListMeta"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
TIME, MICRO_TIME, DURATION = _META + "Time", _META + "MicroTime", _META + "Duration"
FIELDS_V1 = _META + "FieldsV1"
RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
_CRD = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
JSON_SCHEMA_PROPS = _CRD + "JSONSchemaProps"
JSON_SCHEMA_OR_ARRAY = _CRD + "JSONSchemaPropsOrArray"
JSON_SCHEMA_OR_BOOL = _CRD + "JSONSchemaPropsOrBool"
JSON_SCHEMA_OR_STRINGS = _CRD + "JSONSchemaPropsOrStringArray"
ANYTHING = frozenset({FIELDS_V1, RAW_EXTENSION, _CRD + "JSON", _META + "Patch"})
"""Types whose JSON is kept as it comes."""


@lru_cache(maxsize=1)
def definitions() -> dict[str, Schema]:
    """Every definition by its full name (`io.k8s.api.core.v1.Pod`), in OpenAPI v2's form.

    The package is found, not imported: what it imports in turn is of no use here.
    """
    package = find_spec("kubernetes_validate")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("kubernetes-validate is not installed: it carries the definitions of v1.36")
    path = Path(package.origin).parent / "kubernetes-json-schema" / "v1.36.0-local" / "_definitions.json"
    found: dict[str, Schema] = orjson.loads(path.read_bytes())["$defs"]
    return found


@lru_cache(maxsize=1)
def _by_kind() -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for name, definition in definitions().items():
        for row in definition.get("x-kubernetes-group-version-kind") or ():
            key = row["group"], row["version"], row["kind"]
            if key not in found or name.endswith(f".{key[1]}.{key[2]}"):
                found[key] = name
    return found


def definition_name(group: str, version: str, kind: str) -> str | None:
    """The full name of a kind's definition; None for kinds that are not built in."""
    return _by_kind().get((group, version, kind))


def name_of(kind: Kind) -> str | None:
    return _by_kind().get((kind.group, kind.version, kind.kind))


def definition(kind: Kind | str) -> Schema:
    """The definition of a kind or of a full name. Raises KeyError for what is not built in."""
    name = kind if isinstance(kind, str) else name_of(kind)
    if name is None:
        raise KeyError(f"no definition of {kind.kind if isinstance(kind, Kind) else kind}")
    return definitions()[name]


def reference(schema: Schema) -> str | None:
    """The name of the definition that a schema refers to, directly or through a nullable `oneOf`; None when it refers to none."""
    ref: str | None = schema.get("$ref")
    if ref is None:
        for alternative in schema.get("oneOf") or schema.get("allOf") or ():
            ref = alternative.get("$ref") or ref
    return ref.rpartition("/")[2] if ref else None


def type_of(schema: Schema) -> str:
    """`object`, `array`, `string`, `integer`, `number`, `boolean`; '' when the schema leaves it open."""
    found = schema.get("type")
    if isinstance(found, list):
        return next((t for t in found if t != "null"), "")
    return found or ""


def go_name(name: str) -> str:
    """How Go's messages name a type: `v1.PodSpec`."""
    return ".".join(name.split(".")[-2:])
