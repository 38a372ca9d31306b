"""Definitions lie in etcd as upstream keeps them there, and are seen as they are served."""

from __future__ import annotations

import orjson

from kubetree.apiserver.encryption.store import EncryptedStore
from kubetree.apiserver.encryption.transformers import IDENTITY
from kubetree.store.memory import MemoryStore
from kubetree.store.protocol import StoreEvent

KEY = "/registry/apiextensions.k8s.io/customresourcedefinitions/cars.example.com"
SCHEMA = {"openAPIV3Schema": {"type": "object"}}
SERVED = orjson.dumps(
    {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "cars.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"plural": "cars", "singular": "car", "kind": "Car", "listKind": "CarList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}],
            "conversion": {"strategy": "None"},
        },
        "status": {"storedVersions": ["v1"]},
    }
)


async def test_definitions_are_stored_at_v1beta1_and_read_at_v1() -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, lambda key: IDENTITY)
    async with store.watch("/registry/", 1) as watch:
        await store.create(KEY, SERVED)
        entry, _ = await inner.get(KEY)
        assert entry is not None
        raw = orjson.loads(entry.value)
        assert (raw["apiVersion"], raw["spec"]["validation"]) == ("apiextensions.k8s.io/v1beta1", SCHEMA)
        found, _ = await store.get(KEY)
        assert found is not None
        assert orjson.loads(found.value) == orjson.loads(SERVED)
        assert [event.value for event in watch.take() if isinstance(event, StoreEvent)] == [found.value]
    assert [listed.value for listed in (await store.range("/registry/")).entries] == [found.value]


async def test_other_kinds_are_stored_as_they_are_served() -> None:
    inner = MemoryStore()
    value = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}'
    await EncryptedStore(inner, lambda key: IDENTITY).create("/registry/configmaps/d/a", value)
    entry, _ = await inner.get("/registry/configmaps/d/a")
    assert entry is not None and entry.value == value


async def test_what_was_written_at_another_version_of_its_kind_is_read_as_the_stored_one() -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, lambda key: IDENTITY)
    events = (
        b'{"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"e"},"note":"hello"}',
        b'{"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":{"name":"e"},"note":"hello"}',
    )
    for i, value in enumerate(events):
        await inner.create(f"/registry/events/d/{i}", value)
        found, _ = await store.get(f"/registry/events/d/{i}")
        assert found is not None
        assert orjson.loads(found.value) == {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "e"}, "message": "hello"}


async def test_policies_lie_in_etcd_at_the_version_of_the_release_before() -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, lambda key: IDENTITY)
    value = b'{"kind":"MutatingAdmissionPolicy","apiVersion":"admissionregistration.k8s.io/v1","metadata":{"name":"p"},"spec":{}}'
    await store.create("/registry/mutatingadmissionpolicies/p", value)
    raw, _ = await inner.get("/registry/mutatingadmissionpolicies/p")
    assert raw is not None and orjson.loads(raw.value)["apiVersion"] == "admissionregistration.k8s.io/v1beta1"
    found, _ = await store.get("/registry/mutatingadmissionpolicies/p")
    assert found is not None and found.value == value
