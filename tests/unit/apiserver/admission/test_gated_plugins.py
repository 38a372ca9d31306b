"""The plugins of kinds that are off by default: groups of pods, trust bundles, certificates for pods."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from admission_requests import creating, run, updating
from kubetree.api.errors import Forbidden, Invalid
from kubetree.apiserver.admission.certificates import ClusterTrustBundleAttest, PodCertificateSigner
from kubetree.apiserver.admission.pod_groups import (
    FINALIZER,
    POD_GROUP,
    WORKLOAD,
    JobValidation,
    PodGroupProtection,
    PodGroupWorkloadExists,
)
from kubetree.apiserver.admission.priority import Priority
from kubetree.apiserver.authorization.rbac import RBAC
from listed_objects import ListedObjects
from rbac_objects import JANE, binding, role, rule, user

Object = dict[str, Any]
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def named(api_version: str, kind: str, name: str, namespace: str = "ns", **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def group(name: str = "g", **spec: Any) -> Object:
    return named(POD_GROUP.api_version, POD_GROUP.kind, name, spec=spec)


async def test_a_group_of_pods_is_protected_once() -> None:
    made = await run(PodGroupProtection(), creating(group()))
    assert made["metadata"]["finalizers"] == [FINALIZER]
    assert (await run(PodGroupProtection(), creating(made)))["metadata"]["finalizers"] == [FINALIZER]


@pytest.mark.parametrize(
    ("workload", "template", "told"),
    [
        ("w", "t", ""),
        ("w", "x", 'PodGroup rejected: PodGroupTemplate "x" not found in Workload "w"'),
        ("x", "t", 'PodGroup rejected: Workload "x" not found'),
        ("going", "t", 'PodGroup rejected: Workload "going" is being deleted'),
    ],
)
async def test_what_a_group_is_made_from_exists(workload: str, template: str, told: str) -> None:
    templates = {"podGroupTemplates": [{"name": "t"}]}
    going = named(WORKLOAD.api_version, WORKLOAD.kind, "going", spec=templates)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    listed = ListedObjects(named(WORKLOAD.api_version, WORKLOAD.kind, "w", spec=templates), going)
    asked = creating(group(podGroupTemplateRef={"workload": {"workloadName": workload, "podGroupTemplateName": template}}))
    if told:
        with pytest.raises(Forbidden, match=told):
            await run(PodGroupWorkloadExists(listed.cached(), listed), asked)
    else:
        await run(PodGroupWorkloadExists(listed.cached(), listed), asked)


async def test_a_group_has_the_priority_of_its_class() -> None:
    high = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 7}
    listed = ListedObjects(high).cached()
    plugin = Priority(listed, frozenset({"WorkloadAwarePreemption"}))
    assert (await run(plugin, creating(group(priorityClassName="high"))))["spec"] == {"priorityClassName": "high", "priority": 7}
    assert (await run(Priority(listed), creating(group())))["spec"] == {}
    with pytest.raises(Forbidden, match=r"priority set in the pod group \(3\) must match the priority computed \(7\)"):
        await run(plugin, creating(group(priorityClassName="high", priority=3)))


@pytest.mark.parametrize("policy", ["gang", "basic"])
@pytest.mark.parametrize("by_name", [True, False])
async def test_a_job_of_a_gang_keeps_its_size(policy: str, by_name: bool) -> None:
    its = group(schedulingPolicy={policy: {}})
    spec: Object = {"schedulingGroup": {"podGroupName": "g"}} if by_name else {}
    if not by_name:
        its["metadata"]["ownerReferences"] = [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}]
    old = named("batch/v1", "Job", "j", spec={"parallelism": 1, "template": {"spec": spec}})
    old["metadata"]["uid"] = "u"
    new = {**old, "spec": old["spec"] | {"parallelism": 2}}
    plugin = JobValidation(ListedObjects(its).cached())
    await run(plugin, updating(old, old))
    if policy == "gang":
        with pytest.raises(Forbidden, match='cannot change parallelism for a Job referencing gang-scheduled PodGroup "g"'):
            await run(plugin, updating(new, old))
    else:
        await run(plugin, updating(new, old))


def rights(verb: str, name: str) -> RBAC:
    held = role("r", rule(verb, "signers", "certificates.k8s.io", names=name))
    return RBAC(ListedObjects(held, binding("b", "ClusterRole", "r", user("jane"))).cached())


async def test_a_trust_bundle_of_a_signer_is_attested() -> None:
    def bundle(signer: str) -> Object:
        spec = {"trustBundle": "x"} | ({"signerName": signer} if signer else {})
        return {"apiVersion": "certificates.k8s.io/v1beta1", "kind": "ClusterTrustBundle", "metadata": {"name": "b"}, "spec": spec}

    plugin = ClusterTrustBundleAttest(rights("attest", "example.com/*"))
    await run(plugin, creating(bundle("example.com/x"), user=JANE))
    await run(plugin, creating(bundle(""), user=JANE))
    others = bundle("other.com/x")
    with pytest.raises(Forbidden, match="user not permitted to attest for signerName"):
        await run(plugin, creating(others, user=JANE))
    await run(plugin, updating({**others, "metadata": {"name": "b", "finalizers": ["x/y"]}}, others, user=JANE))


@pytest.mark.parametrize(
    ("signer", "begins", "told"),
    [
        ("example.com/x", "2026-05-01T00:04:00Z", ""),
        ("example.com/x", "", ""),
        ("example.com/x", "2026-04-30T23:54:00Z", "must be set to within 5 minutes of kube-apiserver's current time"),
        ("other.com/x", "", 'User "jane" is not permitted to "sign" for signer "other.com/x"'),
    ],
)
async def test_a_certificate_for_a_pod_comes_from_its_signer(signer: str, begins: str, told: str) -> None:
    old = named("certificates.k8s.io/v1beta1", "PodCertificateRequest", "r", spec={"signerName": signer})
    new = {**old, "status": {"certificateChain": "x"} | ({"notBefore": begins} if begins else {})}
    plugin = PodCertificateSigner(rights("sign", "example.com/x"), lambda: NOW)
    await run(plugin, updating(old, old, subresource="status", user=JANE))
    asked = updating(new, old, subresource="status", user=JANE)
    if told:
        with pytest.raises(Invalid, match=told):
            await run(plugin, asked)
    else:
        await run(plugin, asked)
