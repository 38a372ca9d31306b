"""The checks of the Pod Security Standards: a table of what `baseline` and `restricted` forbid, by policy version. Pure.

Follows k8s.io/pod-security-admission/policy, with its reasons and details.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from kubetree.apiserver.authorization.pod_references import containers

Object = Mapping[str, Any]
PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LATEST = 1 << 16
"""The policy version `latest`; others are their minor number."""


class Violation(NamedTuple):
    """`reason` says what is forbidden, `detail` which field of what."""

    reason: str
    detail: str


CheckPod = Callable[[Object, Object], Violation | None]
"""Of a pod's metadata and spec."""


@dataclass(frozen=True, slots=True)
class Check:
    """`versions` are (first minor version, check), rising. A restricted check may take the place of baseline ones."""

    id: str
    level: str
    versions: tuple[tuple[int, CheckPod], ...]
    overrides: tuple[str, ...] = ()

    def at(self, minor: int) -> CheckPod | None:
        return next((check for first, check in reversed(self.versions) if first <= minor), None)


@cache
def checks(level: str, minor: int) -> tuple[CheckPod, ...]:
    """What a level demands at a version, in the order that violations are told: baseline's first."""
    if level == PRIVILEGED:
        return ()
    active = [check for check in CHECKS if check.at(minor) is not None and (level == RESTRICTED or check.level == BASELINE)]
    overridden = {name for check in active for name in check.overrides}
    ordered = sorted(active, key=lambda check: (check.level == RESTRICTED, check.id))
    return tuple(found for check in ordered if check.id not in overridden and (found := check.at(minor)) is not None)


def violations(level: str, minor: int, metadata: Object, spec: Object) -> list[Violation]:
    """Everything about a pod that a level forbids at a version."""
    return [found for check in checks(level, minor) if (found := check(metadata, spec)) is not None]


def detailed(found: Iterable[Violation]) -> str:
    """`host namespaces (hostNetwork=true), privileged (container "c" must not ...)`."""
    return ", ".join(f"{reason} ({detail})" if detail else reason for reason, detail in found)


def _context(holder: Object) -> Object:
    return holder.get("securityContext") or {}


def _all(spec: Object) -> Sequence[Object]:
    return list(containers({"spec": spec}))


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _named(names: Sequence[str], noun: str = "container") -> str:
    return f"{noun if len(names) == 1 else noun + 's'} {_quoted(names)}"


def _setters(pod: bool, bad: Sequence[str]) -> str:
    return " and ".join((["pod"] if pod else []) + ([_named(bad)] if bad else []))


def _unless_windows(check: CheckPod) -> CheckPod:
    return lambda metadata, spec: None if (spec.get("os") or {}).get("name") == "windows" else check(metadata, spec)


def _unless_user_namespace(check: CheckPod) -> CheckPod:
    return lambda metadata, spec: None if spec.get("hostUsers") is False else check(metadata, spec)


def _privilege_escalation(metadata: Object, spec: Object) -> Violation | None:
    bad = [c["name"] for c in _all(spec) if _context(c).get("allowPrivilegeEscalation") is not False]
    detail = f"{_named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail) if bad else None


def _app_armor(metadata: Object, spec: Object) -> Violation | None:
    allowed = (None, "RuntimeDefault", "Localhost")
    pod_type = (_context(spec).get("appArmorProfile") or {}).get("type")
    types = {c["name"]: (_context(c).get("appArmorProfile") or {}).get("type") for c in _all(spec)}
    bad = [name for name, found in types.items() if found not in allowed]
    values = sorted({str(found) for found in [pod_type, *types.values()] if found not in allowed})
    prefix = "container.apparmor.security.beta.kubernetes.io/"
    notes = sorted(
        f"{key}={json.dumps(value)}"
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(prefix) and value and value != "runtime/default" and not value.startswith("localhost/")
    )
    setters = _setters(pod_type not in allowed, bad)
    if notes:
        setters = " and ".join(filter(None, [setters, "annotation" if len(notes) == 1 else "annotations"]))
    if not setters:
        return None
    values += notes
    reason = "forbidden AppArmor profile" if len(values) == 1 else "forbidden AppArmor profiles"
    return Violation(reason, f"{setters} must not set AppArmor profile type to {_quoted(values)}")


_DEFAULT_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)


def _capabilities(container: Object, field: str) -> Sequence[str]:
    return (_context(container).get("capabilities") or {}).get(field) or ()


def _baseline_capabilities(metadata: Object, spec: Object) -> Violation | None:
    added = {c["name"]: set(_capabilities(c, "add")) - _DEFAULT_CAPABILITIES for c in _all(spec)}
    bad = [name for name, found in added.items() if found]
    if not bad:
        return None
    capabilities = _quoted(sorted(set().union(*added.values())))
    return Violation("non-default capabilities", f"{_named(bad)} must not include {capabilities} in securityContext.capabilities.add")


def _restricted_capabilities(metadata: Object, spec: Object) -> Violation | None:
    every = _all(spec)
    undropped = [c["name"] for c in every if "ALL" not in _capabilities(c, "drop")]
    added = {c["name"]: set(_capabilities(c, "add")) - {"NET_BIND_SERVICE"} for c in every}
    bad = [name for name, found in added.items() if found]
    details = [f'{_named(undropped)} must set securityContext.capabilities.drop=["ALL"]'] if undropped else []
    if bad:
        capabilities = _quoted(sorted(set().union(*added.values())))
        details.append(f"{_named(bad)} must not include {capabilities} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def _host_namespaces(metadata: Object, spec: Object) -> Violation | None:
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def _host_paths(metadata: Object, spec: Object) -> Violation | None:
    bad = [volume["name"] for volume in spec.get("volumes") or () if "hostPath" in volume]
    return Violation("hostPath volumes", _named(bad, "volume")) if bad else None


def _host_ports(metadata: Object, spec: Object) -> Violation | None:
    found = {c["name"]: [str(p["hostPort"]) for p in c.get("ports") or () if p.get("hostPort")] for c in _all(spec)}
    bad = [name for name, ports in found.items() if ports]
    if not bad:
        return None
    ports = sorted({port for ports in found.values() for port in ports})
    noun = "hostPort" if len(ports) == 1 else "hostPorts"
    return Violation("hostPort", f"{_named(bad)} {'uses' if len(bad) == 1 else 'use'} {noun} {', '.join(ports)}")


def _probe_hosts(container: Object) -> set[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(field) or {} for field in ("livenessProbe", "readinessProbe", "startupProbe")]
    handlers += [lifecycle.get(field) or {} for field in ("postStart", "preStop")]
    hosts = {(handler.get(kind) or {}).get("host") for handler in handlers for kind in ("httpGet", "tcpSocket")}
    return {host for host in hosts if host}


def _host_probes(metadata: Object, spec: Object) -> Violation | None:
    found = {c["name"]: _probe_hosts(c) for c in _all(spec)}
    bad = sorted(name for name, hosts in found.items() if hosts)
    if not bad:
        return None
    hosts = sorted(set().union(*found.values()))
    noun = "probe or lifecycle host" if len(hosts) == 1 else "probe or lifecycle hosts"
    return Violation("probe or lifecycle host", f"{_named(bad)} {'uses' if len(bad) == 1 else 'use'} {noun} {_quoted(hosts)}")


def _privileged(metadata: Object, spec: Object) -> Violation | None:
    bad = [c["name"] for c in _all(spec) if _context(c).get("privileged")]
    return Violation("privileged", f"{_named(bad)} must not set securityContext.privileged=true") if bad else None


def _proc_mount(metadata: Object, spec: Object) -> Violation | None:
    found = {c["name"]: _context(c).get("procMount") for c in _all(spec)}
    bad = [name for name, mount in found.items() if mount not in (None, "Default")]
    values = _quoted(sorted({str(found[name]) for name in bad}))
    return Violation("procMount", f"{_named(bad)} must not set securityContext.procMount to {values}") if bad else None


_FREE_VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret")
_OTHER_VOLUMES = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
]


def _restricted_volumes(metadata: Object, spec: Object) -> Violation | None:
    bad = [volume for volume in spec.get("volumes") or () if not any(kind in volume for kind in _FREE_VOLUMES)]
    if not bad:
        return None
    kinds = sorted({next((kind for kind in _OTHER_VOLUMES if kind in volume), "unknown") for volume in bad})
    noun = "restricted volume type" if len(kinds) == 1 else "restricted volume types"
    names = _named([volume["name"] for volume in bad], "volume")
    return Violation("restricted volume types", f"{names} {'uses' if len(bad) == 1 else 'use'} {noun} {_quoted(kinds)}")


def _run_as_non_root(metadata: Object, spec: Object) -> Violation | None:
    of_pod = _context(spec).get("runAsNonRoot")
    stated = {c["name"]: _context(c).get("runAsNonRoot") for c in _all(spec)}
    setters = _setters(of_pod is False, [name for name, value in stated.items() if value is False])
    if setters:
        return Violation("runAsNonRoot != true", f"{setters} must not set securityContext.runAsNonRoot=false")
    silent = [name for name, value in stated.items() if value is None and not of_pod]
    return Violation("runAsNonRoot != true", f"pod or {_named(silent)} must set securityContext.runAsNonRoot=true") if silent else None


def _run_as_user(metadata: Object, spec: Object) -> Violation | None:
    bad = [c["name"] for c in _all(spec) if _context(c).get("runAsUser") == 0]
    setters = _setters(_context(spec).get("runAsUser") == 0, bad)
    return Violation("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else None


def _se_linux(*more: str) -> CheckPod:
    allowed = {"", "container_t", "container_init_t", "container_kvm_t", *more}

    def check(metadata: Object, spec: Object) -> Violation | None:
        options = {"": _context(spec).get("seLinuxOptions") or {}}
        options |= {c["name"]: _context(c).get("seLinuxOptions") or {} for c in _all(spec)}
        bad = [name for name, o in options.items() if o.get("type", "") not in allowed or o.get("user") or o.get("role")]
        if not bad:
            return None
        types = sorted({o.get("type", "") for o in options.values()} - allowed)
        data = [_named(types, "type")] if types else []
        data += [f"{field} may not be set" for field in ("user", "role") if any(o.get(field) for o in options.values())]
        setters = _setters("" in bad, [name for name in bad if name])
        return Violation("seLinuxOptions", f"{setters} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}")

    return check


_SECCOMP = ("RuntimeDefault", "Localhost")


def _seccomp_annotations(metadata: Object, spec: Object) -> Violation | None:
    annotations = metadata.get("annotations") or {}
    keys = ["seccomp.security.alpha.kubernetes.io/pod"]
    keys += [f"container.seccomp.security.alpha.kubernetes.io/{c['name']}" for c in _all(spec)]
    free = ("runtime/default", "docker/default")
    bad = {key: annotations[key] for key in keys if key in annotations and annotations[key] not in free}
    bad = {key: value for key, value in bad.items() if not value.startswith("localhost/")}
    listed = ", ".join(sorted(f"{key}={json.dumps(value)}" for key, value in bad.items()))
    return Violation("seccompProfile", f"forbidden {'annotation' if len(bad) == 1 else 'annotations'} {listed}") if bad else None


def _seccomp_types(spec: Object) -> tuple[str | None, dict[str, str | None]]:
    of_pod = (_context(spec).get("seccompProfile") or {}).get("type")
    return of_pod, {c["name"]: (_context(c).get("seccompProfile") or {}).get("type") for c in _all(spec)}


def _baseline_seccomp(metadata: Object, spec: Object) -> Violation | None:
    of_pod, types = _seccomp_types(spec)
    bad = [name for name, found in types.items() if found not in (None, *_SECCOMP)]
    setters = _setters(of_pod not in (None, *_SECCOMP), bad)
    if not setters:
        return None
    values = _quoted(sorted({str(found) for found in [of_pod, *types.values()] if found not in (None, *_SECCOMP)}))
    return Violation("seccompProfile", f"{setters} must not set securityContext.seccompProfile.type to {values}")


def _restricted_seccomp(metadata: Object, spec: Object) -> Violation | None:
    explicit = _baseline_seccomp(metadata, spec)
    if explicit is not None:
        return explicit
    of_pod, types = _seccomp_types(spec)
    silent = [name for name, found in types.items() if found is None and of_pod is None]
    detail = f'pod or {_named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", detail) if silent else None


def _sysctls(allowed: frozenset[str]) -> CheckPod:
    def check(metadata: Object, spec: Object) -> Violation | None:
        bad = [found["name"] for found in _context(spec).get("sysctls") or () if found["name"] not in allowed]
        return Violation("forbidden sysctls", ", ".join(bad)) if bad else None

    return check


_SYSCTLS_0 = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    }
)
_SYSCTLS_27 = _SYSCTLS_0 | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | {f"net.ipv4.tcp_{name}" for name in ("keepalive_time", "fin_timeout", "keepalive_intvl", "keepalive_probes")}
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def _windows_host_process(metadata: Object, spec: Object) -> Violation | None:
    def is_host_process(holder: Object) -> bool:
        return bool((_context(holder).get("windowsOptions") or {}).get("hostProcess"))

    setters = _setters(is_host_process(spec), [c["name"] for c in _all(spec) if is_host_process(c)])
    return Violation("hostProcess", f"{setters} must not set securityContext.windowsOptions.hostProcess=true") if setters else None


CHECKS: tuple[Check, ...] = (
    Check("appArmorProfile", BASELINE, ((0, _app_armor),)),
    Check("capabilities_baseline", BASELINE, ((0, _baseline_capabilities),)),
    Check("hostNamespaces", BASELINE, ((0, _host_namespaces),)),
    Check("hostPathVolumes", BASELINE, ((0, _host_paths),)),
    Check("hostPorts", BASELINE, ((0, _host_ports),)),
    Check("hostProbesAndHostLifecycle", BASELINE, ((34, _host_probes),)),
    Check("privileged", BASELINE, ((0, _privileged),)),
    Check("procMount", BASELINE, ((0, _proc_mount), (35, _unless_user_namespace(_proc_mount)))),
    Check("seLinuxOptions", BASELINE, ((0, _se_linux()), (31, _se_linux("container_engine_t")))),
    Check("seccompProfile_baseline", BASELINE, ((0, _seccomp_annotations), (19, _baseline_seccomp))),
    Check(
        "sysctls",
        BASELINE,
        ((0, _sysctls(_SYSCTLS_0)), (27, _sysctls(_SYSCTLS_27)), (29, _sysctls(_SYSCTLS_29)), (32, _sysctls(_SYSCTLS_32))),
    ),
    Check("windowsHostProcess", BASELINE, ((0, _windows_host_process),)),
    Check("allowPrivilegeEscalation", RESTRICTED, ((8, _privilege_escalation), (25, _unless_windows(_privilege_escalation)))),
    Check(
        "capabilities_restricted",
        RESTRICTED,
        ((22, _restricted_capabilities), (25, _unless_windows(_restricted_capabilities))),
        ("capabilities_baseline",),
    ),
    Check("procMount_restricted", RESTRICTED, ((35, _proc_mount),), ("procMount",)),
    Check("restrictedVolumes", RESTRICTED, ((0, _restricted_volumes),), ("hostPathVolumes",)),
    Check("runAsNonRoot", RESTRICTED, ((0, _run_as_non_root), (35, _unless_user_namespace(_run_as_non_root)))),
    Check("runAsUser", RESTRICTED, ((23, _run_as_user), (35, _unless_user_namespace(_run_as_user)))),
    Check(
        "seccompProfile_restricted",
        RESTRICTED,
        ((19, _restricted_seccomp), (25, _unless_windows(_restricted_seccomp))),
        ("seccompProfile_baseline",),
    ),
)
