"""Containers of every sort: app, init, sidecar and ephemeral."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_found, not_supported, required, too_many
from kubetree.api.validation.names import dns_label, port_name, port_number
from kubetree.api.validation.pods import environment, mounts
from kubetree.api.validation.pods.handlers import lifecycle, probes
from kubetree.api.validation.pods.security import container_context
from kubetree.api.validation.pods.volumes import pull_policy
from kubetree.api.validation.resources import requirements

PROTOCOLS = ("SCTP", "TCP", "UDP")


@dataclass(frozen=True, slots=True)
class PodContext:
    """What containers need to know of their pod."""

    volumes: Mapping[str, Object]
    claims: Collection[str]
    grace: int | None
    os: Object | None
    restart_policy: str
    host_users: bool


def _ports(errs: Errors, ports: list[dict[str, Any]], path: str) -> None:
    names: set[str] = set()
    for i, port in enumerate(ports):
        name, number = port.get("name"), port.get("containerPort") or 0
        if name:
            bad = port_name(name)
            if bad:
                each(errs, f"{path}[{i}].name", name, bad)
            elif name in names:
                errs.append(duplicate(f"{path}[{i}].name", name))
            else:
                names.add(name)
        if not number:
            errs.append(required(f"{path}[{i}].containerPort"))
        elif not 1 <= number <= 65535:
            each(errs, f"{path}[{i}].containerPort", number, port_number(number))
        host = port.get("hostPort")
        if host and not 1 <= host <= 65535:
            each(errs, f"{path}[{i}].hostPort", host, port_number(host))
        protocol = port.get("protocol")
        if not protocol:
            errs.append(required(f"{path}[{i}].protocol"))
        elif protocol not in PROTOCOLS:
            errs.append(not_supported(f"{path}[{i}].protocol", protocol, PROTOCOLS))


_RESIZE = ("NotRequired", "RestartContainer")


def _resize_policy(errs: Errors, policies: list[Object], path: str, restart_policy: str) -> None:
    seen: set[str] = set()
    for i, policy in enumerate(policies):
        resource, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if resource in seen:
            errs.append(duplicate(f"{path}[{i}]", resource))
        seen.add(resource)
        if not resource:
            errs.append(required(path))
        elif resource not in ("cpu", "memory"):
            errs.append(not_supported(path, resource, ("cpu", "memory")))
        if not restart:
            errs.append(required(path))
        elif restart not in _RESIZE:
            errs.append(not_supported(path, restart, _RESIZE))
        if restart_policy == "Never" and restart != "NotRequired":
            errs.append(invalid(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))


_RESTART = ("Always", "Never", "OnFailure")
_ACTIONS = ("Restart", "RestartAllContainers")


def _restart_policy(errs: Errors, container: Object, path: str) -> None:
    """A container's own restart policy and its rules on exit codes."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        if not rules:
            return
        errs.append(required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used"))
    elif policy not in _RESTART:
        errs.append(not_supported(f"{path}.restartPolicy", policy, _RESTART))
    if len(rules) > 20:
        errs.append(too_many(f"{path}.restartPolicyRules", len(rules), 20))
    for i, rule in enumerate(rules):
        at = f"{path}.restartPolicyRules[{i}]"
        if rule.get("action") not in _ACTIONS:
            errs.append(not_supported(f"{at}.action", rule.get("action") or "", _ACTIONS))
        codes = rule.get("exitCodes")
        if codes is None:
            errs.append(required(f"{at}.exitCodes", "must be specified"))
            continue
        if codes.get("operator") not in ("In", "NotIn"):
            errs.append(not_supported(f"{at}.exitCodes.operator", codes.get("operator") or "", ("In", "NotIn")))
        if len(codes.get("values") or ()) > 255:
            errs.append(too_many(f"{at}.exitCodes.values", len(codes["values"]), 255))


def _common(errs: Errors, container: dict[str, Any], path: str, pod: PodContext) -> None:
    name = container.get("name")
    if not name:
        errs.append(required(f"{path}.name"))
    else:
        bad = dns_label(name)
        if bad:
            each(errs, f"{path}.name", name, bad)
    if not container.get("image"):
        errs.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy")
    if not policy:
        errs.append(required(f"{path}.terminationMessagePolicy"))
    elif policy not in ("File", "FallbackToLogsOnError"):
        errs.append(not_supported(f"{path}.terminationMessagePolicy", policy, ("File", "FallbackToLogsOnError")))
    if container.get("ports"):
        _ports(errs, container["ports"], f"{path}.ports")
    if container.get("env"):
        environment.variables(errs, container["env"], f"{path}.env")
    if container.get("envFrom"):
        environment.sources(errs, container["envFrom"], f"{path}.envFrom")
    if container.get("volumeMounts"):
        mounts.volume_mounts(errs, container, pod.volumes, f"{path}.volumeMounts")
    if container.get("volumeDevices"):
        mounts.volume_devices(errs, container, pod.volumes, f"{path}.volumeDevices")
    pull_policy(errs, container.get("imagePullPolicy"), f"{path}.imagePullPolicy")
    if container.get("resources"):
        requirements(errs, container["resources"], f"{path}.resources", pod.claims)
    if container.get("resizePolicy"):
        _resize_policy(errs, container["resizePolicy"], f"{path}.resizePolicy", pod.restart_policy)
    if container.get("securityContext"):
        container_context(errs, container["securityContext"], f"{path}.securityContext", pod.host_users)


def _host_ports(errs: Errors, container: Object, path: str, taken: set[str]) -> None:
    for i, port in enumerate(container.get("ports") or ()):
        if port.get("hostPort"):
            key = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if key in taken:
                errs.append(duplicate(f"{path}.ports[{i}].hostPort", key))
            taken.add(key)


def containers(errs: Errors, values: list[dict[str, Any]], path: str, pod: PodContext) -> None:
    if not values:
        errs.append(required(path))
        return
    names: set[str] = set()
    taken: set[str] = set()
    for i, container in enumerate(values):
        at, name = f"{path}[{i}]", container.get("name") or ""
        _common(errs, container, at, pod)
        if name in names:
            errs.append(duplicate(f"{at}.name", name))
        names.add(name)
        if container.get("lifecycle") is not None:
            lifecycle(errs, container["lifecycle"], f"{at}.lifecycle", pod.grace, pod.os)
        probes(errs, container, at, pod.grace)
        if container.get("restartPolicy") is not None or container.get("restartPolicyRules"):
            _restart_policy(errs, container, at)
        if container.get("ports"):
            _host_ports(errs, container, at, taken)


_NOT_FOR_INIT = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")


def init_containers(errs: Errors, values: list[dict[str, Any]], regular: list[dict[str, Any]], path: str, pod: PodContext) -> None:
    names = {c.get("name") for c in regular}
    for i, container in enumerate(values):
        at, name = f"{path}[{i}]", container.get("name") or ""
        _common(errs, container, at, pod)
        _restart_policy(errs, container, at)
        sidecar = container.get("restartPolicy") == "Always"
        if name in names:
            errs.append(duplicate(f"{at}.name", name))
        elif name:
            names.add(name)
        _host_ports(errs, container, at, set())
        if sidecar:
            if container.get("lifecycle") is not None:
                lifecycle(errs, container["lifecycle"], f"{at}.lifecycle", pod.grace, pod.os)
            probes(errs, container, at, pod.grace)
        else:
            for part in _NOT_FOR_INIT:
                if container.get(part) is not None:
                    errs.append(forbidden(f"{at}.{part}", "may not be set for init containers without restartPolicy=Always"))
            for j, policy in enumerate(container.get("resizePolicy") or ()):
                if policy.get("restartPolicy") == "RestartContainer":
                    detail = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                    errs.append(invalid(f"{at}.resizePolicy[{j}].restartPolicy", "RestartContainer", detail))


_NOT_FOR_EPHEMERAL = ("ports", "resources", "resizePolicy", "restartPolicy", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle")


def ephemeral_containers(errs: Errors, spec: dict[str, Any], path: str, pod: PodContext) -> None:
    others = {c.get("name") for group in ("containers", "initContainers") for c in spec.get(group) or ()}
    names = set(others)
    for i, container in enumerate(spec.get("ephemeralContainers") or ()):
        at, name = f"{path}[{i}]", container.get("name") or ""
        _common(errs, container, at, pod)
        image_whitespace(errs, container, at)
        if name in names:
            errs.append(duplicate(f"{at}.name", name))
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            errs.append(not_found(f"{at}.targetContainerName", target))
        for part in _NOT_FOR_EPHEMERAL:
            if container.get(part):
                errs.append(forbidden(f"{at}.{part}", "cannot be set for an Ephemeral Container"))
        for j, mount in enumerate(container.get("volumeMounts") or ()):
            for part in ("subPath", "subPathExpr"):
                if mount.get(part):
                    errs.append(forbidden(f"{at}.volumeMounts[{j}].{part}", "cannot be set for an Ephemeral Container"))


def image_whitespace(errs: Errors, container: Object, path: str) -> None:
    """Only pods, not templates, refuse images with space around them."""
    image = container.get("image") or ""
    if image and (image[0].isspace() or image[-1].isspace()):
        errs.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
