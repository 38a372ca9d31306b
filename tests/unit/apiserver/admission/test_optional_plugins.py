"""The plugins that are off unless asked for, and the topology labels of bound pods."""

from __future__ import annotations

from typing import Any

import pytest

from admission_requests import cluster_object, creating, pod, run, updating
from kubetree.api.errors import Forbidden, NotFound
from kubetree.api.kind_table import builtin
from kubetree.apiserver.admission.always import AlwaysDeny
from kubetree.apiserver.admission.always_pull_images import AlwaysPullImages
from kubetree.apiserver.admission.deny_service_external_ips import DenyServiceExternalIPs
from kubetree.apiserver.admission.extended_resource_toleration import ExtendedResourceToleration
from kubetree.apiserver.admission.hard_anti_affinity import LimitPodHardAntiAffinityTopology
from kubetree.apiserver.admission.namespace_provision import NAMESPACE, NamespaceAutoProvision, NamespaceExists
from kubetree.apiserver.admission.owner_references import OwnerReferencesPermissionEnforcement
from kubetree.apiserver.admission.pod_node_selector import PodNodeSelector
from kubetree.apiserver.admission.pod_topology_labels import PodTopologyLabels
from kubetree.apiserver.authorization.rbac import RBAC
from listed_objects import ListedObjects
from rbac_objects import JANE, binding, role, rule, user

Object = dict[str, Any]


async def test_bound_pods_carry_their_nodes_zone() -> None:
    node = cluster_object("v1", "Node", "n")
    node["metadata"]["labels"] = {"topology.kubernetes.io/zone": "a", "other": "x"}
    plugin = PodTopologyLabels(ListedObjects(node).cached())
    bound = creating(pod(), subresource="binding")
    bound.obj = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert (await run(plugin, bound))["metadata"]["labels"] == {"topology.kubernetes.io/zone": "a"}
    placed = await run(plugin, creating(pod(spec={"nodeName": "n"}, labels={"topology.kubernetes.io/zone": "mine"})))
    assert placed["metadata"]["labels"] == {"topology.kubernetes.io/zone": "a"}
    assert "labels" not in (await run(plugin, creating(pod())))["metadata"]


async def test_images_are_always_pulled() -> None:
    made = await run(AlwaysPullImages(), creating(pod(spec={"containers": [{"name": "c", "image": "i", "imagePullPolicy": "Never"}]})))
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    bad = creating(pod(spec={"containers": [{"name": "c", "image": "i", "imagePullPolicy": "Never"}]}))
    with pytest.raises(Forbidden, match=r'containers.0..imagePullPolicy: Unsupported value: "Never": supported values: "Always"'):
        await AlwaysPullImages().validate(bad)


async def test_external_ips_are_denied() -> None:
    def service(*addresses: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s", "namespace": "ns"},
            "spec": {"externalIPs": list(addresses)},
        }

    await run(DenyServiceExternalIPs(), creating(service()))
    await run(DenyServiceExternalIPs(), updating(service("1.1.1.1"), service("1.1.1.1", "2.2.2.2")))
    with pytest.raises(Forbidden, match="Use of external IPs is denied by admission control"):
        await run(DenyServiceExternalIPs(), updating(service("3.3.3.3"), service("1.1.1.1")))


async def test_devices_are_tolerated() -> None:
    spec = {"containers": [{"name": "c", "resources": {"requests": {"example.com/gpu": "1", "cpu": "1"}}}]}
    made = await run(ExtendedResourceToleration(), creating(pod(spec=spec)))
    assert made["spec"]["tolerations"] == [{"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


async def test_anti_affinity_stays_on_the_node() -> None:
    def spread(key: str) -> Object:
        return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": key}]}}}

    await run(LimitPodHardAntiAffinityTopology(), creating(pod(spec=spread("kubernetes.io/hostname"))))
    with pytest.raises(Forbidden, match=r"has TopologyKey zone but only key kubernetes.io/hostname is allowed"):
        await run(LimitPodHardAntiAffinityTopology(), creating(pod(spec=spread("zone"))))


def owned(*blocking: bool) -> Object:
    owners = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"rs{i}", "uid": str(i), "blockOwnerDeletion": blocks}
        for i, blocks in enumerate(blocking)
    ]
    return pod(ownerReferences=owners)


def enforcement(*rules: Object) -> OwnerReferencesPermissionEnforcement:
    rbac = RBAC(ListedObjects(role("r", *rules), binding("b", "ClusterRole", "r", user("jane"))).cached())
    return OwnerReferencesPermissionEnforcement(rbac, builtin())


async def test_owners_are_changed_by_who_may_delete() -> None:
    await run(enforcement(), creating(owned(False), user=JANE))
    await run(enforcement(rule("delete", "pods")), updating(owned(False), owned(), user=JANE))
    with pytest.raises(Forbidden, match="cannot set an ownerRef on a resource you can't delete"):
        await run(enforcement(), updating(owned(False), owned(), user=JANE))


async def test_deletion_is_blocked_by_who_may_finalize_the_owner() -> None:
    await run(enforcement(rule("update", "replicasets/finalizers", "apps")), creating(owned(True), user=JANE))
    with pytest.raises(
        Forbidden, match="cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"
    ):
        await run(enforcement(), creating(owned(True), user=JANE))


async def test_a_namespaces_node_selector() -> None:
    namespace = cluster_object("v1", "Namespace", "ns")
    namespace["metadata"]["annotations"] = {"scheduler.alpha.kubernetes.io/node-selector": "env=prod, disk=ssd"}
    listed = ListedObjects(namespace)
    plugin = PodNodeSelector(listed.cached(), listed)
    made = await run(plugin, creating(pod(spec={"nodeSelector": {"a": "b"}})))
    assert made["spec"]["nodeSelector"] == {"env": "prod", "disk": "ssd", "a": "b"}
    with pytest.raises(Forbidden, match="pod node label selector conflicts with its namespace node label selector"):
        await run(plugin, creating(pod(spec={"nodeSelector": {"env": "test"}})))


async def test_namespaces_are_made_or_demanded() -> None:
    listed = ListedObjects()
    with pytest.raises(NotFound):
        await run(NamespaceExists(listed.cached(), listed), creating(pod()))
    await run(NamespaceAutoProvision(listed.cached(), listed), creating(pod()))
    assert (await listed.get(NAMESPACE, "", "ns"))["metadata"]["name"] == "ns"
    await run(NamespaceExists(listed.cached(), listed), creating(pod()))


async def test_deny() -> None:
    with pytest.raises(Forbidden, match="admission control is denying all modifications"):
        await run(AlwaysDeny(), creating(pod()))
