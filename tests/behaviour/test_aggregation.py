"""Groups that other servers serve: found, reached and refused as if they were this server's own."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from behaviour.apiserver_harness import caught_up
from behaviour.secured_server import Secured, secured_server
from extension_server import AGGREGATED, API_VERSION, FLUNDER, GROUP, VERSION, ExtensionServer
from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client import Client, ClientConfig
from kubetree.cluster.certificates import Authority

pytestmark = pytest.mark.one_store

API_SERVICE, SERVICE, ROLE, BINDING = (
    kind("apiregistration.k8s.io/v1", "APIService"),
    kind("v1", "Service"),
    kind("rbac.authorization.k8s.io/v1", "ClusterRole"),
    kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
)
NAME = f"{VERSION}.{GROUP}"
FLUNDERS = f"/apis/{API_VERSION}/namespaces/default/flunders"
Object = dict[str, Any]


@dataclass
class World:
    cluster: Secured
    client: Client
    extension: ExtensionServer
    session: aiohttp.ClientSession

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, self.cluster.server.url + path, json=body, headers=sent) as response:
            return response.status, await response.text(), response.headers

    async def get(self, path: str, **headers: str) -> Any:
        status, text, _ = await self.request("GET", path, **headers)
        assert status == 200, text
        return json.loads(text)

    async def condition(self, holds: Callable[[Object], Any], name: str = NAME) -> Object:
        """The Available condition, once `holds` is true of it."""
        async with asyncio.timeout(30):
            while True:
                obj: Object = {}
                with suppress(errors.NotFound):
                    obj = await self.client.get(API_SERVICE, name)
                found = next((c for c in (obj.get("status") or {}).get("conditions") or () if c["type"] == "Available"), None)
                if found is not None and holds(found):
                    return dict(found)
                await asyncio.sleep(0.01)

    async def register(self, **spec: Any) -> None:
        await self.client.create(SERVICE, self.extension.service_object())
        await self.client.create(API_SERVICE, self.extension.api_service(**spec))
        await self.condition(lambda c: c["status"] == "True")

    async def discovered(self, holds: Callable[[Object], Any]) -> Object:
        """The aggregated document's version of the extension server, once `holds` is true of it."""
        async with asyncio.timeout(30):
            while True:
                document = await self.get("/apis", Accept=AGGREGATED)
                for item in document["items"]:
                    for found in item["versions"] if item["metadata"]["name"] == GROUP else ():
                        if found["version"] == VERSION and holds(found):
                            return dict(found)
                await asyncio.sleep(0.01)


def config_of(cluster: Secured, user: str, *groups: str) -> ClientConfig:
    pair = cluster.certificates.authority.client(user, datetime.now(UTC), groups=groups)
    ca = cluster.certificates.authority.certificate
    return ClientConfig(cluster.server.url, ca=ca, client_cert=pair.certificate, client_key=pair.key)


@asynccontextmanager
async def http(config: ClientConfig) -> AsyncIterator[aiohttp.ClientSession]:
    tls = config.ssl_context()
    assert isinstance(tls, ssl.SSLContext)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield session


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        pair = {f"proxy_client_{what}_file": tmp_path / f"front-proxy-client.{end}" for what, end in (("cert", "crt"), ("key", "key"))}
        cluster = await stack.enter_async_context(secured_server(tmp_path, disable_admission_plugins=("ServiceAccount",), **pair))
        config = config_of(cluster, "admin", "system:masters")
        client = await stack.enter_async_context(Client(config))
        session = await stack.enter_async_context(http(config))
        server = ExtensionServer(client, Authority.create("wardle-ca", datetime.now(UTC)), tmp_path)
        yield World(cluster, client, await stack.enter_async_context(server.running()), session)


async def test_every_group_and_version_has_its_api_service(world: World) -> None:
    items = {obj["metadata"]["name"]: obj for obj in (await world.client.list(API_SERVICE))["items"]}
    assert items["v1."]["spec"] == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}
    apps = items["v1.apps"]
    assert apps["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    assert apps["status"]["conditions"][0]["reason"] == "Local"
    assert "v1.apiregistration.k8s.io" not in items
    listed = [group["name"] for group in (await world.get("/apis"))["groups"]]
    assert listed[:3] == ["apiregistration.k8s.io", "apps", "events.k8s.io"]
    aggregated = [item["metadata"]["name"] for item in (await world.get("/apis", Accept=AGGREGATED))["items"]]
    assert aggregated == listed


@pytest.mark.every_store
async def test_objects_of_another_server_are_written_read_and_watched(world: World) -> None:
    await world.register()
    async with world.session.get(f"{world.cluster.server.url}{FLUNDERS}?watch=1") as watch:
        status, text, _ = await world.request("POST", FLUNDERS, {"apiVersion": API_VERSION, "kind": "Flunder", "metadata": {"name": "one"}})
        assert status == 201, text
        event = json.loads(await asyncio.wait_for(watch.content.readline(), 30))
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "one")
    assert [obj["metadata"]["name"] for obj in (await world.get(FLUNDERS))["items"]] == ["one"]
    status, _, _ = await world.request("DELETE", f"{FLUNDERS}/one")
    assert status == 200
    status, text, _ = await world.request("GET", f"{FLUNDERS}/one")
    assert (status, json.loads(text)["reason"]) == (404, "NotFound")


async def test_a_watch_ends_at_the_other_server_when_its_client_leaves(world: World) -> None:
    await world.register()
    async with world.session.get(f"{world.cluster.server.url}{FLUNDERS}?watch=1"):
        async with asyncio.timeout(30):
            while not world.extension.watching:
                await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        while world.extension.watching:
            await asyncio.sleep(0.01)


async def test_the_other_server_learns_who_asks_and_believes_no_header_of_the_clients(world: World) -> None:
    await world.register()
    rule = {"apiGroups": [GROUP], "resources": ["flunders"], "verbs": ["list"]}
    await world.client.create(ROLE, {"metadata": {"name": "fish"}, "rules": [rule]})
    subject = {"kind": "User", "apiGroup": ROLE.group, "name": "jane"}
    reference = {"apiGroup": ROLE.group, "kind": "ClusterRole", "name": "fish"}
    await world.client.create(BINDING, {"metadata": {"name": "fish"}, "roleRef": reference, "subjects": [subject]})
    async with http(config_of(world.cluster, "jane", "anglers")) as session:
        headers = {"X-Remote-User": "root", "X-Remote-Group": "system:masters", "X-Remote-Extra-a": "b", "Audit-Id": "my-own"}
        async with session.get(world.cluster.server.url + FLUNDERS, headers=headers) as response:
            assert response.status == 200
            assert response.headers["Audit-Id"] == "my-own"
        async with session.get(f"{world.cluster.server.url}{FLUNDERS}/one", headers=headers) as response:
            assert response.status == 403
    sent = next(r.headers for r in world.extension.seen if r.path == FLUNDERS)
    assert sent.getall("X-Remote-User") == ["jane"]
    assert sent.getall("X-Remote-Group") == ["anglers", "system:authenticated"]
    assert "X-Remote-Extra-a" not in sent
    assert sent["Audit-Id"] == "my-own"


async def test_an_upgraded_connection_passes(world: World) -> None:
    await world.register()
    await world.request("POST", FLUNDERS, {"apiVersion": API_VERSION, "kind": "Flunder", "metadata": {"name": "one"}})
    async with world.session.ws_connect(f"{world.cluster.server.url}{FLUNDERS}/one/chat") as socket:
        await socket.send_str("hello")
        assert (await socket.receive(5)).data == "admin: hello"


async def test_conditions_say_what_is_wrong(world: World) -> None:
    extension, client = world.extension, world.client
    await client.create(API_SERVICE, extension.api_service())
    found = await world.condition(lambda c: c["status"] == "False")
    assert (found["reason"], found["message"]) == ("ServiceNotFound", 'service/wardle in "default" is not present')
    status, text, _ = await world.request("GET", FLUNDERS)
    assert (status, text) == (503, "service unavailable\n")
    service = {"metadata": {"name": "wardle", "namespace": "default"}, "spec": {"ports": [{"port": 443}]}}
    await client.create(SERVICE, service)
    found = await world.condition(lambda c: c["reason"] != "ServiceNotFound")
    assert (found["reason"], found["message"]) == (
        "ServicePortError",
        f'service/wardle in "default" is not listening on port {extension.port}',
    )
    ports = {"spec": {"ports": [{"port": extension.port}]}}
    await client.patch(SERVICE, "wardle", ports, namespace="default", type="merge")
    assert (await world.condition(lambda c: c["reason"] != "ServicePortError"))["reason"] == "EndpointsNotFound"
    piece = {
        "metadata": {"name": "wardle-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "wardle"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": extension.port, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.0.0.7"], "conditions": {"ready": False}}],
    }
    await client.create(kind("discovery.k8s.io/v1", "EndpointSlice"), piece)
    assert (await world.condition(lambda c: c["reason"] != "EndpointsNotFound"))["reason"] == "MissingEndpoints"


async def test_a_server_that_fails_is_unavailable_until_it_recovers(world: World) -> None:
    await world.register()
    await world.discovered(lambda v: v["freshness"] == "Current")
    world.extension.healthy = False
    await world.client.patch(SERVICE, "wardle", {"metadata": {"labels": {"look": "again"}}}, namespace="default", type="merge")
    found = await world.condition(lambda c: c["status"] == "False")
    assert found["reason"] == "FailedDiscoveryCheck"
    url = f"https://localhost:{world.extension.port}/apis/{API_VERSION}"
    assert found["message"] == f"failing or missing response from {url}: bad status from {url}: 500"
    stale = await world.discovered(lambda v: v["freshness"] == "Stale")
    assert [r["resource"] for r in stale["resources"]] == ["flunders"]
    world.extension.healthy = True
    await world.condition(lambda c: c["status"] == "True")
    await world.discovered(lambda v: v["freshness"] == "Current")


async def test_a_server_without_a_certificate_of_the_bundle_is_not_believed(world: World) -> None:
    other = base64.b64encode(Authority.create("stranger", datetime.now(UTC)).certificate).decode()
    await world.client.create(SERVICE, world.extension.service_object())
    await world.client.create(API_SERVICE, world.extension.api_service(caBundle=other))
    found = await world.condition(lambda c: c["status"] == "False")
    assert "x509: certificate signed by unknown authority" in found["message"]
    insecure = {"spec": {"caBundle": None, "insecureSkipTLSVerify": True}}
    await world.client.patch(API_SERVICE, NAME, insecure, type="merge")
    await world.condition(lambda c: c["status"] == "True")
    assert (await world.get(FLUNDERS))["items"] == []


@pytest.mark.parametrize("aggregated", [True, False])
async def test_discovery_of_all_servers_is_one(world: World, aggregated: bool) -> None:
    world.extension.aggregated = aggregated
    await world.register()
    found = await world.discovered(lambda v: v.get("resources"))
    (flunders,) = found["resources"]
    assert (flunders["resource"], flunders["scope"], flunders["singularResource"]) == ("flunders", "Namespaced", "flunder")
    assert flunders["responseKind"]["kind"] == "Flunder"
    assert flunders["subresources"][0]["responseKind"]["kind"] == ("" if aggregated else "Flunder")
    listed = (await world.get("/apis"))["groups"][-1]
    assert (listed["name"], listed["preferredVersion"]["version"]) == (GROUP, VERSION)
    assert (await world.get(f"/apis/{GROUP}"))["versions"] == [{"groupVersion": API_VERSION, "version": VERSION}]
    assert [r["name"] for r in (await world.get(f"/apis/{API_VERSION}"))["resources"]] == ["flunders", "flunders/chat"]
    assert f"/apis/{API_VERSION}" in (await world.get("/"))["paths"]


@pytest.mark.parametrize("v3", [True, False])
async def test_openapi_of_all_servers_is_one(world: World, v3: bool) -> None:
    world.extension.openapi_v3 = v3
    assert FLUNDER not in (await world.get("/openapi/v2"))["definitions"]
    await world.register()
    document = await world.get("/openapi/v2")
    assert document["definitions"][FLUNDER]["description"] == "A Flunder, a flat fish."
    meta = document["definitions"][FLUNDER]["properties"]["metadata"]["$ref"].rpartition("/")[2]
    assert meta.endswith("ObjectMeta_v2") and document["definitions"][meta]["description"] == "Another ObjectMeta."
    assert f"{FLUNDERS.replace('default', '{namespace}')}/{{name}}" in document["paths"]
    assert document["paths"]["/version/"]["get"]["operationId"] == "getCodeVersion"
    index = (await world.get("/openapi/v3"))["paths"]
    url = index[f"apis/{API_VERSION}"]["serverRelativeURL"]
    schema = (await world.get(url))["components"]["schemas"][FLUNDER]
    assert schema == {} if v3 else schema["properties"]["size"]["description"] == "In centimetres."
    assert url.endswith("?hash=33") or not v3
    await world.client.delete(API_SERVICE, NAME)
    await caught_up(world.cluster.servers)
    assert FLUNDER not in (await world.get("/openapi/v2"))["definitions"]
    assert f"apis/{API_VERSION}" not in (await world.get("/openapi/v3"))["paths"]


@pytest.mark.every_store
async def test_priorities_change_without_a_gap(world: World) -> None:
    await world.register(groupPriorityMinimum=2000)
    await world.discovered(lambda v: v.get("resources"))
    await world.client.patch(API_SERVICE, NAME, {"spec": {"groupPriorityMinimum": 19000}}, type="merge")
    await caught_up(world.cluster.servers)
    names = [item["metadata"]["name"] for item in (await world.get("/apis", Accept=AGGREGATED))["items"]]
    assert names[:2] == ["apiregistration.k8s.io", GROUP]
    assert (await world.discovered(lambda v: True))["resources"]
    assert [group["name"] for group in (await world.get("/apis"))["groups"]][1] == GROUP


@pytest.mark.every_store
async def test_an_api_service_that_goes_takes_its_group_along(world: World) -> None:
    await world.register()
    await world.discovered(lambda v: v["freshness"] == "Current")
    await world.client.delete(API_SERVICE, NAME)
    await caught_up(world.cluster.servers)
    status, text, _ = await world.request("GET", FLUNDERS)
    assert (status, text) == (404, "404 page not found\n")
    assert GROUP not in [group["name"] for group in (await world.get("/apis"))["groups"]]
    assert GROUP not in [item["metadata"]["name"] for item in (await world.get("/apis", Accept=AGGREGATED))["items"]]


async def test_redirects_are_not_passed_on(world: World) -> None:
    await world.register()
    world.extension.redirect = "https://127.0.0.1:1/elsewhere"
    status, text, _ = await world.request("GET", FLUNDERS)
    assert (status, text) == (502, "the backend attempted to redirect this request, which is not permitted")


async def test_the_group_of_api_services_cannot_be_given_away(world: World) -> None:
    stolen = world.extension.api_service(group="apiregistration.k8s.io", version="v1")
    stolen["metadata"]["name"] = "v1.apiregistration.k8s.io"
    await world.client.create(API_SERVICE, stolen)
    assert (await world.client.list(API_SERVICE))["items"]
    with pytest.raises(errors.AlreadyExists):
        await world.client.create(API_SERVICE, {**world.extension.api_service(group="apps", version="v1"), "metadata": {"name": "v1.apps"}})


@pytest.mark.every_store
async def test_custom_resources_have_an_api_service_as_long_as_they_are_served(world: World) -> None:
    definitions = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [{"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v2beta1")]
    names = {"plural": "things", "kind": "Thing"}
    definition = {
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "names": names, "scope": "Namespaced", "versions": versions},
    }
    await world.client.create(definitions, definition)
    await world.condition(lambda c: c["reason"] == "Local", "v1.example.com")
    await world.condition(lambda c: c["reason"] == "Local", "v2beta1.example.com")
    obj = await world.client.get(API_SERVICE, "v2beta1.example.com")
    assert obj["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert obj["spec"] == {"group": "example.com", "version": "v2beta1", "groupPriorityMinimum": 1000, "versionPriority": 100}
    service = {"namespace": "default", "name": "thief", "port": 443}
    await world.client.patch(API_SERVICE, "v1.example.com", {"spec": {"service": service}}, type="merge")
    async with asyncio.timeout(30):
        while "service" in (await world.client.get(API_SERVICE, "v1.example.com"))["spec"]:
            await asyncio.sleep(0.01)
    await world.client.delete(definitions, "things.example.com")
    async with asyncio.timeout(30):
        while any("example.com" in o["metadata"]["name"] for o in (await world.client.list(API_SERVICE))["items"]):
            await asyncio.sleep(0.01)


async def test_kubectl_finds_and_uses_another_servers_kind(world: World) -> None:
    await world.register()
    await world.discovered(lambda v: v["freshness"] == "Current")
    admin = world.cluster.kubeconfig("admin", world.cluster.certificates.admin)
    status, output = await world.cluster.kubectl(admin, "api-resources", "--api-group", GROUP, "--no-headers")
    assert (status, output.split()) == (0, ["flunders", API_VERSION, "true", "Flunder"])
    status, output = await world.cluster.kubectl(admin, "get", "apiservice", NAME, "--no-headers")
    assert output.split()[:3] == [NAME, "default/wardle", "True"]
    status, output = await world.cluster.kubectl(
        admin,
        "create",
        "--validate=false",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": API_VERSION, "kind": "Flunder", "metadata": {"name": "one"}}),
    )
    assert (status, output) == (0, "flunder.wardle.example.com/one created\n")
    status, output = await world.cluster.kubectl(admin, "get", "flunders", "-o", "name")
    assert output == "flunder.wardle.example.com/one\n"
