"""Admin access to devices, and who may write what in a ResourceClaim's status."""

from __future__ import annotations

from typing import Any

import pytest

from admission_requests import cluster_object, creating, run, updating
from kubetree.api.errors import Invalid
from kubetree.apiserver.admission.device_claims import ADMIN_ACCESS, DeviceClaims
from kubetree.apiserver.authentication.user import NODE_NAME, User
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Decision
from listed_objects import ListedObjects

Object = dict[str, Any]

DRIVER = User("system:serviceaccount:gpu:driver", extra={NODE_NAME: ("n1",)})
ON_N1 = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}
RESULT = {"request": "r", "driver": "gpu", "pool": "p", "device": "d"}
DEVICE = {"driver": "gpu", "pool": "p", "device": "d", "data": {"a": 1}}


class Rights:
    """Allows `verb subresource namespace/name`, and keeps what was asked."""

    def __init__(self, *allowed: str) -> None:
        self._allowed, self.asked = allowed, list[str]()

    def authorize(self, attributes: Attributes) -> Answer:
        self.asked.append(f"{attributes.verb} {attributes.subresource} {attributes.namespace}/{attributes.name}")
        return Answer(Decision.ALLOW if self.asked[-1] in self._allowed else Decision.NO_OPINION)


def plugin(rights: Rights) -> DeviceClaims:
    labelled = cluster_object("v1", "Namespace", "admins")
    labelled["metadata"]["labels"] = {ADMIN_ACCESS: "true"}
    return DeviceClaims(ListedObjects(labelled, cluster_object("v1", "Namespace", "ns")), rights)


def claim(namespace: str = "ns", *, admin: bool = False, **status: Any) -> Object:
    exactly = {"deviceClassName": "gpu"} | ({"adminAccess": True} if admin else {})
    spec = {"devices": {"requests": [{"name": "r", "exactly": exactly}]}}
    metadata = {"name": "c", "namespace": namespace}
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": metadata, "spec": spec, "status": status}


def template(namespace: str) -> Object:
    return claim(namespace) | {"kind": "ResourceClaimTemplate", "spec": {"spec": claim(admin=True)["spec"]}}


def allocation(**more: Any) -> Object:
    return {"devices": {"results": [RESULT | more]}, "nodeSelector": ON_N1}


async def changed(rights: Rights, new: Object, old: Object, verb: str = "update") -> None:
    request = updating(new, old, subresource="status", user=DRIVER)
    request.verb = verb
    await run(plugin(rights), request)


@pytest.mark.parametrize("obj", [claim(admin=True), template("ns")])
async def test_admin_access_needs_the_namespaces_label(obj: Object) -> None:
    with pytest.raises(Invalid) as caught:
        await run(plugin(Rights()), creating(obj))
    (cause,) = caught.value.causes
    assert cause.field == "spec.devices.requests[0].adminAccess"
    assert f"requires the `{ADMIN_ACCESS}: true` label on the containing namespace" in cause.message


async def test_other_claims_and_labelled_namespaces_pass() -> None:
    for obj in (claim(), claim("admins", admin=True), template("admins")):
        await run(plugin(Rights()), creating(obj))


async def test_admin_access_may_not_come_by_way_of_the_status() -> None:
    rights = Rights("update binding /")
    await changed(rights, claim("admins", allocation=allocation(adminAccess=True)), claim("admins"))
    with pytest.raises(Invalid, match=r"status.allocation.devices.results\[0\].adminAccess: Forbidden: admin access"):
        await changed(rights, claim(allocation=allocation(adminAccess=True)), claim())
    granted = claim(allocation=allocation(adminAccess=True))
    await changed(rights, granted, granted)


async def test_binding_a_claim_is_a_right_of_its_own() -> None:
    bound = claim(allocation=allocation(), reservedFor=[{"resource": "pods", "name": "p", "uid": "u"}])
    await changed(Rights("patch binding /"), bound, claim(), verb="patch")
    wording = (
        r'changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="update" permission: '
        r'resourceclaims.resource.k8s.io is forbidden: User "system:serviceaccount:gpu:driver" cannot update '
        r'resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope'
    )
    with pytest.raises(Invalid, match=wording):
        await changed(Rights("patch binding /"), bound, claim())


async def test_a_driver_writes_of_its_own_devices_on_its_own_node() -> None:
    bound, told = claim(allocation=allocation()), claim(allocation=allocation(), devices=[DEVICE])
    await changed(Rights("associated-node:update driver ns/gpu"), told, bound)
    await changed(Rights("arbitrary-node:update driver ns/gpu"), bound, told)
    unasked = Rights()
    await changed(unasked, told, told)
    assert unasked.asked == []
    with pytest.raises(Invalid, match=r'verb="\[associated-node:update arbitrary-node:update\]" permission: .* "gpu" is forbidden'):
        await changed(Rights(), told, bound)


async def test_elsewhere_only_the_wider_verb_counts() -> None:
    anywhere = allocation() | {"nodeSelector": {"nodeSelectorTerms": [{"matchExpressions": []}]}}
    rights = Rights("associated-node:update driver ns/gpu")
    with pytest.raises(Invalid, match=r'verb="\[arbitrary-node:update\]"'):
        await changed(rights, claim(allocation=anywhere, devices=[DEVICE]), claim(allocation=anywhere))


async def test_what_goes_with_the_allocation_needs_no_drivers_right() -> None:
    rights = Rights("update binding /")
    await changed(rights, claim(), claim(allocation=allocation(), devices=[DEVICE]))
    assert rights.asked == ["update binding /"]
