"""The pages that are no resources: health, metrics, versions, flags, what a browser may read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server, slow_page
from kubetree.api.kind_table import kind
from kubetree.apiserver.identity_lease import IdentityLease
from kubetree.apiserver.pages import logs as logs_page
from kubetree.apiserver.subresources import component_statuses
from kubetree.apiserver.wiring import window_limits
from kubetree.client.serving import Endpoint, serving

pytestmark = pytest.mark.one_store

STATUSZ = "application/json;g=config.k8s.io;v=v1beta1;as=Statusz"


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with running_server(servers=1) as found:
        yield found


@pytest.mark.every_store
async def test_health_is_told_check_by_check(http: Http) -> None:
    verbose = await http.get("/readyz?verbose")
    lines = verbose.text.splitlines()
    assert lines[:3] == ["[+]ping ok", "[+]log ok", "[+]etcd ok"] and lines[-1] == "readyz check passed"
    assert {"[+]autoregister-completion ok", "[+]poststarthook/rbac/bootstrap-roles ok", "[+]shutdown ok"} <= set(lines)
    assert "[+]informer-sync ok" not in (await http.get("/livez?verbose")).text
    assert (await http.get("/livez")).text == "ok"
    assert (await http.get("/livez/etcd")).text == "ok"
    assert (await http.get("/livez/nothing")).status == 404
    excluded = (await http.get("/readyz?verbose&exclude=etcd&exclude=nothing")).text
    assert "[+]etcd excluded: ok" in excluded
    assert 'warn: some health checks cannot be excluded: no matches for "nothing"' in excluded
    indicators = (await http.get("/metrics/slis")).text
    assert 'kubernetes_healthcheck{name="ping",type="readyz"} 1' in indicators


async def test_a_server_that_stops_is_not_ready_and_still_alive(http: Http) -> None:
    http.server.parts.health.stopping()
    ready = await http.get("/readyz")
    assert ready.status == 500
    assert "[-]shutdown failed: reason withheld" in ready.text and ready.text.endswith("readyz check failed\n")
    assert (await http.get("/livez")).status == 200
    assert (await http.get("/readyz/shutdown")).text == "internal server error: process is shutting down\n"


async def test_a_delayed_stop_serves_until_the_end() -> None:
    async with running_server(servers=1, shutdown_delay_duration=1.0) as http:
        ending = asyncio.ensure_future(http.server.stop())
        await http.everywhere("/readyz", lambda reply: reply.status == 500)
        assert (await http.get("/version")).status == 200
        await ending


async def test_requests_under_way_are_finished_and_new_ones_turned_away() -> None:
    async with running_server(servers=1, shutdown_grace=30.0) as http:
        server = http.server
        begun, go_on = slow_page(server)
        asking = asyncio.ensure_future(http.get("/slow"))
        reader, writer = await http.connect()
        await begun.wait()
        ending = asyncio.ensure_future(server.stop())
        await asyncio.sleep(0.05)
        assert not ending.done()
        writer.write(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        refused = await reader.read()
        assert refused.startswith(b"HTTP/1.1 503") and b"Retry-After: 1\r\n" in refused and b"apiserver is shutting down" in refused
        go_on.set()
        assert (await asking).text == "done"
        await ending


async def test_with_retry_after_new_requests_are_sent_elsewhere_and_health_is_told() -> None:
    async with running_server(servers=1, shutdown_grace=30.0, shutdown_send_retry_after=True) as http:
        server = http.server
        begun, go_on = slow_page(server)
        asking = asyncio.ensure_future(http.get("/slow"))
        await begun.wait()
        ending = asyncio.ensure_future(server.stop())
        await asyncio.sleep(0.05)
        later = await http.get("/version")
        assert (later.status, later.headers["Retry-After"], later.headers["Connection"]) == (429, "5", "close")
        assert (await http.get("/readyz")).status == 500 and (await http.get("/livez")).status == 200
        go_on.set()
        assert (await asking).text == "done"
        await ending


async def test_logs_are_files_where_they_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_page, "FOLDER", tmp_path)
    (tmp_path / "pods").mkdir()
    (tmp_path / "kube.log").write_text("a line\n")
    (tmp_path.parent / "secret").write_text("no")
    async with running_server(servers=1, enable_logs_handler=True) as http:
        assert 'href="kube.log"' in (await http.get("/logs/")).text and 'href="pods/"' in (await http.get("/logs/")).text
        assert (await http.get("/logs/kube.log")).text == "a line\n"
        assert (await http.get("/logs/none")).status == 404
        assert (await http.get("/logs/..%2fsecret")).status == 404
    async with running_server(servers=1) as http:
        assert (await http.get("/logs/")).status == 404


async def test_metrics_may_be_switched_off_and_cache_sizes_chosen() -> None:
    settings = {
        "disabled_metrics": ("apiserver_request_total",),
        "watch_cache_sizes": {"pods": 700},
        "default_watch_cache_size": 50,
        "kubernetes_service_node_port": 30443,
        "feature_gates": {"WatchList": False},
    }
    async with running_server(servers=1, **settings) as http:
        text = (await http.get("/metrics")).text
        assert "apiserver_request_total{" not in text and "disabled_metrics_total 1\n" in text
        assert 'kubernetes_feature_enabled{name="WatchList",stage="BETA"} 0\n' in text
        sizes = [window_limits(http.server.config, kind("v1", name)).least for name in ("Pod", "Secret")]
        assert sizes == [700, 50]
        path = "/api/v1/namespaces/default/services/kubernetes"
        await http.everywhere(path, lambda reply: reply.status == 200)
        service = (await http.get(path)).json["spec"]
        assert (service["type"], service["ports"][0]["nodePort"]) == ("NodePort", 30443)


async def test_the_root_page_lists_every_path_and_each_answers(http: Http) -> None:
    reply = await http.get("/")
    assert reply.text.startswith('{\n  "paths": [\n')
    paths = reply.json["paths"]
    assert paths == sorted(paths)
    assert {"/apis/apps/v1", "/livez/poststarthook/rbac/bootstrap-roles", "/metrics/slis", "/openapi/v3/", "/statusz"} <= set(paths)
    for path in paths:
        assert (await http.get(path)).status == 200, path


async def test_component_statuses_are_what_the_components_on_this_machine_say(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        somebody, nobody = one.getsockname()[1], other.getsockname()[1]
    async with serving(Endpoint("127.0.0.1", somebody, None, None), {"ping": lambda: ""}, bytes, None) as port:
        monkeypatch.setattr(component_statuses, "PORTS", {"controller-manager": port, "scheduler": nobody})
        found = {item["metadata"]["name"]: item["conditions"] for item in (await http.get("/api/v1/componentstatuses")).json["items"]}
        assert found["controller-manager"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
        refused = f'Get "https://127.0.0.1:{nobody}/healthz": dial tcp 127.0.0.1:{nobody}: connect: connection refused'
        assert found["scheduler"] == [{"type": "Healthy", "status": "False", "message": refused}]
        assert found["etcd-0"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
        assert (await http.get("/api/v1/componentstatuses/scheduler")).json["conditions"] == found["scheduler"]
        chosen = await http.get("/api/v1/componentstatuses?fieldSelector=metadata.name%3Detcd-0")
        assert [item["metadata"]["name"] for item in chosen.json["items"]] == ["etcd-0"]
        assert (await http.get("/api/v1/componentstatuses/nope")).status == 404


@pytest.mark.every_store
async def test_metrics_tell_of_requests_objects_and_the_process(http: Http) -> None:
    await http.post(MAPS + "?dryRun=All", config_map("never"))
    await http.post(MAPS, config_map("one"))
    await http.get("/api/v1/componentstatuses")
    text = (await http.get("/metrics")).text
    labels = 'component="apiserver",dry_run="{}",group="",resource="configmaps",scope="resource",subresource="",verb="POST",version="v1"'
    for dry_run in ("", "All"):
        assert f'apiserver_request_total{{code="201",{labels.format(dry_run)}}} 1\n' in text
    assert 'apiserver_storage_objects{resource="configmaps"} ' in text
    assert 'apiserver_resource_objects{group="apps",resource="deployments"} 0\n' in text
    assert (
        'apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",subresource="",version="v1"} 1\n'
        in text
    )
    assert 'aggregator_unavailable_apiservice{name="v1.apps"} 0\n' in text
    assert 'kubernetes_feature_enabled{name="WatchList",stage="BETA"} 1\n' in text
    assert 'etcd_requests_total{group="",operation="create",resource="configmaps"} ' in text
    assert 'etcd_request_duration_seconds_count{group="apiregistration.k8s.io",operation="create",resource="apiservices"} 21\n' in text
    assert 'kube_apiserver_clusterip_allocator_available_ips{cidr="10.96.0.0/12"} ' in text
    assert "kube_apiserver_nodeport_allocator_available_ports 2768\n" in text
    for name in ("process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds", "kubernetes_build_info"):
        assert f"# TYPE {name} " in text
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len({line.rpartition(" ")[0] for line in lines}), "a series twice"
    assert (await http.delete("/metrics")).text == "metrics reset\n"
    assert 'resource="configmaps",scope="resource"' not in (await http.get("/metrics")).text


async def test_statusz_and_flagz_are_for_people_and_for_programs() -> None:
    async with running_server(servers=1, flags=(("secure-port", "6443"), ("profiling", "true"))) as http:
        text = (await http.get("/flagz", Accept="text/plain")).text
        assert text.startswith("\napiserver flagz\nWarning: ") and text.endswith("\nprofiling=true\nsecure-port=6443\n")
        status = await http.get("/statusz", Accept=STATUSZ)
        assert status.headers["Content-Type"] == STATUSZ
        assert (status.json["kind"], status.json["binaryVersion"], status.json["metadata"]) == ("Statusz", "1.36", {"name": "apiserver"})
        old = await http.get("/statusz", Accept=STATUSZ.replace("v1beta1", "v1alpha1"))
        assert "deprecated" in old.headers["Warning"]
        assert (await http.get("/statusz", Accept="application/json")).status == 406


async def test_debug_shows_what_runs_and_can_be_off(http: Http) -> None:
    assert "goroutine" in (await http.get("/debug/pprof/")).text
    assert "watch cache of /registry/pods/" in (await http.get("/debug/pprof/goroutine?debug=1")).text
    assert "asyncio" in (await http.get("/debug/pprof/profile?seconds=0.1")).text
    assert (await http.put("/debug/flags/v", "0")).text == "successfully set klog.logging.verbosity to 0\n"
    assert (await http.put("/debug/flags/v", "much")).status == 400
    moved = await http.request("GET", "/debug/pprof")
    assert "goroutine" in moved.text, "a redirect to the index"
    unknown = await http.get("/debug/pprof/nothing")
    assert (unknown.status, unknown.text, unknown.headers["X-Go-Pprof"]) == (404, "Unknown profile\n", "1")
    assert "asyncio" in (await http.get("/debug/pprof/trace?seconds=0.1")).text
    assert "<tr>v<br>" in (await http.get("/debug/flags/")).text
    async with running_server(servers=1, profiling=False) as other:
        assert (await other.get("/debug/pprof/")).status == 404


async def test_pages_of_allowed_origins_may_read_answers_and_watches() -> None:
    settings = {"cors_allowed_origins": (r"//localhost(:|$)",), "strict_transport_security_directives": ("max-age=5", "preload")}
    async with running_server(servers=1, **settings) as http:
        allowed = await http.get("/version", Origin="https://localhost:3000")
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://localhost:3000"
        assert allowed.headers["Strict-Transport-Security"] == "max-age=5; preload"
        other = await http.get("/version", Origin="https://elsewhere.example.com")
        assert "Access-Control-Allow-Origin" not in other.headers
        asked = await http.request("OPTIONS", MAPS, Origin="https://localhost")
        assert (asked.status, asked.headers["Access-Control-Allow-Credentials"]) == (204, "true")
        url = f"{http.server.url}{MAPS}?watch=1"
        async with http.session.get(url, headers={"Origin": "https://localhost"}) as watch:
            assert watch.headers["Access-Control-Allow-Origin"] == "https://localhost"


async def test_connections_end_by_chance() -> None:
    async with running_server(servers=1, goaway_chance=1.0) as http:
        assert (await http.get("/version")).headers["Connection"] == "close"


async def test_openapi_documents_may_be_kept(http: Http) -> None:
    index = (await http.get("/openapi/v3")).json["paths"]
    url = index["apis/apps/v1"]["serverRelativeURL"]
    found = await http.get(url)
    assert found.headers["Cache-Control"] == "public, immutable" and "Expires" in found.headers
    plain = await http.get("/openapi/v3/apis/apps/v1")
    assert plain.headers["Cache-Control"] == "no-cache, private"
    again = await http.get("/openapi/v3/apis/apps/v1", If_None_Match=plain.headers["Etag"])
    assert (again.status, again.text) == (304, "")
    assert (await http.get("/openapi/v3/apis/nothing/v1")).status == 404
    assert (await http.get("/openapi/v2", Accept="text/html")).status == 406
    async with http.session.get(f"{http.server.url}/openapi/v3/apis/apps/v1?hash=old", allow_redirects=False) as moved:
        assert (moved.status, moved.headers["Location"]) == (301, url)
    v2 = await http.get("/openapi/v2")
    packed = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    async with http.session.get(f"{http.server.url}/openapi/v2", headers={"Accept": packed}) as binary:
        assert binary.headers["Content-Type"] == packed.replace("@", ".")
        assert binary.headers["Etag"] == v2.headers["Etag"]
    assert json.loads(v2.text)["parameters"]


@pytest.mark.every_store
async def test_a_server_shows_that_it_lives_and_clears_up_after_dead_ones() -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    label = "apiserver.kubernetes.io/identity"
    async with running_server(servers=1) as http:
        async with asyncio.timeout(30):
            while not (found := (await http.get(f"{leases}?labelSelector={label}=kube-apiserver")).json["items"]):
                await asyncio.sleep(0.01)
        (own,) = found
        assert own["spec"]["holderIdentity"].startswith(own["metadata"]["name"] + "_")
        body = {"metadata": {"name": "apiserver-dead", "labels": {label: "kube-apiserver"}}, "spec": {"leaseDurationSeconds": 1}}
        await http.post(leases, body)
        await IdentityLease(http.server.parts.writer, http.server.clock, "x", "").collect()
        assert [lease["metadata"]["name"] for lease in (await http.get(leases)).json["items"]] == [own["metadata"]["name"]]
