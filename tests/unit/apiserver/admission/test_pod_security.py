"""The Pod Security Standards, by namespace label."""

from __future__ import annotations

from typing import Any

import pytest

from admission_requests import cluster_object, creating, pod, run, updating
from kubetree.api.errors import Forbidden, Invalid
from kubetree.apiserver.admission.pod_security import Level, PodSecurity, policy_of
from kubetree.apiserver.admission.pod_security_checks import BASELINE, RESTRICTED, detailed, violations
from listed_objects import ListedObjects

Object = dict[str, Any]
SECURE: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def spec(context: Object | None = None, pod_context: Object | None = None, **fields: Any) -> Object:
    container: Object = {"name": "c", "image": "i"} | ({"securityContext": context} if context is not None else {})
    found = {"containers": [container | fields.pop("container", {})], **fields}
    return found | ({"securityContext": pod_context} if pod_context is not None else {})


CASES = [
    (BASELINE, 36, spec(), ""),
    (RESTRICTED, 36, spec(SECURE), ""),
    (
        RESTRICTED,
        36,
        spec(),
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ),
    (BASELINE, 36, spec(hostNetwork=True, hostPID=True), "host namespaces (hostNetwork=true, hostPID=true)"),
    (BASELINE, 36, spec({"privileged": True}), 'privileged (container "c" must not set securityContext.privileged=true)'),
    (
        BASELINE,
        36,
        spec({"capabilities": {"add": ["SYS_ADMIN", "CHOWN", "NET_RAW"]}}),
        'non-default capabilities (container "c" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)',
    ),
    (
        RESTRICTED,
        36,
        spec(SECURE | {"capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}}),
        'unrestricted capabilities (container "c" must not include "CHOWN" in securityContext.capabilities.add)',
    ),
    (BASELINE, 36, spec(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")'),
    (
        RESTRICTED,
        36,
        spec(SECURE, volumes=[{"name": "v", "hostPath": {"path": "/"}}, {"name": "n", "nfs": {}}, {"name": "e", "emptyDir": {}}]),
        'restricted volume types (volumes "v", "n" use restricted volume types "hostPath", "nfs")',
    ),
    (BASELINE, 36, spec(container={"ports": [{"hostPort": 80}, {"containerPort": 1}]}), 'hostPort (container "c" uses hostPort 80)'),
    (
        BASELINE,
        36,
        spec(container={"livenessProbe": {"httpGet": {"host": "1.2.3.4"}}}),
        'probe or lifecycle host (container "c" uses probe or lifecycle host "1.2.3.4")',
    ),
    (BASELINE, 33, spec(container={"livenessProbe": {"httpGet": {"host": "1.2.3.4"}}}), ""),
    (BASELINE, 36, spec({"procMount": "Unmasked"}), 'procMount (container "c" must not set securityContext.procMount to "Unmasked")'),
    (BASELINE, 36, spec({"procMount": "Unmasked"}, hostUsers=False), ""),
    (
        RESTRICTED,
        36,
        spec(SECURE | {"procMount": "Unmasked"}, hostUsers=False),
        'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
    ),
    (
        BASELINE,
        36,
        spec({"seLinuxOptions": {"type": "spc_t", "user": "u"}}, {"seLinuxOptions": {"role": "r"}}),
        'seLinuxOptions (pod and container "c" set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set; '
        "role may not be set)",
    ),
    (
        BASELINE,
        36,
        spec(pod_context={"seccompProfile": {"type": "Unconfined"}}),
        'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ),
    (BASELINE, 36, spec(pod_context={"sysctls": [{"name": "kernel.x"}, {"name": "net.ipv4.tcp_rmem"}]}), "forbidden sysctls (kernel.x)"),
    (BASELINE, 31, spec(pod_context={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), "forbidden sysctls (net.ipv4.tcp_rmem)"),
    (
        BASELINE,
        36,
        spec(pod_context={"appArmorProfile": {"type": "Unconfined"}}),
        'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
    ),
    (RESTRICTED, 36, spec(SECURE, {"runAsUser": 0}), "runAsUser=0 (pod must not set runAsUser=0)"),
    (
        RESTRICTED,
        36,
        spec(SECURE | {"runAsNonRoot": False}),
        'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
    ),
    (RESTRICTED, 36, spec({"runAsNonRoot": True}, os={"name": "windows"}), ""),
]


@pytest.mark.parametrize(
    ("level", "minor", "pod_spec", "expected"), CASES, ids=[f"{level} v1.{minor} {text[:50]}" for level, minor, _, text in CASES]
)
def test_checks(level: str, minor: int, pod_spec: Object, expected: str) -> None:
    assert detailed(violations(level, minor, {}, pod_spec)) == expected


def namespace(**labels: str) -> Object:
    found = cluster_object("v1", "Namespace", "ns")
    found["metadata"]["labels"] = {f"pod-security.kubernetes.io/{key.replace('_', '-')}": value for key, value in labels.items()}
    return found


def plugin(*objects: Object, **labels: str) -> PodSecurity:
    listed = ListedObjects(namespace(**labels), *objects)
    return PodSecurity(listed.cached(), listed)


async def test_enforcement() -> None:
    with pytest.raises(Forbidden) as caught:
        await run(plugin(enforce="baseline"), creating(pod(spec=spec(hostNetwork=True))))
    assert caught.value.message == 'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'
    await run(plugin(), creating(pod(spec=spec(hostNetwork=True))))
    await run(
        plugin(enforce="baseline", enforce_version="v1.33"),
        creating(pod(spec=spec(container={"livenessProbe": {"httpGet": {"host": "x"}}}))),
    )


async def test_what_makes_pods_is_only_warned_about() -> None:
    template = {"metadata": {}, "spec": spec(hostNetwork=True)}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "ns"},
        "spec": {"template": template},
    }
    asked = creating(deployment)
    await run(plugin(enforce="baseline"), asked)
    assert asked.warnings == ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']
    quiet = creating(deployment)
    await run(plugin(enforce="baseline", warn="privileged"), quiet)
    assert quiet.warnings == []


async def test_updates_that_change_no_container_pass() -> None:
    old = pod(spec=spec(hostNetwork=True))
    checked = plugin(enforce="baseline")
    await run(checked, updating(pod(spec=spec(hostNetwork=True), labels={"a": "b"}), old))
    with pytest.raises(Forbidden):
        await run(checked, updating(pod(spec=spec(hostNetwork=True, container={"image": "new"})), old))
    debug = pod(spec=spec(hostNetwork=True, ephemeralContainers=[{"name": "debug", "image": "i"}]))
    with pytest.raises(Forbidden):
        await run(checked, updating(debug, old, subresource="ephemeralcontainers"))


async def test_labels_are_validated() -> None:
    with pytest.raises(Invalid) as caught:
        await run(plugin(), creating(namespace(enforce="strict", warn_version="1.2")))
    assert [(c.field, c.message) for c in caught.value.causes] == [
        (
            "metadata.labels[pod-security.kubernetes.io/enforce]",
            'Invalid value: "strict": must be one of privileged, baseline, restricted',
        ),
        ("metadata.labels[pod-security.kubernetes.io/warn-version]", 'Invalid value: "1.2": must be "latest" or "v1.x"'),
    ]
    assert policy_of(namespace(enforce="strict")["metadata"]["labels"])[0].enforce == Level(RESTRICTED)


async def test_raising_the_level_warns_about_pods_that_run() -> None:
    bad = [pod(name, spec=spec(hostNetwork=True)) for name in ("b", "a")]
    asked = updating(namespace(enforce="baseline"), namespace())
    await run(plugin(*bad, pod("good", spec=spec())), asked)
    assert asked.warnings == [
        'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 1 other pod): host namespaces",
    ]
    relaxed = updating(namespace(enforce="baseline"), namespace(enforce="restricted"))
    await run(plugin(*bad), relaxed)
    assert relaxed.warnings == []
