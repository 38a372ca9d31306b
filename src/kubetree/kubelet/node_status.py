"""The Node object that a kubelet keeps: labels, addresses, capacity, conditions, images. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.api.quantities import Quantity, parse_quantity
from kubetree.kubelet.config import KubeletConfig
from kubetree.kubelet.machine import Machine

Object = dict[str, Any]

KUBELET_VERSION = "v1.36.0+kubetree"
MAX_IMAGES, MAX_IMAGE_NAMES = 50, 5
EVICTION_MEMORY = 100 << 20
"""Bytes of memory below which pods are evicted, upstream's default; they are kept from pods."""
EVICTION_DISK = 0.10


@dataclass(frozen=True, slots=True)
class Health:
    """What the conditions say. Empty strings and False are well."""

    not_ready: tuple[str, ...] = ()
    memory_pressure: bool = False
    disk_pressure: bool = False
    pid_pressure: bool = False


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    version: str = "containerd://unknown"
    handlers: tuple[Object, ...] = ()


def labels(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    own = {
        "kubernetes.io/hostname": config.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": machine.architecture,
    }
    return own | dict(config.node_labels)


def taints(config: KubeletConfig) -> list[Object]:
    """From key=value:effect."""
    made: list[Object] = []
    for text in config.register_taints:
        pair, _, effect = text.rpartition(":")
        key, _, value = pair.partition("=")
        made.append({"key": key, "effect": effect} | ({"value": value} if value else {}))
    return made


def capacity(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    return {
        "cpu": str(machine.cpus),
        "ephemeral-storage": f"{machine.disk // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": f"{machine.memory // 1024}Ki",
        "pods": str(config.max_pods),
    }


def allocatable(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    """Capacity less what is reserved for the system and for eviction's threshold."""
    amounts: dict[str, Quantity] = {name: parse_quantity(value) for name, value in capacity(config, machine).items()}
    reserved = {name: parse_quantity(value) for name, value in config.system_reserved}
    if config.eviction:
        amounts["memory"] = _less(amounts["memory"], Quantity(EVICTION_MEMORY, "BinarySI"))
        amounts["ephemeral-storage"] = Quantity(int(machine.disk * (1 - EVICTION_DISK)))
    for name, amount in reserved.items():
        if name in amounts:
            amounts[name] = _less(amounts[name], amount)
    return {name: str(amount) for name, amount in amounts.items()}


def _less(amount: Quantity, reserved: Quantity) -> Quantity:
    return amount - reserved if reserved < amount else amount - amount


def new_node(config: KubeletConfig, machine: Machine) -> Object:
    node: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": config.node_name,
            "labels": labels(config, machine),
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": {},
    }
    if made := taints(config):
        node["spec"]["taints"] = made
    if config.provider_id:
        node["spec"]["providerID"] = config.provider_id
    if config.pod_cidr:
        node["spec"] |= {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr]}
    return node


def node_status(
    config: KubeletConfig,
    machine: Machine,
    addresses: Sequence[str],
    runtime: RuntimeInfo,
    images: Sequence[Any],
    health: Health,
    earlier: Object,
    now: str,
) -> Object:
    """The whole `status`; `earlier` is the one before, whose transition times are kept."""
    return {
        "addresses": [{"type": "InternalIP", "address": ip} for ip in addresses] + [{"type": "Hostname", "address": config.node_name}],
        "allocatable": allocatable(config, machine),
        "capacity": capacity(config, machine),
        "conditions": conditions(health, {c["type"]: c for c in earlier.get("conditions") or ()}, now),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.port}},
        "images": image_list(images),
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.system_uuid,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": runtime.version,
            "kubeletVersion": KUBELET_VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": machine.architecture,
            **({"swap": {"capacity": machine.swap}} if machine.swap else {}),
        },
        **({"runtimeHandlers": list(runtime.handlers)} if runtime.handlers else {}),
    }


@dataclass(frozen=True, slots=True)
class _Words:
    """Reason and message of a pressure condition, bad and good."""

    bad: tuple[str, str]
    good: tuple[str, str]


_PRESSURES: Mapping[str, _Words] = {
    "MemoryPressure": _Words(
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ),
    "DiskPressure": _Words(
        ("KubeletHasDiskPressure", "kubelet has disk pressure"), ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")
    ),
    "PIDPressure": _Words(
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ),
}


def conditions(health: Health, earlier: Mapping[str, Object], now: str) -> list[Object]:
    """The three pressures, then Ready, as upstream orders them. Conditions of other owners are kept."""
    pressed = {"MemoryPressure": health.memory_pressure, "DiskPressure": health.disk_pressure, "PIDPressure": health.pid_pressure}
    made = [_condition(kind, bad, *(_PRESSURES[kind].bad if bad else _PRESSURES[kind].good)) for kind, bad in pressed.items()]
    if health.not_ready:
        text = health.not_ready[0] if len(health.not_ready) == 1 else f"[{', '.join(health.not_ready)}]"
        made.append(_condition("Ready", False, "KubeletNotReady", text))
    else:
        made.append(_condition("Ready", True, "KubeletReady", "kubelet is posting ready status"))
    for condition in made:
        before = earlier.get(condition["type"])
        unchanged = before is not None and before.get("status") == condition["status"]
        condition["lastHeartbeatTime"] = now
        condition["lastTransitionTime"] = before.get("lastTransitionTime", now) if before is not None and unchanged else now
    own = {condition["type"] for condition in made}
    return [c for kind, c in earlier.items() if kind not in own] + made


def _condition(kind: str, value: bool, reason: str, message: str) -> Object:
    return {"type": kind, "status": "True" if value else "False", "reason": reason, "message": message}


def transitions(earlier: Object, status: Object) -> list[str]:
    """Event reasons for conditions that changed: NodeReady, NodeHasSufficientMemory, ..."""
    before = {c["type"]: c["status"] for c in earlier.get("conditions") or ()}
    reasons = []
    for condition in status["conditions"]:
        if before.get(condition["type"]) == condition["status"]:
            continue
        if condition["type"] == "Ready":
            if condition["type"] in before:
                reasons.append("NodeReady" if condition["status"] == "True" else "NodeNotReady")
        elif condition["type"] in _PRESSURES:
            reasons.append(condition["reason"].replace("Kubelet", "Node", 1))
    return reasons


def image_list(images: Sequence[Any]) -> list[Object]:
    """The largest images with their names; from CRI Image messages."""
    listed: list[Object] = []
    for image in sorted(images, key=lambda i: i.size, reverse=True)[:MAX_IMAGES]:
        names = [*image.repo_digests, *image.repo_tags][:MAX_IMAGE_NAMES]
        if names:
            listed.append({"names": names, "sizeBytes": image.size})
    return listed


def differs(earlier: Object, status: Object) -> bool:
    """Whether anything but heartbeats changed."""
    return _without_heartbeats(earlier) != _without_heartbeats({**earlier, **status})


def _without_heartbeats(status: Object) -> Object:
    stripped = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in status.get("conditions") or ()]
    return {**status, "conditions": sorted(stripped, key=lambda c: str(c["type"]))}
