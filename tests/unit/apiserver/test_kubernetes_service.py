"""The Service `kubernetes` and its endpoints follow the API servers that are alive."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.apiserver.kubernetes_service import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    SERVICE,
    KubernetesService,
    advertised_address,
    external_address,
)
from kubetree.apiserver.options.config import Config
from kubetree.store.memory import MemoryStore
from listed_objects import ListedObjects

Object = dict[str, Any]


async def endpoints(objects: ListedObjects) -> tuple[list[str], list[str]]:
    found = await objects.get(ENDPOINTS, "default", "kubernetes")
    slices = await objects.get(ENDPOINT_SLICE, "default", "kubernetes")
    addresses = [address["ip"] for subset in found["subsets"] for address in subset["addresses"]]
    return addresses, [address for endpoint in slices["endpoints"] for address in endpoint["addresses"]]


async def test_servers_come_and_go() -> None:
    objects, store = ListedObjects(), MemoryStore()
    one, two = (KubernetesService(Config(), store, objects, address, 6443) for address in ("10.0.0.1", "10.0.0.2"))
    await one.once()
    assert (await objects.get(SERVICE, "default", "kubernetes"))["spec"]["clusterIP"] == "10.96.0.1"
    assert await endpoints(objects) == (["10.0.0.1"], ["10.0.0.1"])
    await two.once()
    assert await endpoints(objects) == (["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.2"])
    await one._withdraw()
    assert await endpoints(objects) == (["10.0.0.2"], ["10.0.0.2"])
    generation = objects.generation(ENDPOINTS)
    await two.once()
    assert objects.generation(ENDPOINTS) == generation, "nothing is written when nothing changed"


async def test_without_an_address_only_the_service_is_kept() -> None:
    objects = ListedObjects()
    await KubernetesService(Config(), MemoryStore(), objects, "", 6443).once()
    assert len(objects.of(SERVICE)) == 1 and not objects.of(ENDPOINTS)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Config(advertise_address="10.1.1.1", bind_address="10.2.2.2"), "10.1.1.1"),
        (Config(bind_address="10.2.2.2"), "10.2.2.2"),
        (Config(bind_address="0.0.0.0"), "192.168.0.9"),
        (Config(bind_address="127.0.0.1"), "192.168.0.9"),
    ],
)
def test_the_advertised_address(config: Config, expected: str) -> None:
    assert advertised_address(config, lambda: "192.168.0.9") == expected


def test_the_external_address() -> None:
    assert external_address(Config(advertise_address="10.1.1.1"), "https://127.0.0.1:6443") == "10.1.1.1:6443"
    assert external_address(Config(advertise_address="fd00::1"), "https://127.0.0.1:6443") == "[fd00::1]:6443"
