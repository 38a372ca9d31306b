"""Short ways to make admission requests in tests."""

from __future__ import annotations

from typing import Any

from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, DELETE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.user import User

Object = dict[str, Any]
ADMIN = User("admin", groups=("system:masters", "system:authenticated"))


def request(
    operation: str, obj: Object | None, old: Object | None = None, *, subresource: str = "", user: User = ADMIN
) -> AdmissionRequest:
    seen = obj or old or {}
    row = kind(seen["apiVersion"], seen["kind"])
    metadata = seen["metadata"]
    namespace = metadata["name"] if row.plural == "namespaces" else metadata.get("namespace", "")
    return AdmissionRequest(operation, row, subresource, namespace, metadata.get("name", ""), obj, old, user)


def creating(obj: Object, **more: Any) -> AdmissionRequest:
    return request(CREATE, obj, **more)


def updating(obj: Object, old: Object, **more: Any) -> AdmissionRequest:
    return request(UPDATE, obj, old, **more)


def deleting(old: Object, **more: Any) -> AdmissionRequest:
    return request(DELETE, None, old, **more)


async def run(plugin: Plugin, asked: AdmissionRequest) -> Object:
    """Both phases, as the chain would. Returns the object."""
    if plugin.wants(asked.operation, asked.kind.group_resource, asked.subresource):
        for does, step in ((plugin.mutates, plugin.admit), (plugin.validates, plugin.validate)):
            waiting = step(asked) if does else None
            if waiting is not None:
                await waiting
    return asked.obj or {}


def pod(name: str = "p", namespace: str = "ns", spec: Object | None = None, **metadata: Any) -> Object:
    spec = {"containers": [{"name": "c", "image": "i"}]} if spec is None else spec
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec}


def cluster_object(api_version: str, kind_name: str, name: str, **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind_name, "metadata": {"name": name}, **fields}
