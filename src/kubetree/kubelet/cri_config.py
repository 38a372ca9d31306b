"""Pods and containers as CRI wants them: sandbox and container configurations. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import orjson

from kubetree.kubelet import dns, hosts, resources, specs
from kubetree.kubelet.cri.messages import NamespaceMode, ProfileType, Propagation, Protocol
from kubetree.kubelet.environment import ConfigError, expand
from kubetree.kubelet.runtime_state import (
    CONTAINER_HASH,
    CONTAINER_NAME,
    CONTAINER_PRE_STOP,
    POD_GRACE_PERIOD,
    POD_NAME,
    POD_NAMESPACE,
    POD_UID,
    RESTART_COUNT,
    TERMINATION_PATH,
    TERMINATION_POLICY,
)

Object = dict[str, Any]

_MASKED_PATHS = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
_READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Mount:
    """One directory or file of the node seen in a container."""

    container_path: str
    host_path: str
    readonly: bool = False
    propagation: Propagation = Propagation.PRIVATE
    recursive_read_only: bool = False

    def to_cri(self) -> Object:
        return {
            "container_path": self.container_path,
            "host_path": self.host_path,
            "readonly": self.readonly,
            "propagation": int(self.propagation),
            "recursive_read_only": self.recursive_read_only,
        }


@dataclass(frozen=True, slots=True)
class ImageUser:
    """Whom an image runs as: a number, or a name that only the image can resolve."""

    uid: int | None = None
    name: str = ""


def pod_log_directory(root: str, pod: Object) -> str:
    metadata = pod["metadata"]
    return f"{root}/{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"


def pod_labels(pod: Object) -> dict[str, str]:
    metadata = pod["metadata"]
    return {POD_NAME: metadata["name"], POD_NAMESPACE: metadata["namespace"], POD_UID: metadata["uid"]}


def _namespaces(pod: Object) -> Object:
    spec = pod["spec"]
    pid = NamespaceMode.CONTAINER
    if spec.get("hostPID"):
        pid = NamespaceMode.NODE
    elif spec.get("shareProcessNamespace"):
        pid = NamespaceMode.POD
    return {
        "network": int(NamespaceMode.NODE if spec.get("hostNetwork") else NamespaceMode.POD),
        "pid": int(pid),
        "ipc": int(NamespaceMode.NODE if spec.get("hostIPC") else NamespaceMode.POD),
    }


def _groups(pod_context: Object) -> list[int]:
    own = [pod_context["fsGroup"]] if pod_context.get("fsGroup") is not None else []
    return own + list(pod_context.get("supplementalGroups") or ())


def sandbox_config(pod: Object, *, attempt: int, log_root: str, resolver: dns.Resolver, cluster_domain: str, cgroup_root: str) -> Object:
    """CRI's PodSandboxConfig. Raises ConfigError for a host name that cannot be."""
    spec, metadata = pod["spec"], pod["metadata"]
    context = spec.get("securityContext") or {}
    security: Object = {
        "namespace_options": _namespaces(pod),
        "privileged": any((c.get("securityContext") or {}).get("privileged") for c in specs.every_container(pod)),
        "seccomp": {"profile_type": int(ProfileType.RUNTIME_DEFAULT)},
        "supplemental_groups": _groups(context),
        "supplemental_groups_policy": 1 if context.get("supplementalGroupsPolicy") == "Strict" else 0,
    }
    for field, cri_field in (("runAsUser", "run_as_user"), ("runAsGroup", "run_as_group")):
        if context.get(field) is not None:
            security[cri_field] = {"value": context[field]}
    if context.get("seLinuxOptions"):
        security["selinux_options"] = dict(context["seLinuxOptions"])
    config: Object = {
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"], "attempt": attempt},
        "labels": {**(metadata.get("labels") or {}), **pod_labels(pod)},
        "annotations": dict(metadata.get("annotations") or {}),
        "log_directory": pod_log_directory(log_root, pod),
        "dns_config": {"servers": resolver.servers, "searches": resolver.searches, "options": resolver.options},
        "port_mappings": _port_mappings(pod),
        "linux": {
            "cgroup_parent": resources.pod_cgroup(cgroup_root, pod),
            "security_context": security,
            "sysctls": {s["name"].replace("/", "."): s["value"] for s in context.get("sysctls") or ()},
        },
    }
    if not specs.is_host_network(pod):
        try:
            config["hostname"] = hosts.kernel_host_name(pod, cluster_domain)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    return config


def _port_mappings(pod: Object) -> list[Object]:
    """Host ports; a pod on the host's network needs none."""
    if specs.is_host_network(pod):
        return []
    owners = [*specs.containers(pod), *(c for c in specs.init_containers(pod) if specs.is_sidecar(c))]
    return [
        {
            "protocol": int(Protocol[port.get("protocol") or "TCP"]),
            "container_port": port["containerPort"],
            "host_port": port.get("hostPort") or 0,
            "host_ip": port.get("hostIP") or "",
        }
        for container in owners
        for port in container.get("ports") or ()
    ]


def effective_security_context(pod: Object, container: Object) -> Object:
    """The container's own settings over those of the pod that containers inherit."""
    pod_context = pod["spec"].get("securityContext") or {}
    inherited = ("runAsUser", "runAsGroup", "runAsNonRoot", "seLinuxOptions", "seccompProfile", "appArmorProfile")
    return {k: pod_context[k] for k in inherited if pod_context.get(k) is not None} | {
        k: v for k, v in (container.get("securityContext") or {}).items() if v is not None
    }


def check_non_root(pod: Object, container: Object, user: ImageUser) -> None:
    """Raises ConfigError, worded as upstream, when runAsNonRoot is asked for and cannot be kept or cannot be known."""
    context = effective_security_context(pod, container)
    if not context.get("runAsNonRoot"):
        return
    where = f'(pod: "{specs.full_name(pod)}", container: {container["name"]})'
    if context.get("runAsUser") is not None:
        if context["runAsUser"] == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    if user.uid == 0 or (user.uid is None and not user.name):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if user.uid is None:
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({user.name}), cannot verify user is non-root {where}"
        )


def _profile(profile: Object | None, root: str) -> Object:
    kind = (profile or {}).get("type", "Unconfined")
    if kind == "RuntimeDefault":
        return {"profile_type": int(ProfileType.RUNTIME_DEFAULT)}
    if kind == "Localhost":
        reference = (profile or {}).get("localhostProfile") or ""
        return {"profile_type": int(ProfileType.LOCALHOST), "localhost_ref": str(PurePosixPath(root, reference)) if root else reference}
    return {"profile_type": int(ProfileType.UNCONFINED)}


def _container_security(pod: Object, container: Object, user: ImageUser, seccomp_root: str, target_id: str) -> Object:
    context = effective_security_context(pod, container)
    pod_context = pod["spec"].get("securityContext") or {}
    unmasked = context.get("procMount") == "Unmasked"
    namespaces = _namespaces(pod)
    if target_id:
        namespaces |= {"pid": int(NamespaceMode.TARGET), "target_id": target_id}
    security: Object = {
        "privileged": bool(context.get("privileged")),
        "readonly_rootfs": bool(context.get("readOnlyRootFilesystem")),
        "namespace_options": namespaces,
        "supplemental_groups": _groups(pod_context),
        "supplemental_groups_policy": 1 if pod_context.get("supplementalGroupsPolicy") == "Strict" else 0,
        "no_new_privs": context.get("allowPrivilegeEscalation") is False,
        "masked_paths": () if unmasked else _MASKED_PATHS,
        "readonly_paths": () if unmasked else _READONLY_PATHS,
        "seccomp": _profile(context.get("seccompProfile"), seccomp_root),
    }
    if context.get("runAsUser") is not None:
        security["run_as_user"] = {"value": context["runAsUser"]}
    elif user.uid is not None:
        security["run_as_user"] = {"value": user.uid}
    elif user.name:
        security["run_as_username"] = user.name
    if context.get("runAsGroup") is not None:
        security["run_as_group"] = {"value": context["runAsGroup"]}
    if capabilities := context.get("capabilities"):
        security["capabilities"] = {
            "add_capabilities": capabilities.get("add") or (),
            "drop_capabilities": capabilities.get("drop") or (),
        }
    if context.get("seLinuxOptions"):
        security["selinux_options"] = dict(context["seLinuxOptions"])
    if context.get("appArmorProfile"):
        security["apparmor"] = _profile(context["appArmorProfile"], "")
    return security


_SIGNAL_NAMES = (
    "SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT "
    "SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIGRTMIN"
)
SIGNAL_NUMBERS = (
    {name: number for number, name in enumerate(re.findall(r"\S+", _SIGNAL_NAMES), start=1)}
    | {f"SIGRTMIN+{n}": 35 + n for n in range(1, 16)}
    | {f"SIGRTMAX-{n}": 65 - n for n in range(1, 15)}
    | {"SIGRTMAX": 65}
)
"""CRI's enumeration of signals, which is not the kernel's."""


def container_config(
    pod: Object,
    container: Object,
    *,
    image_ref: str,
    user: ImageUser,
    restart_count: int,
    variables: Mapping[str, str],
    mounts: Sequence[Mount],
    devices: Iterable[str] = (),
    memory_capacity: int,
    cgroup_v2: bool,
    seccomp_root: str = "",
    target_id: str = "",
) -> Object:
    """CRI's ContainerConfig. Raises ConfigError when runAsNonRoot cannot be kept."""
    check_non_root(pod, container, user)
    metadata = pod["metadata"]
    notes = {
        CONTAINER_HASH: specs.container_hash(container),
        RESTART_COUNT: str(restart_count),
        TERMINATION_PATH: container.get("terminationMessagePath", ""),
        TERMINATION_POLICY: container.get("terminationMessagePolicy", ""),
        POD_GRACE_PERIOD: str(specs.grace_period(pod)),
    }
    if pre_stop := (container.get("lifecycle") or {}).get("preStop"):
        notes[CONTAINER_PRE_STOP] = orjson.dumps(pre_stop).decode()
    config: Object = {
        "metadata": {"name": container["name"], "attempt": restart_count},
        "image": {"image": image_ref, "user_specified_image": container["image"]},
        "command": [expand(word, variables) for word in container.get("command") or ()],
        "args": [expand(word, variables) for word in container.get("args") or ()],
        "working_dir": container.get("workingDir") or "",
        "envs": [{"key": name, "value": value.encode("utf-8", "surrogateescape")} for name, value in variables.items()],
        "mounts": [mount.to_cri() for mount in mounts],
        "devices": [{"host_path": path, "container_path": path, "permissions": "mrw"} for path in devices],
        "labels": {
            POD_NAME: metadata["name"],
            POD_NAMESPACE: metadata["namespace"],
            POD_UID: metadata["uid"],
            CONTAINER_NAME: container["name"],
        },
        "annotations": notes,
        "log_path": f"{container['name']}/{restart_count}.log",
        "stdin": bool(container.get("stdin")),
        "stdin_once": bool(container.get("stdinOnce")),
        "tty": bool(container.get("tty")),
        "linux": {
            "resources": resources.linux_resources(pod, container, memory_capacity=memory_capacity, cgroup_v2=cgroup_v2),
            "security_context": _container_security(pod, container, user, seccomp_root, target_id),
        },
    }
    if signal := (container.get("lifecycle") or {}).get("stopSignal"):
        config["stop_signal"] = SIGNAL_NUMBERS[signal]
    return config
