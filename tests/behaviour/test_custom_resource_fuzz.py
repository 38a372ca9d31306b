"""Definitions with schemas made at random, and objects that fit them or do not: whatever comes, the server answers with the client's error."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from behaviour.apiserver_harness import Http, Reply, running_server
from storage_modes import Mode

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.one_store]
Object = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAMES = ("a", "b-c", "spec", "status", "$ref", "x.y", "if", "é", "", "metadata", "kind", "replicas", "a" * 70)
TEXTS = ("", "a", "2026-01-01", "10.0.0.1", "\x00", "é", "x" * 300, "1", "null", "2026-01-01T00:00:00Z", "eA==", "1Gi")
NUMBERS = (0, 1, -1, 1.5, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**64), 1e300, 10**400, -0.0)
FORMATS = ("date", "date-time", "ipv4", "byte", "int32", "int64", "uuid", "duration", "nonsense", "email", "password", "cidr", "quantity")
PATTERNS = ("^a+$", "[", "(?=a)", "\\p{L}", "a{1001}", "(a*)*b", ".*")
RULES = (
    "self == oldSelf",
    "self.a > 1",
    "size(self) < 3",
    "has(self.a)",
    "(",
    "self.all(x, x)",
    "true",
    "1",
    "self.matches('[')",
    "duration(self) > x",
)
UPSTREAM_TOO = "replicas field"  # a scale of an object that has no replicas is upstream's internal error, too
QUERIES = (
    *("", "?limit=1", "?limit=1&continue=x", "?fieldSelector=spec.a%3D1", "?labelSelector=a%2Cb!%3Dc", "?resourceVersion=0"),
    *("?resourceVersionMatch=Exact&resourceVersion=1", "?resourceVersionMatch=NotOlderThan", "?sendInitialEvents=true"),
)
ACCEPTS = (
    *("application/json", "application/yaml", "application/json;as=Table;g=meta.k8s.io;v=v1", "application/vnd.kubernetes.protobuf"),
    *("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
    *("application/cbor", "application/json;as=Table;g=meta.k8s.io;v=v1beta1", "application/json;as=x;g=y;v=z"),
)


class Schemas:
    """Schemas, two of three of which break few rules, and values that have to do with them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.tame = seed % 3 > 0

    def schema(self, depth: int = 0) -> Any:
        if self.tame:
            return self.proper(depth)
        choose, random = self.random.choice, self.random.random
        sort = "object" if depth == 0 else choose(("object", "array", "string", "integer", "number", "boolean", "", "x"))
        made: Object = {"type": sort} if sort else {choose(("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")): True}
        if sort == "object" and depth < 4:
            names = self.random.sample(NAMES, choose((1, 2, 4)))
            if random() < 0.8:
                made["properties"] = {name: self.schema(depth + 1) for name in names}
            else:
                made["additionalProperties"] = choose((True, self.schema(depth + 1)))
            if random() < 0.3:
                made["required"] = [choose(names)]
        elif sort == "array":
            made["items"] = self.schema(depth + 1) if depth < 4 else {"type": "string"}
            made |= choose(
                ({}, {"x-kubernetes-list-type": choose(("set", "atomic", "map"))}, {"maxItems": choose(NUMBERS[:4]), "uniqueItems": False})
            )
            if random() < 0.2:
                made["x-kubernetes-list-map-keys"] = [choose(NAMES)]
        extra = (
            {"enum": [self.value({}, 3), self.value({}, 3)]},
            {"pattern": choose(PATTERNS)},
            {"format": choose(FORMATS)},
            {"minimum": choose(NUMBERS[:6]), "exclusiveMinimum": True},
            {"default": self.value(made, depth + 1)},
            {"nullable": True},
            {"x-kubernetes-validations": [{"rule": choose(RULES), "message": choose(TEXTS)}]},
            {choose(("allOf", "anyOf", "oneOf")): [{"required": [choose(NAMES)]}, {"properties": {choose(NAMES): {"minimum": 1}}}]},
            {"not": {"enum": [1]}},
            {"multipleOf": choose(NUMBERS[:5])},
            {"x-kubernetes-embedded-resource": True},
            {"x-kubernetes-map-type": choose(("atomic", "granular", "x"))},
            {"$ref": "#/x"},
            {"maxLength": choose((-1, 0, 3)), "minProperties": choose((-1, 0, 2))},
        )
        return {**made, **(choose(extra) if random() < 0.4 else {})}

    def proper(self, depth: int) -> Object:
        """A structural schema; what it says beyond types may still make no sense together."""
        choose, random = self.random.choice, self.random.random
        if depth == 0:
            parts = {name: self.proper(1) for name in ("spec", "status", "$ref", "x.y", "é") if random() < 0.7}
            return {"type": "object", "properties": parts} if parts else {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        sort = choose(("object", "object", "array", "string", "integer", "number", "boolean") if depth < 4 else ("string", "integer"))
        made: Object = {"type": sort}
        if sort == "object":
            names = self.random.sample(("a", "b-c", "replicas", "if", "x.y", "é", "self"), 3)
            key = choose(("properties", "properties", "additionalProperties"))
            made[key] = {name: self.proper(depth + 1) for name in names} if key == "properties" else self.proper(depth + 1)
            made |= choose(({}, {"required": names[:1]}, {"maxProperties": 2}, {"x-kubernetes-map-type": "atomic"}, {"nullable": True}))
            made |= choose(({}, {"x-kubernetes-preserve-unknown-fields": True})) if key == "properties" else {}
        elif sort == "array":
            keyed = {"type": "object", "properties": {"k": {"type": "string"}, "v": self.proper(depth + 2)}, "required": ["k"]}
            of_map = {"items": keyed, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
            of_set = {"items": {"type": "string"}, "x-kubernetes-list-type": "set", "maxItems": 3}
            made |= choose((of_map, of_set, {"items": self.proper(depth + 1)}))
        elif sort == "string":
            made |= choose(({}, {"format": choose(FORMATS)}, {"pattern": "^a+$"}, {"enum": ["a", ""]}, {"maxLength": 3}, {"default": "a"}))
        elif sort in ("integer", "number"):
            made |= choose(
                ({}, {"minimum": 1}, {"multipleOf": 2}, {"default": 7}, {"enum": [1, 2]}, {"format": "int32"}, {"maximum": 1e300})
            )
        if random() < 0.1:
            made |= {"x-kubernetes-validations": [{"rule": choose(("self == oldSelf", "true", "string(self) != 'a'", "1 / 0 > 1"))}]}
        return made

    def value(self, schema: Any, depth: int = 0) -> Any:
        choose = self.random.choice
        if self.random.random() < 0.15 or not isinstance(schema, dict):
            return choose((None, True, {}, [], *TEXTS, *NUMBERS, {"a": {"b": [None]}}, [[1], {}]))
        match schema.get("type"):
            case "object":
                known = {
                    name: self.value(part, depth + 1) for name, part in schema.get("properties", {}).items() if self.random.random() < 0.7
                }
                return known | choose(({}, {}, {choose(NAMES): choose(TEXTS)}))
            case "array":
                return [self.value(schema.get("items"), depth + 1) for _ in range(choose((0, 1, 3)))]
            case "string":
                return choose(TEXTS)
            case "integer" | "number":
                return choose(NUMBERS)
            case "boolean":
                return choose((True, False))
        return choose((*TEXTS, *NUMBERS, {}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(storage: Mode) -> AsyncIterator[Http]:
    async with running_server() as running:
        yield running


def sane(reply: Reply, *what: Any) -> None:
    known = reply.status == 504 or UPSTREAM_TOO in reply.text
    assert reply.status < 500 or known, (what, reply.status, reply.text[:500])
    assert "Traceback" not in reply.text, (what, reply.text)


def definition(group: str, schemas: Schemas) -> Object:
    schema, choose = schemas.schema(), schemas.random.choice
    subresources = choose(
        ({}, {"status": {}}, {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}})
    )
    types = ("string", "integer", "date", "number", "boolean") if schemas.tame else ("string", "x")
    paths = (".spec.a", ".a[0]", ".spec.a[?(@.b==1)]", ".metadata.creationTimestamp") if schemas.tame else (".spec[", "x", "")
    columns = [{"name": "A", "type": choose(types), "jsonPath": choose(paths)}]
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, "subresources": subresources}
    if schemas.random.random() < 0.5:
        version["additionalPrinterColumns"] = columns
    if schemas.random.random() < (0.1 if schemas.tame else 0.4):
        version["selectableFields"] = [{"jsonPath": choose((".spec.a", ".spec", ".metadata.name", "x"))}]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "names": {"plural": "things", "kind": "Thing"}, "scope": "Namespaced", "versions": [version]},
    }


async def accepted(http: Http, made: Object, group: str) -> bool:
    """Whether the definition is served, after it was cured of what was wrong with its schema by leaving that out."""
    reply = await http.post(DEFINITIONS, json.dumps(made), Content_Type="application/json")
    sane(reply, made)
    if reply.status != 201:
        return False
    for _ in range(100):
        if (await http.get(f"/apis/{group}/v1/namespaces/default/things")).status == 200:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("seed", range(8))
async def test_definitions_and_objects_at_random(http: Http, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    served = 0
    for number in range(9):
        schemas, group = Schemas(seed * 100 + number), f"g{seed}-{number}.example.com"
        made = definition(group, schemas)
        if not await accepted(http, made, group):
            continue
        served += 1
        schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        where = f"/apis/{group}/v1/namespaces/default/things"
        for _ in range(3):
            await lives(http, where, {"apiVersion": f"{group}/v1", "kind": "Thing"}, schema, schemas)
        for accept in ACCEPTS:
            sane(await http.get(where + schemas.random.choice(QUERIES), Accept=accept), accept, made)
        if served == 1:
            sane(await http.get(f"{where}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"), made)
            sane(await http.get("/openapi/v2"), made)
        sane(await http.get(f"/openapi/v3/apis/{group}/v1"), made)
        sane(await http.delete(f"{DEFINITIONS}/things.{group}"), made)
    assert served > 1
    loud = [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert not loud


async def lives(http: Http, where: str, types: Object, schema: Any, schemas: Schemas) -> None:
    """One object is created, and changed in every way there is."""

    def obj() -> Object:
        value = schemas.value(schema)
        return {**(value if isinstance(value, dict) else {"spec": value}), **types, "metadata": {"name": "x"}}

    validation = schemas.random.choice(("Strict", "Warn", "Ignore"))
    sane(await http.post(f"{where}?fieldValidation={validation}", json.dumps(obj()), Content_Type="application/json"), schema)
    await http.post(where, json.dumps({**types, "metadata": {"name": "x"}}), Content_Type="application/json")
    change, name = obj(), schemas.random.choice(NAMES)
    operations = [{"op": schemas.random.choice(("add", "replace", "test")), "path": f"/{name}", "value": change.get(name)}]
    for here in (f"{where}/x", f"{where}/x/status", f"{where}/x/scale"):
        for kind, patch in (
            ("merge-patch+json", change),
            ("json-patch+json", operations),
            ("strategic-merge-patch+json", change),
            ("apply-patch+yaml", change),
        ):
            sane(await http.patch(f"{here}?fieldManager=f&force=true", json.dumps(patch), kind), here, kind, patch, schema)
        sane(await http.put(here, json.dumps(obj()), Content_Type="application/json"), here, schema)
        for accept in ACCEPTS[:3]:
            sane(await http.get(here, Accept=accept), here, accept, schema)
    sane(await http.delete(f"{where}/x"), schema)


@pytest.mark.parametrize("form", ["json", "yaml"])
async def test_numbers_of_any_size(http: Http, form: str) -> None:
    """Integers beyond 64 bits are floats, and what no float holds is refused; YAML takes it for text, as Go's parser does."""
    group = f"numbers-{form}.example.com"
    made = definition(group, Schemas(0))
    made["spec"]["versions"] = [
        {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }
    ]
    assert await accepted(http, made, group)
    where, types = f"/apis/{group}/v1/namespaces/default/things", {"apiVersion": f"{group}/v1", "kind": "Thing"}
    body = {**types, "metadata": {"name": "a"}, "whole": 2**62, "long": -(2**64)}
    text = json.dumps(body) if form == "json" else "\n".join(f"{key}: {json.dumps(value)}" for key, value in body.items())
    reply = await http.post(where, text, Content_Type=f"application/{form}")
    assert reply.status == 201, reply.text
    assert (reply.json["whole"], reply.json["long"]) == (2**62, -float(2**64))
    text = text.replace('"a"', '"b"').replace(str(2**62), "1" + "0" * 400)
    reply = await http.post(where, text, Content_Type=f"application/{form}")
    if form == "json":
        assert reply.status == 400 and "cannot unmarshal number 1000" in reply.text
    else:
        assert reply.json["whole"] == "1" + "0" * 400
