"""Warnings about pods and templates of pods."""

from __future__ import annotations

from typing import Any

from kubetree.api.validation.errors import quote
from kubetree.api.warnings.files import overlapping_paths
from kubetree.api.warnings.values import DEPRECATED_LABELS, Object, Texts, claim_spec, fraction, ip, selector_term

_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_SHOWN = {"storageos": "storageOS"}
_SECCOMP, _SECCOMP_CONTAINER = "seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/"
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_BYTES = ("memory", "ephemeral-storage")
_NO_MATCH = "a null labelSelector results in matching no pod"
_REQUIRED, _PREFERRED = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"


def pod_warnings(out: Texts, pod: Object, path: str = "") -> None:
    """`path` of a template ends with a dot; empty for a pod."""
    spec, annotations = pod.get("spec") or {}, (pod.get("metadata") or {}).get("annotations") or {}
    at = f"{path}spec"
    for key in spec.get("nodeSelector") or ():
        if key in DEPRECATED_LABELS:
            out.append(f"{at}.nodeSelector[{key}]: {DEPRECATED_LABELS[key]}")
    affinity = spec.get("affinity")
    if affinity:
        _node_affinity(out, affinity.get("nodeAffinity") or {}, f"{at}.affinity.nodeAffinity")
    for i, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        key, where = constraint.get("topologyKey") or "", f"{at}.topologySpreadConstraints[{i}]"
        if key in DEPRECATED_LABELS:
            out.append(f"{where}.topologyKey: {key} is {DEPRECATED_LABELS[key]}")
        if constraint.get("labelSelector") is None:
            out.append(f"{where}.labelSelector: {_NO_MATCH}")
    if annotations:
        out.extend(f"{path}metadata.annotations[{key}]: {text}" for key, text in _ANNOTATIONS.items() if key in annotations)
    volumes = spec.get("volumes")
    if volumes:
        _volumes(out, volumes, f"{at}.volumes")
    _repeated(out, spec.get("hostAliases"), "ip", f"{at}.hostAliases", "duplicate ip")
    _repeated(out, spec.get("imagePullSecrets"), "name", f"{at}.imagePullSecrets", "duplicate name")
    for i, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            out.append(f'{at}.imagePullSecrets[{i}].name: invalid empty name ""')
    if spec.get("overhead"):
        for name in _BYTES:
            fraction(out, spec["overhead"], f"{at}.overhead", name)
    security = spec.get("securityContext") or {}
    if annotations and _SECCOMP in annotations and security.get("seccompProfile") is None:
        out.append(f'{path}metadata.annotations[{_SECCOMP}]: non-functional in v1.27+; use the "seccompProfile" field instead')
    containers = [
        (container, f"{at}.{field}[{i}]")
        for field in ("initContainers", "containers", "ephemeralContainers")
        for i, container in enumerate(spec.get(field) or ())
    ]
    for container, where in containers:
        if annotations:
            _container_annotations(out, container, annotations, security.get("appArmorProfile"), path)
        _container(out, container, where)
    _ports(out, containers)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        out.append(f"{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1")
    if affinity:
        for field in ("podAffinity", "podAntiAffinity"):
            _pod_affinity(out, affinity.get(field) or {}, f"{at}.affinity.{field}")
    for i, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        ip(out, server, f"{at}.dnsConfig.nameservers[{i}]")
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        ip(out, alias.get("ip") or "", f"{at}.hostAliases[{i}].ip")


def _node_affinity(out: Texts, affinity: Object, path: str) -> None:
    for i, term in enumerate((affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()):
        selector_term(out, term, f"{path}.{_REQUIRED}.nodeSelectorTerms[{i}]", check_values=False)
    for i, term in enumerate(affinity.get(_PREFERRED) or ()):
        selector_term(out, term.get("preference") or {}, f"{path}.{_PREFERRED}[{i}].preference", check_values=True)


def _pod_affinity(out: Texts, affinity: Object, path: str) -> None:
    for i, term in enumerate(affinity.get(_REQUIRED) or ()):
        if term.get("labelSelector") is None:
            out.append(f"{path}.{_REQUIRED}[{i}].labelSelector: {_NO_MATCH}")
    for i, weighted in enumerate(affinity.get(_PREFERRED) or ()):
        if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
            out.append(f"{path}.{_PREFERRED}[{i}].podAffinityTerm.labelSelector: {_NO_MATCH}")


def _volumes(out: Texts, volumes: list[Object], path: str) -> None:
    for i, volume in enumerate(volumes):
        for source in volume:
            if source in _VOLUMES and volume[source] is not None:
                out.append(f"{path}[{i}].{_SHOWN.get(source, source)}: {_VOLUMES[source]}")
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is not None:
            claim_spec(out, template.get("spec") or {}, f"{path}[{i}].ephemeral.volumeClaimTemplate.spec")
    for volume in volumes:
        overlapping_paths(out, volume)


def _repeated(out: Texts, items: list[Object] | None, field: str, path: str, told: str) -> None:
    if not items or len(items) < 2:
        return
    seen: set[str] = set()
    for i, item in enumerate(items):
        value = item.get(field) or ""
        if value in seen:
            out.append(f"{path}[{i}].{field}: {told} {quote(value)}")
        seen.add(value)


def _container_annotations(out: Texts, container: Object, annotations: Object, pod_profile: Any, path: str) -> None:
    security, name = container.get("securityContext") or {}, container.get("name") or ""
    key = _SECCOMP_CONTAINER + name
    if key in annotations and security.get("seccompProfile") is None:
        out.append(f'{path}metadata.annotations[{key}]: non-functional in v1.27+; use the "seccompProfile" field instead')
    key = _APP_ARMOR + name
    if key in annotations and security.get("appArmorProfile") is None and pod_profile is None:
        out.append(f'{path}metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead')


def _container(out: Texts, container: Object, path: str) -> None:
    resources = container.get("resources")
    if resources:
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        limits_path, requests_path = f"{path}.resources.limits", f"{path}.resources.requests"
        for name in _BYTES:
            fraction(out, limits, limits_path, name)
            fraction(out, requests, requests_path, name)
    env = container.get("env")
    if not env or len(env) < 2:
        return
    seen: set[str] = set()
    for i, item in enumerate(env):
        name = item.get("name") or ""
        if name in seen:
            ref, value = f"$({name})", item.get("value") or ""
            if item.get("valueFrom") is not None or value == ref or ref not in value:
                out.append(f"{path}.env[{i}]: hides previous definition of {quote(name)}, which may be dropped when using apply")
        seen.add(name)


def _ports(out: Texts, containers: list[tuple[Object, str]]) -> None:
    taken: dict[tuple[int, str], list[tuple[str, str, int]]] = {}
    for container, path in containers:
        for i, port in enumerate(container.get("ports") or ()):
            at, host_ip, host_port = f"{path}.ports[{i}]", port.get("hostIP") or "", port.get("hostPort") or 0
            number, protocol = port.get("containerPort") or 0, port.get("protocol") or ""
            if host_ip and not host_port:
                told = f"Name:{port.get('name') or ''} HostPort:0 ContainerPort:{number} Protocol:{protocol} HostIP:{host_ip}"
                out.append(f"{at}: hostIP set without hostPort: {{{told}}}")
            others = taken.setdefault((number, protocol), [])
            for other, other_ip, other_port in others:
                if host_ip == other_ip and host_port == other_port:
                    out.append(f"{at}: duplicate port definition with {other}")
                elif not host_port or not other_port:
                    out.append(f"{at}: overlapping port definition with {other}")
                elif host_port == other_port and bool(host_ip) != bool(other_ip):
                    out.append(f"{at}: dangerously ambiguous port definition with {other}")
            others.append((at, host_ip, host_port))
    if len(taken) < 2 and sum(map(len, taken.values())) < 2:
        return
    names: dict[str, str] = {}
    for container, path in containers:
        for i, port in enumerate(container.get("ports") or ()):
            name, at = port.get("name"), f"{path}.ports[{i}]"
            if name and name in names:
                first = names[name]
                used = f"services and probes that select ports by name will use {first}"
                out.append(f"{at}: duplicate port name {quote(name)} with {first}, {used}")
            elif name:
                names[name] = at
