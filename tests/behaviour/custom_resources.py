"""Definitions of custom resources for tests, and a client's way of making one and waiting until it is served."""

from __future__ import annotations

from typing import Any

from behaviour.apiserver_harness import Http

Object = dict[str, Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FOOS = "/apis/example.com/v1/namespaces/default/foos"


def string(**more: Any) -> Object:
    return {"type": "string", **more}


def fields(**properties: Object) -> Object:
    return {"type": "object", "properties": properties}


def version(name: str = "v1", spec: Object | None = None, *, storage: bool = True, **more: Any) -> Object:
    """`spec` is the schema of spec; without one every field is free."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = free if spec is None else fields(spec=spec, status=free)
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def definition(*versions: Object, kind: str = "Foo", plural: str = "foos", scope: str = "Namespaced", **spec: Any) -> Object:
    names = {"plural": plural, "kind": kind, **spec.pop("names", {})}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {"group": "example.com", "scope": scope, "names": names, "versions": list(versions) or [version()], **spec},
    }


def conditions(crd: Object) -> dict[str, Object]:
    """By type; none of a definition that nobody has looked at yet."""
    return {c["type"]: c for c in (crd.get("status") or {}).get("conditions") or ()}


async def establish(http: Http, crd: Object) -> Object:
    """Creates a definition and waits until it is established."""
    made = await http.post(CRDS, crd)
    assert made.status == 201, made.text
    return await wait_for(http, crd["metadata"]["name"], "Established", "True")


async def wait_for(http: Http, name: str, type: str, status: str) -> Object:
    """The definition, once it has the condition and each server goes by it."""
    await http.everywhere(f"{CRDS}/{name}", lambda reply: conditions(reply.json).get(type, {}).get("status") == status)
    crd: Object = (await http.get(f"{CRDS}/{name}")).json
    if (type, status) == ("Established", "True"):
        spec = crd["spec"]
        for served in (version["name"] for version in spec["versions"] if version["served"]):
            await http.everywhere(f"/apis/{spec['group']}/{served}/{spec['names']['plural']}", lambda reply: reply.status != 404)
    return crd


async def until_gone(http: Http, path: str) -> None:
    await http.everywhere(path, lambda reply: reply.status == 404)


def foo(name: str, api_version: str = "example.com/v1", **spec: Any) -> Object:
    return {"apiVersion": api_version, "kind": "Foo", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
