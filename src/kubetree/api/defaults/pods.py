"""Pods and pod specs. On the hot path of every pod's creation: one pass, no copies."""

from __future__ import annotations

from typing import Any

from kubetree.api.defaults.images import pull_policy
from kubetree.api.defaults.pod_resources import pod_level_resources
from kubetree.api.defaults.resources import quantity_field, resource_list, resource_requirements
from kubetree.api.defaults.volumes import pod_volume


def _http_get(action: dict[str, Any]) -> None:
    if not action.get("path"):
        action["path"] = "/"
    if not action.get("scheme"):
        action["scheme"] = "HTTP"
    for header in action.get("httpHeaders") or ():
        header.setdefault("value", "")


def _probe(probe: dict[str, Any]) -> None:
    if not probe.get("timeoutSeconds"):
        probe["timeoutSeconds"] = 1
    if not probe.get("periodSeconds"):
        probe["periodSeconds"] = 10
    if not probe.get("successThreshold"):
        probe["successThreshold"] = 1
    if not probe.get("failureThreshold"):
        probe["failureThreshold"] = 3
    if probe.get("httpGet") is not None:
        _http_get(probe["httpGet"])
    grpc = probe.get("grpc")
    if grpc is not None and grpc.get("service") is None:
        grpc["service"] = ""


def object_field_selector(ref: dict[str, Any]) -> None:
    if not ref.get("apiVersion"):
        ref["apiVersion"] = "v1"


def resource_field_selector(ref: dict[str, Any]) -> None:
    if ref.get("divisor") is None:
        ref["divisor"] = "0"
    else:
        quantity_field(ref, "divisor")


def _env(variables: list[dict[str, Any]]) -> None:
    for variable in variables:
        source = variable.get("valueFrom")
        if source:
            if source.get("fieldRef") is not None:
                object_field_selector(source["fieldRef"])
            if source.get("resourceFieldRef") is not None:
                resource_field_selector(source["resourceFieldRef"])
            if source.get("fileKeyRef") is not None and source["fileKeyRef"].get("optional") is None:
                source["fileKeyRef"]["optional"] = False


def container(c: dict[str, Any]) -> None:
    """A container of any sort (app, init or ephemeral)."""
    if not c.get("imagePullPolicy"):
        c["imagePullPolicy"] = pull_policy(c.get("image") or "")
    if not c.get("terminationMessagePath"):
        c["terminationMessagePath"] = "/dev/termination-log"
    if not c.get("terminationMessagePolicy"):
        c["terminationMessagePolicy"] = "File"
    resources = c.get("resources")
    if resources is None:
        c["resources"] = {}
    elif resources:
        resource_requirements(resources)
    for port in c.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    if c.get("env"):
        _env(c["env"])
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = c.get(name)
        if probe is not None:
            _probe(probe)
    lifecycle = c.get("lifecycle")
    if lifecycle:
        for handler in (lifecycle.get("postStart"), lifecycle.get("preStop")):
            if handler and handler.get("httpGet") is not None:
                _http_get(handler["httpGet"])
            if handler and handler.get("sleep") is not None:
                handler["sleep"].setdefault("seconds", 0)


def _host_ports(containers: list[dict[str, Any]] | None) -> None:
    for c in containers or ():
        for port in c.get("ports") or ():
            if not port.get("hostPort"):
                port["hostPort"] = port.get("containerPort", 0)


def pod_spec(spec: dict[str, Any]) -> None:
    """What pods and pod templates share."""
    if not spec.get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not spec.get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not spec.get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for volume in spec.get("volumes") or ():
        pod_volume(volume)
    for c in spec.get("containers") or ():
        container(c)
    for c in spec.get("initContainers") or ():
        container(c)
    for c in spec.get("ephemeralContainers") or ():
        container(c)
    if spec.get("overhead"):
        resource_list(spec["overhead"])
    if spec.get("resources"):
        resource_requirements(spec["resources"])


def _requests_from_limits(containers: list[dict[str, Any]] | None) -> None:
    for c in containers or ():
        resources = c["resources"]
        limits = resources.get("limits")
        if limits:
            requests = resources.get("requests")
            if requests is None:
                requests = resources["requests"] = {}
            for name, quantity in limits.items():
                requests.setdefault(name, quantity)


def pod(obj: dict[str, Any]) -> None:
    """Pods only, not their templates: requests follow limits, service links are on, ports of a pod on the host's network are the host's."""
    spec = obj.setdefault("spec", {})
    pod_spec(spec)
    _requests_from_limits(spec.get("containers"))
    _requests_from_limits(spec.get("initContainers"))
    if spec.get("resources"):
        pod_level_resources(spec)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec.get("hostNetwork"):
        _host_ports(spec.get("containers"))
        _host_ports(spec.get("initContainers"))
    status = obj.get("status")
    if status:
        _pod_addresses(status)


def _pod_addresses(status: dict[str, Any]) -> None:
    """podIP, which older clients write, is the first of podIPs, and wins where they differ."""
    first, addresses = status.get("podIP"), status.get("podIPs")
    if first and (not addresses or addresses[0].get("ip") != first):
        status["podIPs"] = [{"ip": first}]
    elif addresses and not first and addresses[0].get("ip"):
        status["podIP"] = addresses[0]["ip"]


def template(parent: dict[str, Any]) -> None:
    """The pod template in `parent["template"]`."""
    value = parent.get("template")
    if value is None:
        value = parent["template"] = {}
    value.setdefault("metadata", {})
    spec = value.get("spec")
    if spec is None:
        spec = value["spec"] = {"containers": None}
    pod_spec(spec)
