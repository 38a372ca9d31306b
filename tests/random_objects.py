"""Objects that have the right types and little sense: what a server must refuse with words, not with a crash."""

from __future__ import annotations

from random import Random
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.api.schema import definition
from kubetree.api.schema.definitions import definitions, name_of, reference

Object = dict[str, Any]
WORDS = (
    *("", "a", "x.y", "A b", "a/b", "example.com/x", "..", "/p", "*", "é", "x" * 300, "v1", "apps/v1", "Pod", "default", "eA=="),
    *("10.0.0.1", "::1", "10.0.0.0/8", "http://x", "50%", "100m", "* * * * *", "cpu", "memory", "TCP", "UDP", "Always", "Never"),
    *("None", "Exists", "In", "Equal", "NoExecute", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Recreate", "Indexed"),
    *("RollingUpdate", "Limited", "Exempt", "Queue", "User", "Group", "ServiceAccount", "Webhook", "Resource", "Pods", "External"),
    *("Object", "Utilization", "Value", "Cluster", "Namespaced", "object", "array", "string", "True", "False", "Complete", "Approved"),
)
NUMBERS = (0, 1, -1, 5, 80, 443, 600, 65536, 2**31 - 1)
QUANTITIES = ("0", "1", "100m", "1Gi", "-1", "0.1", "1e3")
LEAVES: dict[str, tuple[Any, ...]] = {
    "Quantity": QUANTITIES,
    "IntOrString": (*NUMBERS, "50%", "http", "-1"),
    "Time": ("2026-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
    "MicroTime": ("2026-01-01T00:00:00.000000Z",),
    "RawExtension": ({}, {"a": 1}),
    "FieldsV1": ({},),
    "JSON": ({}, "a", 1),
    "JSONSchemaPropsOrBool": (True, False, {"type": "string"}),
    "JSONSchemaPropsOrArray": ({"type": "string"}, [{"type": "string"}]),
    "JSONSchemaPropsOrStringArray": (["a"],),
}


class RandomObjects:
    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def of(self, kind: Kind) -> Object:
        """An object of a kind, named `x`."""
        obj: Object = self._value(definition(kind), 0)
        metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k in ("labels", "annotations", "ownerReferences", "finalizers")}
        metadata |= {"name": "x", "namespace": "default"} if kind.namespaced else {"name": "x"}
        return {**obj, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}

    def _value(self, schema: Object, depth: int) -> Any:
        ref, choose = reference(schema), self._random.choice
        if ref is not None:
            leaf = LEAVES.get(ref.rpartition(".")[2])
            return choose(leaf) if leaf else self._value(definitions()[ref], depth)
        sort = schema.get("type")
        if isinstance(sort, list):
            sort = next(s for s in sort if s != "null")
        if sort == "object":
            return self._object(schema, depth)
        if sort == "array":
            return [self._value(schema["items"], depth + 1) for _ in range(choose((0, 1, 1, 2)) if depth < 8 else 0)]
        if sort == "string":
            return choose(("", "eA==")) if schema.get("format") == "byte" else choose(WORDS)
        return choose({"integer": NUMBERS, "number": (0.5, 1), "boolean": (True, False)}.get(sort or "", QUANTITIES))

    def _object(self, schema: Object, depth: int) -> Object:
        if "properties" not in schema:
            values = schema.get("additionalProperties")
            keys = self._random.sample(WORDS, self._random.randint(0, 2))
            return {key: self._value(values, depth + 1) for key in keys} if isinstance(values, dict) else {}
        often = 0.75 if depth < 2 else 0.45 if depth < 5 else 0.15 if depth < 10 else 0
        needed = schema.get("required", ())
        names = [n for n in schema["properties"] if self._random.random() < (max(often, 0.5) if n in needed else often)]
        return {name: self._value(schema["properties"][name], depth + 1) for name in names}


def known(kind: Kind) -> bool:
    return name_of(kind) is not None
