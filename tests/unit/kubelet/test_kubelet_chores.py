"""What the kubelet does on the side: evicting, collecting images, rotating logs, writing statuses, following the API."""

from __future__ import annotations

import asyncio
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from kubetree.api import errors
from kubetree.kubelet import api_objects, eviction, image_collection, metrics, orphans, pressure
from kubetree.kubelet.api_objects import ApiObjects
from kubetree.kubelet.eviction import PodUsage
from kubetree.kubelet.image_collection import Candidate, choose, excess
from kubetree.kubelet.log_rotation import LogRotation
from kubetree.kubelet.node_status import Health
from kubetree.kubelet.server.server import KubeletServer
from kubetree.kubelet.status_publisher import StatusPublisher
from kubetree.kubelet.tokens import Tokens
from kubetree.kubelet.volumes.plugin import VolumeError

Object = dict[str, Any]


def pod(name: str = "p", requests: Object | None = None, limits: Object | None = None, **spec: Any) -> Object:
    container = {"name": "c", "image": "i", "resources": {"requests": requests or {}, "limits": limits or {}}}
    return {"metadata": {"name": name, "namespace": "ns", "uid": f"{name}-uid"}, "spec": {"containers": [container], **spec}}


class TestEviction:
    def test_volumes_over_their_limit(self) -> None:
        given = pod(volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}])
        assert eviction.over_limits(given, PodUsage({}, {}, {"v": 1 << 20})) is None
        assert eviction.over_limits(given, PodUsage({}, {}, {"v": 2 << 20})) == 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '

    def test_containers_over_their_limit(self) -> None:
        given = pod(limits={"ephemeral-storage": "1Mi"})
        assert (
            eviction.over_limits(given, PodUsage({}, {"c": 2 << 20}, {}))
            == 'Container c exceeded its local ephemeral storage limit "1Mi". '
        )
        assert "total limit" in (eviction.over_limits(given, PodUsage({}, {"c": 1}, {"v": 2 << 20})) or "")

    def test_who_goes_first(self) -> None:
        modest, greedy, important = pod("modest", {"memory": "1Gi"}), pod("greedy", {"memory": "1Mi"}), pod("important", priority=100)
        critical = pod("critical", priority=2_000_000_000)
        usages = {f"{name}-uid": PodUsage({"c": 500 << 20}, {}, {}) for name in ("modest", "greedy", "important", "critical")}
        ranked = eviction.rank_for_memory([modest, critical, important, greedy], usages)
        assert [p["metadata"]["name"] for p in ranked] == ["greedy", "important", "modest"]
        message = eviction.memory_message(greedy, usages["greedy-uid"], 100 << 20, 50 << 20)
        assert message.startswith(
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51200Ki. Container c was using 512000Ki"
        )

    def test_disk_usage(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"x" * 10_000)
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "b").write_bytes(b"x" * 10_000)
        assert pressure.disk_usage(tmp_path) >= 20_000 and pressure.disk_usage(tmp_path / "none") == 0


class TestImages:
    def test_nothing_goes_below_the_threshold(self) -> None:
        assert excess(100, 20, 85, 80) == 0 and excess(100, 10, 85, 80) == 10 and excess(0, 0, 85, 80) == 0

    def test_the_longest_unused_go_first_until_enough_is_free(self) -> None:
        candidates = [Candidate("young", 5, 95, 0), Candidate("new", 5, 0, 50), Candidate("old", 5, 0, 10), Candidate("never", 5, 0, 0)]
        assert [c.id for c in choose(candidates, 8, 100, 20)] == ["never", "old"]
        assert [c.id for c in choose(candidates, 100, 100, 20)] == ["never", "old", "new"]

    async def test_used_and_pinned_images_and_the_sandboxes_own_stay(self) -> None:
        def image(id_: str, tag: str, *, pinned: bool = False) -> SimpleNamespace:
            return SimpleNamespace(id=id_, repo_tags=[tag], repo_digests=[], size=10, pinned=pinned)

        removed: list[str] = []

        class Client:
            async def call(self, method: str, **fields: Any) -> Any:
                if method == "ListImages":
                    tags = [image("1", "used:1"), image("2", "reg/pause:3"), image("3", "pinned:1", pinned=True), image("4", "idle:1")]
                    return SimpleNamespace(images=tags)
                if method == "ListContainers":
                    return SimpleNamespace(containers=[SimpleNamespace(image_ref="1", image=SimpleNamespace(image="used:1"))])
                removed.append(fields["image"]["image"])
                return None

        now = iter(range(1000))
        collection = image_collection.ImageCollection(Client(), lambda: (100, 0), lambda: float(next(now)), high=85, low=80, minimum_age=0)  # type: ignore[arg-type]
        await collection.collect()
        assert removed == ["4"]


class TestLogRotation:
    def test_older_files_are_compressed_and_the_oldest_go(self, tmp_path: Path) -> None:
        path = tmp_path / "0.log"
        for number in range(1, 5):
            (tmp_path / f"0.log.2026010{number}-000000").write_text(str(number))
        (tmp_path / "0.log.20260105-000000.gz.tmp").write_text("half")
        LogRotation(None, list, 1, 4).tidy(path)  # type: ignore[arg-type]
        assert sorted(p.name for p in tmp_path.iterdir()) == ["0.log.20260103-000000.gz", "0.log.20260104-000000.gz"]
        assert gzip.decompress((tmp_path / "0.log.20260104-000000.gz").read_bytes()) == b"4"


class Api:
    """A client that keeps what was asked of it; `answers` are given or raised in turn, the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.calls = list(answers), list[tuple[Any, ...]]()

    async def _answer(self, *call: Any) -> Any:
        self.calls.append(call)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def get(self, kind: Any, name: str, namespace: str) -> Any:
        return await self._answer("get", kind.kind, namespace, name)

    async def create(self, kind: Any, obj: Object, namespace: str, *, subresource: str, name: str) -> Any:
        return await self._answer("create", name, obj["spec"])

    async def patch(self, kind: Any, name: str, patch: Object, **how: Any) -> Any:
        return await self._answer("patch", name, patch)

    async def delete(self, kind: Any, name: str, namespace: str, **how: Any) -> Any:
        return await self._answer("delete", name, how)


class TestStatusPublisher:
    async def publish(self, api: Api, given: Object, *statuses: Object, finished: bool = False, calls: int = 1) -> StatusPublisher:
        """Publishes until so many calls were made, and a little longer for those that must not be."""
        publisher = StatusPublisher(api, lambda pod: given, lambda uid: None)  # type: ignore[arg-type]
        for status in statuses:
            publisher.publish(given, status)
        if finished:
            publisher.finished(given)
        task = asyncio.create_task(publisher.run())
        async with asyncio.timeout(30):
            while len(api.calls) < calls:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait({task})
        return publisher

    async def test_only_the_newest_status_is_written_and_only_what_changed(self) -> None:
        api = Api({"metadata": {"resourceVersion": "2"}, "status": {"phase": "Running"}})
        await self.publish(api, pod() | {"status": {}}, {"phase": "Pending"}, {"phase": "Running"})
        assert api.calls == [("patch", "p", {"metadata": {"uid": "p-uid"}, "status": {"phase": "Running"}})]

    async def test_a_server_that_is_away_is_tried_again(self) -> None:
        api = Api(errors.ServiceUnavailable("away"), {"metadata": {"resourceVersion": "2"}})
        await self.publish(api, pod(), {"phase": "Running"}, calls=2)
        assert len(api.calls) == 2

    async def test_a_finished_pod_is_deleted_when_that_was_asked_for(self) -> None:
        given = pod()
        given["metadata"]["deletionTimestamp"] = "now"
        api = Api({"metadata": {"resourceVersion": "2"}})
        await self.publish(api, given, {"phase": "Succeeded"}, finished=True, calls=2)
        assert [call[0] for call in api.calls] == ["patch", "delete"] and api.calls[1][2] == {"grace_period": 0, "uid": "p-uid"}
        api = Api({"metadata": {"resourceVersion": "2"}})
        await self.publish(api, pod(), {"phase": "Succeeded"}, finished=True)
        assert [call[0] for call in api.calls] == ["patch"]

    async def test_a_pod_that_is_gone_is_no_trouble(self) -> None:
        api = Api(errors.not_found("pods", "", "p"))
        await self.publish(api, pod(), {"phase": "Running"})
        assert len(api.calls) == 1


class TestApiObjects:
    async def test_pods_that_start_together_ask_once(self) -> None:
        api = Api({"data": {"a": "b"}})
        objects = ApiObjects(api, lambda uid: None)  # type: ignore[arg-type]
        found = await asyncio.gather(*(objects.config_map("ns", "m") for _ in range(5)))
        assert found == [{"data": {"a": "b"}}] * 5 and api.calls == [("get", "ConfigMap", "ns", "m")]
        await objects.config_map("ns", "m")
        assert len(api.calls) == 2, "what was answered is not kept beyond that"

    async def test_missing_and_unreachable_are_told_apart(self) -> None:
        assert await ApiObjects(Api(errors.not_found("secrets", "", "s")), lambda uid: None).secret("ns", "s") is None  # type: ignore[arg-type]
        with pytest.raises(VolumeError, match="away"):
            await ApiObjects(Api(errors.ServiceUnavailable("away")), lambda uid: None).secret("ns", "s")  # type: ignore[arg-type]
        with pytest.raises(VolumeError, match="no kubeClient defined"):
            await ApiObjects(None, lambda uid: None).secret("ns", "s")

    def test_what_a_pod_shows(self) -> None:
        sources = [{"secret": {"name": "s2"}}, {"configMap": {"name": "m2"}}, {"downwardAPI": {}}]
        given = pod(
            volumes=[{"configMap": {"name": "m"}}, {"secret": {"secretName": "s"}}, {"projected": {"sources": sources}}, {"emptyDir": {}}]
        )
        expected = [("ConfigMap", "ns", "m"), ("Secret", "ns", "s"), ("Secret", "ns", "s2"), ("ConfigMap", "ns", "m2")]
        assert list(api_objects.references(given)) == expected


class TestTokens:
    async def test_a_token_is_kept_until_four_fifths_of_its_life(self) -> None:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        api = Api(*({"status": {"token": f"t{n}", "expirationTimestamp": (moment + timedelta(hours=n)).isoformat()}} for n in (1, 2)))
        tokens = Tokens(api, lambda: moment)  # type: ignore[arg-type]
        wish = {"path": "token", "expirationSeconds": 3600, "audience": "vault"}
        assert await tokens.token(pod(), wish) == "t1"
        spec = api.calls[0][2]
        assert spec["audiences"] == ["vault"] and spec["boundObjectRef"] == {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "p-uid"}
        moment += timedelta(minutes=47)
        assert await tokens.token(pod(), wish) == "t1"
        moment += timedelta(minutes=2)
        assert await tokens.token(pod(), wish) == "t2"

    async def test_an_old_token_serves_while_the_server_is_away(self) -> None:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        answer = {"status": {"token": "t", "expirationTimestamp": (moment + timedelta(hours=1)).isoformat()}}
        tokens = Tokens(Api(answer, errors.ServiceUnavailable("away")), lambda: moment)  # type: ignore[arg-type]
        assert await tokens.token(pod(), {"path": "token"}) == "t"
        moment += timedelta(minutes=55)
        assert await tokens.token(pod(), {"path": "token"}) == "t"
        moment += timedelta(minutes=10)
        with pytest.raises(VolumeError, match="failed to fetch token: away"):
            await tokens.token(pod(), {"path": "token"})


def test_a_pod_is_put_together_from_what_the_runtime_was_told() -> None:
    labels = {"io.kubernetes.pod.name": "p", "io.kubernetes.pod.namespace": "ns", "io.kubernetes.pod.uid": "u"}
    notes = {"io.kubernetes.pod.terminationGracePeriod": "7", "io.kubernetes.container.preStopHandler": '{"exec":{"command":["x"]}}'}
    container = SimpleNamespace(
        labels=labels | {"io.kubernetes.container.name": "c"},
        annotations=notes,
        metadata=SimpleNamespace(name="c"),
        image=SimpleNamespace(image="i"),
    )
    made = orphans.pod_from_runtime("u", [SimpleNamespace(labels=labels)], [container])
    assert (made["metadata"]["name"], made["metadata"]["namespace"], made["spec"]["terminationGracePeriodSeconds"]) == ("p", "ns", 7)
    assert made["spec"]["containers"] == [{"name": "c", "image": "i", "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}]
    assert made["metadata"]["deletionTimestamp"]


def test_metrics() -> None:
    text = metrics.own_metrics("n", [pod()], 3, Health())
    assert "kubelet_running_pods 1\n" in text and 'kubelet_running_containers{container_state="running"} 3\n' in text
    assert 'prober_probe_total{probe_type="Liveness",result="failed"' in metrics.probe_metrics(
        {("Liveness", "failed", "c", "p", "ns", "u"): 2}
    )


async def test_health_for_anyone_on_the_plain_port() -> None:
    wrong = ""
    host = SimpleNamespace(healthy=lambda: wrong)
    server = KubeletServer(host, None, None)  # type: ignore[arg-type]
    async with server.listen_for_health("127.0.0.1", 0) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def get(path: str) -> tuple[int, str]:
            async with session.get(path) as response:
                return response.status, await response.text()

        assert await get("/healthz") == (200, "ok")
        assert (await get("/pods"))[0] == 404
        wrong = "the runtime is down"
        assert await get("/healthz") == (500, "the runtime is down")
        assert await get("/healthz/ping") == (200, "ok")
