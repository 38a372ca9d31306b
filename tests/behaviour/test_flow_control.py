"""Priority and fairness as clients see it: a noisy one waits or is refused, the others are served."""

from __future__ import annotations

import asyncio

import pytest

from behaviour.apiserver_harness import MAPS, Http, Object, Reply, config_map, running_server, slow_page

pytestmark = pytest.mark.one_store

GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
NOISY = {"Impersonate_User": "noisy", "Impersonate_Group": "system:authenticated"}
QUIET = {"Impersonate_User": "quiet", "Impersonate_Group": "system:authenticated"}


def level(name: str, queuing: Object | None) -> Object:
    response = {"type": "Queue", "queuing": queuing} if queuing else {"type": "Reject"}
    limited = {"nominalConcurrencyShares": 1, "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": response}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


def schema(name: str, of: str, user: str) -> Object:
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    rule = {
        "subjects": [{"kind": "User", "user": {"name": user}}],
        "resourceRules": [everything],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    spec = {
        "priorityLevelConfiguration": {"name": of},
        "matchingPrecedence": 50,
        "rules": [rule],
        "distinguisherMethod": {"type": "ByUser"},
    }
    return {"metadata": {"name": name}, "spec": spec}


async def condition(http: Http, name: str) -> Object:
    for _ in range(200):
        found = (await http.get(f"{GROUP}/flowschemas/{name}")).json
        if found.get("status", {}).get("conditions"):
            return found["status"]["conditions"][0]
        await asyncio.sleep(0.01)
    raise AssertionError("no condition")


async def limited(http: Http, queuing: Object | None) -> None:
    assert (await http.post(f"{GROUP}/prioritylevelconfigurations", level("tight", queuing))).status == 201
    assert (await http.post(f"{GROUP}/flowschemas", schema("tight", "tight", "noisy"))).status == 201
    await condition(http, "tight")


async def noise(http: Http) -> tuple[asyncio.Task[Reply], asyncio.Event]:
    """A request of the noisy one that has its seat, and keeps it until the event is set."""
    begun, go = slow_page(http.server)
    running = asyncio.create_task(http.get("/slow", **NOISY))
    await begun.wait()
    return running, go


@pytest.mark.every_store
async def test_the_objects_of_upstream_are_there_and_come_back() -> None:
    async with running_server() as http:
        schemas = (await http.get(f"{GROUP}/flowschemas")).json["items"]
        assert {s["metadata"]["name"] for s in schemas} >= {"exempt", "catch-all", "probes", "system-nodes", "global-default"}
        assert all(s["metadata"]["annotations"] == {"apf.kubernetes.io/autoupdate-spec": "true"} for s in schemas)
        levels = (await http.get(f"{GROUP}/prioritylevelconfigurations")).json["items"]
        assert len(levels) == 8
        assert (await condition(http, "probes"))["message"].endswith('named "exempt" and it exists')


async def test_answers_name_what_took_them_in_by_uid() -> None:
    async with running_server() as http:
        own = (await http.get(f"{GROUP}/flowschemas/global-default")).json["metadata"]["uid"]
        level_uid = (await http.get(f"{GROUP}/prioritylevelconfigurations/global-default")).json["metadata"]["uid"]
        for path in (MAPS, "/version", f"{MAPS}/none", f"{MAPS}?watch=1&timeoutSeconds=1"):
            headers = (await http.get(path, **QUIET)).headers
            assert (headers["X-Kubernetes-Pf-Flowschema-Uid"], headers["X-Kubernetes-Pf-Prioritylevel-Uid"]) == (own, level_uid), path


async def test_a_level_without_queues_refuses_what_has_no_seat_and_others_are_served() -> None:
    async with running_server(servers=1, max_requests_inflight=100, max_mutating_requests_inflight=0) as http:
        await limited(http, None)
        running, go = await noise(http)
        refused = await http.get(MAPS, **NOISY)
        assert refused.status == 429 and refused.text == "Too many requests, please try again later.\n"
        assert refused.headers["Retry-After"] == "1" and refused.headers["X-Kubernetes-Pf-Flowschema-Uid"]
        assert (await http.get(MAPS, **QUIET)).status == 200
        go.set()
        assert (await running).status == 200
        assert (await http.get(MAPS, **NOISY)).status == 200
        metrics = (await http.get("/metrics")).text
        rejected = 'rejected_requests_total{flow_schema="tight",priority_level="tight",reason="concurrency-limit"} 1'
        assert f"apiserver_flowcontrol_{rejected}" in metrics
        assert 'apiserver_flowcontrol_dispatched_requests_total{flow_schema="tight",priority_level="tight"} 2' in metrics


async def test_queued_requests_wait_their_turn_and_show_in_the_dumps() -> None:
    async with running_server(servers=1, max_requests_inflight=100, max_mutating_requests_inflight=0) as http:
        await limited(http, {"queues": 2, "handSize": 1, "queueLengthLimit": 2})
        running, go = await noise(http)
        waiting = [asyncio.create_task(http.get(MAPS, **NOISY)) for _ in range(2)]
        requests = "/debug/api_priority_and_fairness/dump_requests"
        await http.everywhere(requests, lambda reply: reply.text.count("noisy") == 2)
        assert (await http.get(MAPS, **NOISY)).status == 429, "two is the length of its queue"
        dump = (await http.get("/debug/api_priority_and_fairness/dump_priority_levels")).text
        row = next(line for line in dump.splitlines() if line.startswith("tight"))
        assert [cell.strip() for cell in row.split(",")][:6] == ["tight", "1", "false", "false", "2", "1"]
        assert (await http.get(requests)).text.count("noisy") == 2
        assert len((await http.get("/debug/api_priority_and_fairness/dump_queues")).text.splitlines()) > 2
        go.set()
        assert [reply.status for reply in await asyncio.gather(running, *waiting)] == [200] * 3


async def test_a_watch_gives_its_seat_back_once_it_has_begun() -> None:
    async with running_server(servers=1, max_requests_inflight=100, max_mutating_requests_inflight=0) as http:
        await limited(http, None)
        async with http.session.get(f"{http.server.url}{MAPS}?watch=1", headers={k.replace("_", "-"): v for k, v in NOISY.items()}):
            assert (await http.get(MAPS, **NOISY)).status == 200


@pytest.mark.every_store
async def test_a_level_that_goes_lets_its_last_requests_end() -> None:
    async with running_server(servers=1, max_requests_inflight=100, max_mutating_requests_inflight=0) as http:
        await limited(http, None)
        running, go = await noise(http)
        assert (await http.delete(f"{GROUP}/prioritylevelconfigurations/tight")).status == 200
        for _ in range(200):
            if (await condition(http, "tight"))["status"] == "True":
                break
            await asyncio.sleep(0.01)
        assert (await condition(http, "tight"))["message"].endswith("but there is no such object")
        assert (await http.post(MAPS, config_map("x"), **NOISY)).status == 201, "a dangling schema counts for nothing"
        go.set()
        assert (await running).status == 200


async def test_without_priority_and_fairness_there_are_no_objects() -> None:
    async with running_server(enable_priority_and_fairness=False) as http:
        assert (await http.get(f"{GROUP}/flowschemas")).json["items"] == []
        assert "X-Kubernetes-Pf-Flowschema-Uid" not in (await http.get(MAPS)).headers
