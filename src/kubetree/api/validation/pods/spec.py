"""A pod's spec as a whole. On the hot path: what is absent costs one lookup."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from kubetree.api.defaults.pod_resources import aggregate
from kubetree.api.validation.addresses import legacy_ip
from kubetree.api.validation.errors import (
    Errors,
    Object,
    duplicate,
    each,
    forbidden,
    invalid,
    not_found,
    not_supported,
    one_of,
    required,
    too_long,
)
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import annotation_map, labels
from kubetree.api.validation.names import dns_label, dns_subdomain, dns_subdomain_with_underscore
from kubetree.api.validation.pods import containers as rules
from kubetree.api.validation.pods import scheduling, security
from kubetree.api.validation.pods.volumes import volumes
from kubetree.api.validation.resources import quantity, requirements

Spec = dict[str, Any]
GROUPS = ("initContainers", "containers", "ephemeralContainers")
RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
MIRROR = "kubernetes.io/config.mirror"


def each_container(spec: Object, path: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Every container of any sort and its path."""
    for group in GROUPS:
        for i, container in enumerate(spec.get(group) or ()):
            yield container, f"{path}.{group}[{i}]"


def _name(errs: Errors, spec: Spec, field: str, path: str) -> None:
    value = spec.get(field)
    if value:
        bad = dns_subdomain(value)
        if bad:
            each(errs, f"{path}.{field}", value, bad)


def _dns_config(errs: Errors, spec: Spec, path: str) -> None:
    config, at = spec.get("dnsConfig"), f"{path}.dnsConfig"
    if spec.get("dnsPolicy") == "None":
        if config is None:
            errs.append(required(at, "must provide `dnsConfig` when `dnsPolicy` is None"))
            return
        if not config.get("nameservers"):
            errs.append(required(f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"))
            return
    if config is None:
        return
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > 3:
        errs.append(invalid(f"{at}.nameservers", servers, "must not have more than 3 nameservers"))
    for i, server in enumerate(servers):
        legacy_ip(errs, server, f"{at}.nameservers[{i}]")
    if len(searches) > 32:
        errs.append(invalid(f"{at}.searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > 2048:
        errs.append(invalid(f"{at}.searches", searches, "must not have more than 2048 characters (including spaces) in the search list"))
    for i, search in enumerate(searches):
        if search != ".":
            name = search.removesuffix(".")
            each(errs, f"{at}.searches[{i}]", name, dns_subdomain_with_underscore(name))
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errs.append(required(f"{at}.options[{i}]", "must not be empty"))


def _resource_claims(errs: Errors, claims: list[Object], path: str) -> None:
    names: set[str] = set()
    for i, claim in enumerate(claims):
        at, name = f"{path}[{i}]", claim.get("name") or ""
        if not name:
            errs.append(required(f"{at}.name"))
        elif name in names:
            errs.append(duplicate(f"{at}.name", name))
        else:
            each(errs, f"{at}.name", name, dns_label(name))
            names.add(name)
        sources = [n for n in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(n) is not None]
        if len(sources) > 1:
            shown = go_struct("core.PodResourceClaim", claim)
            errs.append(invalid(at, shown, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"))
        if not sources:
            errs.append(
                invalid(
                    at, go_struct("core.PodResourceClaim", claim), "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
                )
            )
        for source in sources:
            each(errs, f"{at}.{source}", claim[source], dns_subdomain(claim[source]))


def _pod_resources(errs: Errors, spec: Spec, path: str) -> None:
    resources, at = spec["resources"], f"{path}.resources"
    if (spec.get("os") or {}).get("name") == "windows":
        errs.append(forbidden(at, "may not be set for a windows pod"))
        return
    if resources.get("claims") is not None:
        errs.append(forbidden(f"{at}.claims", "claims may not be set for Resources at pod-level"))
    requirements(errs, resources, at, pod_level=True)
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, wanted in aggregate(spec, "requests").items():
        if name in requests and quantity(requests[name]) < wanted:
            detail = f"must be greater than or equal to aggregate container requests of {wanted}"
            errs.append(invalid(f"{at}.requests[{name}]", str(quantity(requests[name])), detail))
    for name, wanted in aggregate(spec, "limits").items():
        if name.startswith("hugepages-") and name in limits and quantity(limits[name]) < wanted:
            detail = f"must be greater than or equal to aggregate container limits of {wanted}"
            errs.append(invalid(f"{at}.limits[{name}]", str(quantity(limits[name])), detail))
    for i, container in enumerate(spec.get("containers") or ()):
        for name, text in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and quantity(limits[name]) < quantity(text):
                detail = f"must be less than or equal to pod limits of {quantity(limits[name])}"
                errs.append(invalid(f"{at}.containers[{i}][{name}].limits", str(quantity(text)), detail))


_WINDOWS_POD = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls", "runAsUser", "runAsGroup",
    "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy",
)  # fmt: skip
_WINDOWS_CONTAINER = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip
_NOT_WINDOWS = "cannot be set for a windows pod"


def _operating_system(errs: Errors, spec: Spec, path: str) -> None:
    name = spec["os"].get("name") or ""
    if not name:
        errs.append(required(f"{path}.os.name"))
        return
    if name not in ("linux", "windows"):
        errs.append(not_supported(f"{path}.os", name, ("linux", "windows")))
        return
    context = spec.get("securityContext") or {}
    if name == "linux":
        refused: tuple[str, ...] = ("windowsOptions",)
        of_container, detail = refused, "windows options cannot be set for a linux pod"
    else:
        refused, of_container, detail = _WINDOWS_POD, _WINDOWS_CONTAINER, _NOT_WINDOWS
        for field in ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"):
            if spec.get(field) is not None and (spec[field] or field in ("hostUsers", "shareProcessNamespace")):
                errs.append(forbidden(f"{path}.{field}", detail))
    for field in refused:
        if context.get(field) is not None and not (field == "sysctls" and not context[field]):
            errs.append(forbidden(f"{path}.securityContext.{field}", detail))
    for container, at in each_container(spec, path):
        own = container.get("securityContext") or {}
        errs.extend(forbidden(f"{at}.securityContext.{field}", detail) for field in of_container if own.get(field) is not None)


def _host_process(errs: Errors, spec: Spec, path: str) -> None:
    pod = ((spec.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    count = total = 0
    for container, at in each_container(spec, path):
        total += 1
        own = ((container.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
        if pod is not None and own is not None and pod != own:
            detail = f"pod hostProcess value must be identical if both are specified, was {str(pod).lower()}"
            errs.append(invalid(f"{at}.securityContext.windowsOptions.hostProcess", own, detail))
        count += bool(own if own is not None else pod)
    if count:
        if count != total:
            detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
            errs.append(invalid(path, "", detail))
        if not spec.get("hostNetwork"):
            errs.append(invalid(f"{path}.hostNetwork", False, "hostNetwork must be true if pod contains any hostProcess containers"))


def _host_users(errs: Errors, spec: Spec, path: str) -> None:
    for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(field):
            errs.append(forbidden(f"{path}.{shown}", "when `hostUsers` is false"))
    for container, at in each_container(spec, path):
        if container.get("volumeDevices"):
            errs.append(forbidden(f"{at}.volumeDevices", "when `hostUsers` is false"))


def _host_network(errs: Errors, spec: Spec, path: str, is_pod: bool) -> None:
    for i, container in enumerate(spec.get("containers") or ()):
        for j, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort") or 0
            if (is_pod or host) and host != (port.get("containerPort") or 0):
                detail = "must match `containerPort` when `hostNetwork` is true"
                errs.append(invalid(f"{path}.containers[{i}].ports[{j}].hostPort", host, detail))


def _hostname_override(errs: Errors, spec: Spec, path: str) -> None:
    at, name = f"{path}.hostnameOverride", spec["hostnameOverride"]
    if spec.get("setHostnameAsFQDN"):
        errs.append(forbidden(at, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        errs.append(forbidden(at, "may not be specified when hostNetwork is true"))
    if len(name) > 64:
        errs.append(too_long(at, 64))
    each(errs, at, name, dns_subdomain(name))


def _file_key_volumes(errs: Errors, spec: Spec, path: str) -> None:
    sources = {v.get("name"): v for v in spec.get("volumes") or ()}
    for container, at in each_container(spec, path):
        for i, variable in enumerate(container.get("env") or ()):
            ref = (variable.get("valueFrom") or {}).get("fileKeyRef")
            if ref is not None:
                where, name = f"{at}.env[{i}].valueFrom.fileKeyRef.volumeName", ref.get("volumeName") or ""
                if name not in sources:
                    errs.append(not_found(where, name))
                elif sources[name].get("emptyDir") is None:
                    errs.append(invalid(where, name, "referenced volume must be of type emptyDir"))


def _rare(errs: Errors, spec: Spec, path: str, is_pod: bool) -> None:
    """Fields that most pods leave out."""
    if spec.get("hostNetwork"):
        _host_network(errs, spec, path, is_pod)
    if spec.get("nodeSelector"):
        labels(errs, spec["nodeSelector"], f"{path}.nodeSelector")
    if spec.get("affinity"):
        scheduling.affinity(errs, spec["affinity"], f"{path}.affinity")
    if spec.get("dnsConfig") is not None or spec.get("dnsPolicy") == "None":
        _dns_config(errs, spec, path)
    if spec.get("readinessGates"):
        scheduling.readiness_gates(errs, spec["readinessGates"], f"{path}.readinessGates")
    if spec.get("schedulingGates"):
        scheduling.scheduling_gates(errs, spec["schedulingGates"], f"{path}.schedulingGates")
    if spec.get("topologySpreadConstraints"):
        scheduling.topology_spread(errs, spec["topologySpreadConstraints"], f"{path}.topologySpreadConstraints")
    if spec.get("hostUsers") is False:
        _host_users(errs, spec, path)
    if spec.get("hostnameOverride") is not None:
        _hostname_override(errs, spec, path)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2147483647:
        errs.append(invalid(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"))
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            each(errs, f"{path}.{field}", spec[field], dns_label(spec[field]))
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        legacy_ip(errs, alias.get("ip") or "", f"{path}.hostAliases[{i}].ip")
        for j, name in enumerate(alias.get("hostnames") or ()):
            each(errs, f"{path}.hostAliases[{i}].hostnames[{j}]", name, dns_subdomain(name))
    _name(errs, spec, "priorityClassName", path)
    if spec.get("runtimeClassName") is not None:
        each(errs, f"{path}.runtimeClassName", spec["runtimeClassName"], dns_subdomain(spec["runtimeClassName"]))
    if spec.get("preemptionPolicy") is not None:
        one_of(errs, spec["preemptionPolicy"], ("PreemptLowerPriority", "Never"), f"{path}.preemptionPolicy")
    if spec.get("overhead"):
        requirements(errs, {"limits": spec["overhead"]}, f"{path}.overhead")
    if spec.get("os") is not None:
        _operating_system(errs, spec, path)
    group = spec.get("schedulingGroup")
    if group is not None:
        name = group.get("podGroupName")
        if name is None:
            errs.append(invalid(f"{path}.schedulingGroup.podGroupName", None, "must specify one of: `podGroupName`"))
        else:
            each(errs, f"{path}.schedulingGroup.podGroupName", name, dns_subdomain(name))


def pod_spec(errs: Errors, spec: Spec, path: str, *, pod_name: str = "", is_pod: bool = False) -> None:
    """`pod_name` and `is_pod` are given for pods, not for templates: some rules hold for pods only."""
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        errs.append(required(f"{path}.terminationGracePeriodSeconds"))
    known = volumes(errs, spec["volumes"], f"{path}.volumes", pod_name, is_pod) if spec.get("volumes") else {}
    claims = spec.get("resourceClaims")
    if claims:
        _resource_claims(errs, claims, f"{path}.resourceClaims")
    restart = spec.get("restartPolicy") or ""
    names = {c.get("name") or "" for c in claims} if claims else ()
    pod = rules.PodContext(known, names, grace, spec.get("os"), restart, spec.get("hostUsers") is not False)
    regular = spec.get("containers") or []
    rules.containers(errs, regular, f"{path}.containers", pod)
    if spec.get("initContainers"):
        rules.init_containers(errs, spec["initContainers"], regular, f"{path}.initContainers", pod)
    if spec.get("ephemeralContainers"):
        rules.ephemeral_containers(errs, spec, f"{path}.ephemeralContainers", pod)
    if spec.get("resources") is not None:
        _pod_resources(errs, spec, path)
    one_of(errs, restart, RESTART_POLICIES, f"{path}.restartPolicy")
    one_of(errs, spec.get("dnsPolicy"), DNS_POLICIES, f"{path}.dnsPolicy")
    context = spec.get("securityContext")
    if context or spec.get("shareProcessNamespace"):
        security.pod_context(errs, context or {}, spec, f"{path}.securityContext")
    _name(errs, spec, "serviceAccountName", path)
    _name(errs, spec, "nodeName", path)
    if spec.get("tolerations"):
        scheduling.tolerations(errs, spec["tolerations"], f"{path}.tolerations")
    if not spec.keys() <= _USUAL:
        _rare(errs, spec, path, is_pod)
    elif spec.get("dnsPolicy") == "None":
        _dns_config(errs, spec, path)
    text = repr(spec) if _maybe_special(spec) else ""
    if "hostProcess" in text:
        _host_process(errs, spec, path)
    if "fileKeyRef" in text:
        _file_key_volumes(errs, spec, path)


_USUAL = frozenset(
    [
        "volumes",
        "containers",
        "initContainers",
        "restartPolicy",
        "terminationGracePeriodSeconds",
        "dnsPolicy",
        "serviceAccountName",
        "serviceAccount",
        "nodeName",
        "securityContext",
        "schedulerName",
        "tolerations",
        "priority",
        "enableServiceLinks",
        "automountServiceAccountToken",
        "imagePullSecrets",
    ]
)
"""The fields whose rules `pod_spec` itself checks, or that have none."""


def _maybe_special(spec: Spec) -> bool:
    """Whether a Windows option or a variable from a file may be in the spec; most pods answer without a walk of their parts."""
    if (spec.get("securityContext") or {}).get("windowsOptions"):
        return True
    for group in GROUPS:
        for container in spec.get(group) or ():
            if (container.get("securityContext") or {}).get("windowsOptions"):
                return True
            for variable in container.get("env") or ():
                if (variable.get("valueFrom") or {}).get("fileKeyRef"):
                    return True
    return False


def pod_annotations(errs: Errors, values: dict[str, str], spec: Spec, path: str) -> None:
    """Annotations that mean something on a pod."""
    if MIRROR in values and not spec.get("nodeName"):
        errs.append(invalid(f"{path}[{MIRROR}]", values[MIRROR], "must set spec.nodeName if mirror pod annotation is set"))
    cost = values.get("controller.kubernetes.io/pod-deletion-cost")
    if cost is not None and not _valid_cost(cost):
        errs.append(invalid(f"{path}[controller.kubernetes.io/pod-deletion-cost]", cost, "must be a 32bit integer"))
    names = [c.get("name") or "" for group in GROUPS for c in spec.get(group) or ()]
    security.annotation_formats(errs, values, names, path)


def _valid_cost(text: str) -> bool:
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or (digits[0] == "0" and text != "0"):
        return False
    return -(1 << 31) <= int(text) < 1 << 31


def template_metadata(errs: Errors, metadata: Object, spec: Spec, path: str) -> None:
    """The labels and annotations of a pod template."""
    labels(errs, metadata.get("labels"), f"{path}.labels")
    notes = metadata.get("annotations")
    if notes:
        annotation_map(errs, notes, f"{path}.annotations")
        pod_annotations(errs, notes, spec, f"{path}.annotations")


def template(errs: Errors, value: dict[str, Any], path: str) -> None:
    """A PodTemplateSpec. One that was found right is known by its bytes: a workload that is scaled or annotated keeps its template."""
    data = orjson.dumps(value)
    if len(data) > _REMEMBERED or not _is_sound_template(data):
        _template(errs, value, path)


_REMEMBERED = 16 * 1024


@lru_cache(maxsize=256)
def _is_sound_template(data: bytes) -> bool:
    errs: Errors = []
    _template(errs, orjson.loads(data), "")
    return not errs


def _template(errs: Errors, value: dict[str, Any], path: str) -> None:
    metadata, spec = value.get("metadata") or {}, value.get("spec") or {}
    template_metadata(errs, metadata, spec, path)
    notes = metadata.get("annotations")
    pod_spec(errs, spec, f"{path}.spec")
    if notes:
        security.annotations_match_fields(errs, notes, spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        errs.append(forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
