"""Custom resources at several versions with a conversion webhook: an HTTPS server in this process is asked by an API server in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from behaviour.apiserver_harness import Http, running_server
from behaviour.custom_resources import CRDS, FOOS, definition, establish, foo, version
from webhook_servers import WebhookServer, webhook_server

Object = dict[str, Any]
OLD = FOOS.replace("v1", "v1beta1")


def convert(obj: Object, wanted: str) -> Object:
    """v1beta1 has `spec.hostPort`, v1 has `spec.host` and `spec.port`."""
    spec = dict(obj["spec"])
    if wanted == "example.com/v1" and "hostPort" in spec:
        spec["host"], spec["port"] = spec.pop("hostPort").split(":")
    elif wanted == "example.com/v1beta1" and "host" in spec:
        spec["hostPort"] = f"{spec.pop('host')}:{spec.pop('port')}"
    return {**obj, "apiVersion": wanted, "spec": spec}


def converting(change: Callable[[Object], Object] = lambda answer: answer, one: Callable[[Object, str], Object] = convert) -> Any:
    def answer(review: Object) -> Object:
        request = review["request"]
        objs = [one(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": objs}
        return change({"kind": "ConversionReview", "apiVersion": review["apiVersion"], "response": response})

    return answer


@asynccontextmanager
async def both(answer: Any, *, versions: tuple[str, ...] = ("v1",)) -> AsyncIterator[tuple[Http, WebhookServer]]:
    async with webhook_server() as webhooks, running_server() as http:
        config = webhooks.on("/convert", answer)
        conversion = {"strategy": "Webhook", "webhook": {"clientConfig": config, "conversionReviewVersions": list(versions)}}
        await establish(http, definition(version("v1"), version("v1beta1", storage=False), conversion=conversion))
        yield http, webhooks


async def test_objects_are_converted_on_every_way_in_and_out() -> None:
    async with both(converting()) as (http, webhooks):
        made = await http.post(OLD, foo("x", "example.com/v1beta1", hostPort="a:1"))
        assert (made.status, made.json["apiVersion"], made.json["spec"]) == (201, "example.com/v1beta1", {"hostPort": "a:1"})
        assert (await http.get(f"{FOOS}/x")).json["spec"] == {"host": "a", "port": "1"}
        assert (await http.get(f"{OLD}/x")).json["spec"] == {"hostPort": "a:1"}
        await http.post(FOOS, foo("y", host="b", port="2"))
        listed = (await http.get(OLD)).json
        assert [(o["apiVersion"], o["spec"]) for o in listed["items"]] == [
            ("example.com/v1beta1", {"hostPort": "a:1"}),
            ("example.com/v1beta1", {"hostPort": "b:2"}),
        ]
        async with http.watch(f"{OLD}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}") as events:
            patched = await http.patch(f"{OLD}/x", {"spec": {"hostPort": "a:3"}})
            assert patched.json["spec"] == {"hostPort": "a:3"}
            assert (await anext(events))["object"]["spec"] == {"hostPort": "a:3"}
        assert (await http.get(f"{FOOS}/x")).json["spec"] == {"host": "a", "port": "3"}
        reviews = webhooks.asked("/convert")
        assert {review["apiVersion"] for review in reviews} == {"apiextensions.k8s.io/v1"}
        await http.delete(f"{OLD}/x")
        assert (await http.get(f"{FOOS}/x")).status == 404


async def test_older_webhooks_are_asked_in_v1beta1() -> None:
    async with both(converting(), versions=("v2", "v1beta1")) as (http, webhooks):
        await http.post(FOOS, foo("x", host="a", port="1"))
        assert (await http.get(f"{OLD}/x")).json["spec"] == {"hostPort": "a:1"}
        assert webhooks.asked("/convert")[0]["apiVersion"] == "apiextensions.k8s.io/v1beta1"


async def test_a_webhook_that_fails_is_told_of() -> None:
    def refuse(answer: Object) -> Object:
        return {**answer, "response": {**answer["response"], "result": {"status": "Failure", "message": "not today"}}}

    async with both(converting(refuse)) as (http, _):
        await http.post(FOOS, foo("x", host="a", port="1"))
        failed = await http.get(f"{OLD}/x")
        assert (failed.status, failed.json["message"]) == (
            500, "conversion webhook for example.com/v1, Kind=Foo failed: not today",
        )  # fmt: skip
        assert (await http.get(f"{FOOS}/x")).status == 200


async def test_a_webhook_may_change_labels_and_annotations_but_no_identity() -> None:
    def label(obj: Object, wanted: str) -> Object:
        new = convert(obj, wanted)
        return {**new, "metadata": {**new["metadata"], "labels": {"by": "webhook"}, "generation": 99}}

    async with both(converting(one=label)) as (http, _):
        await http.post(FOOS, foo("x", host="a", port="1"))
        metadata = (await http.get(f"{OLD}/x")).json["metadata"]
        assert (metadata["labels"], metadata["generation"]) == ({"by": "webhook"}, 1)

    def rename(obj: Object, wanted: str) -> Object:
        new = convert(obj, wanted)
        return {**new, "metadata": {**new["metadata"], "name": "z"}}

    async with both(converting(one=rename)) as (http, _):
        await http.post(FOOS, foo("x", host="a", port="1"))
        message = "conversion webhook for example.com/v1, Kind=Foo returned invalid object: must have the same name: x != z"
        assert (await http.get(f"{OLD}/x")).json["message"] == message


async def test_another_storage_version_takes_over_object_by_object() -> None:
    async with both(converting()) as (http, _):
        await http.post(FOOS, foo("x", host="a", port="1"))
        crd = (await http.get(f"{CRDS}/foos.example.com")).json
        crd["spec"]["versions"] = [version("v1", storage=False), version("v1beta1")]
        changed = (await http.put(f"{CRDS}/foos.example.com", crd)).json
        assert changed["status"]["storedVersions"] == ["v1", "v1beta1"]
        assert (await http.get(f"{OLD}/x")).json["spec"] == {"hostPort": "a:1"}
        standing = (await http.get(f"{FOOS}/x")).json
        assert standing["spec"] == {"host": "a", "port": "1"}
        written = (await http.put(f"{FOOS}/x", standing)).json
        assert written["metadata"]["resourceVersion"] != standing["metadata"]["resourceVersion"]
        again = (await http.put(f"{FOOS}/x", written)).json
        assert again["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]


async def test_objects_are_selected_by_the_fields_of_the_version_asked_for() -> None:
    def typed(*names: str) -> Object:
        fields = [{"jsonPath": f".spec.{name}"} for name in names]
        return {"spec": {"type": "object", "properties": {name: {"type": "string"} for name in names}}, "selectableFields": fields}

    async with webhook_server() as webhooks, running_server() as http:
        config = webhooks.on("/convert", converting())
        conversion = {"strategy": "Webhook", "webhook": {"clientConfig": config, "conversionReviewVersions": ["v1"]}}
        versions = version("v1beta1", **typed("hostPort")), version("v1", storage=False, **typed("host", "port"))
        await establish(http, definition(*versions, conversion=conversion))

        async def names(path: str, selector: str, more: str = "") -> list[str]:
            listed = (await http.get(f"{path}?fieldSelector={selector}{more}")).json
            return [o["metadata"]["name"] for o in listed["items"]]

        async with (
            http.watch(f"{FOOS}?watch=1&fieldSelector=spec.host=a") as events,
            http.watch(f"{OLD}?watch=1&fieldSelector=spec.hostPort=a:1") as old_events,
        ):
            for name, port in (("x", "1"), ("y", "2")):
                await http.post(FOOS, foo(name, host="a", port=port))
            await http.post(FOOS, foo("z", host="b", port="1"))
            assert await names(FOOS, "spec.host=a") == ["x", "y"]
            assert await names(FOOS, "spec.host=a,spec.port=2") == ["y"]
            assert await names(FOOS, "spec.host!=a") == ["z"]
            assert await names(OLD, "spec.hostPort=a:1") == ["x"]
            page = (await http.get(f"{FOOS}?fieldSelector=spec.host=a&limit=1")).json
            assert [o["spec"] for o in page["items"]] == [{"host": "a", "port": "1"}]
            assert await names(FOOS, "spec.host=a", f"&limit=1&continue={page['metadata']['continue']}") == ["y"]
            assert (await http.get(f"{OLD}?fieldSelector=spec.host=a")).status == 400
            await http.patch(f"{FOOS}/y", {"spec": {"host": "b"}})
            assert (await http.delete(f"{FOOS}?fieldSelector=spec.host=a")).status == 200
            seen = [await anext(events) for _ in range(4)]
            assert [(e["type"], e["object"]["metadata"]["name"]) for e in seen] == [
                ("ADDED", "x"), ("ADDED", "y"), ("DELETED", "y"), ("DELETED", "x"),
            ]  # fmt: skip
            assert seen[2]["object"]["spec"] == {"host": "a", "port": "2"}
            assert seen[2]["object"]["metadata"]["resourceVersion"] > seen[1]["object"]["metadata"]["resourceVersion"]
            assert [(await anext(old_events))["type"] for _ in range(2)] == ["ADDED", "DELETED"]
        assert await names(FOOS, "spec.host=b") == ["y", "z"]
