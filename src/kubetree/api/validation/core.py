"""Namespaces, nodes, configuration, service accounts and bindings."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any

from kubetree.api.schema.go_json import Members, parse
from kubetree.api.validation.addresses import dual_stack_cidrs, legacy_cidr, parse_cidr
from kubetree.api.validation.errors import (
    Errors,
    Object,
    duplicate,
    each,
    forbidden,
    internal,
    invalid,
    not_supported,
    required,
    too_long,
)
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import IMMUTABLE, finalizer_name, immutable, label_name
from kubetree.api.validation.names import config_map_key, label_key, label_value
from kubetree.api.validation.pods.scheduling import EFFECTS
from kubetree.api.validation.pods.spec import template
from kubetree.api.validation.resources import amount

Thing = dict[str, Any]
MAX_SECRET = 1024 * 1024
_FEATURE = re.compile(r"[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*").fullmatch


def namespace(errs: Errors, obj: Thing) -> None:
    for name in (obj.get("spec") or {}).get("finalizers") or ():
        each(errs, "spec.finalizers", name, label_key(name))
        finalizer_name(errs, name, "spec.finalizers")


def namespace_status(errs: Errors, new: Thing, old: Thing) -> None:
    phase = (new.get("status") or {}).get("phase") or ""
    if new["metadata"].get("deletionTimestamp"):
        if phase != "Terminating":
            errs.append(invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"))
    elif phase != "Active":
        errs.append(invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty"))


def namespace_finalize(errs: Errors, new: Thing, old: Thing) -> None:
    for i, name in enumerate((new.get("spec") or {}).get("finalizers") or ()):
        each(errs, f"spec.finalizers[{i}]", name, label_key(name))
        finalizer_name(errs, name, f"spec.finalizers[{i}]")


def _taints(errs: Errors, taints: list[Object], path: str) -> None:
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        at, key, value, effect = f"{path}[{i}]", taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        label_name(errs, key, f"{at}.key")
        bad = label_value(value)
        if bad:
            errs.append(invalid(f"{at}.value", value, ";".join(bad)))
        if not effect:
            errs.append(required(f"{at}.effect"))
        elif effect not in EFFECTS:
            errs.append(not_supported(f"{at}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            errs.append(duplicate(at, go_struct("core.Taint", taint), "taints must be unique by key and effect pair"))
        seen.add((key, effect))


def _declared_features(errs: Errors, features: list[str]) -> None:
    path = "status.declaredFeatures"
    for i, name in enumerate(features):
        if len(name) > 253:
            errs.append(invalid(f"{path}[{i}]", name, f'invalid feature name "{name}": must be no more than 253 characters'))
        elif not _FEATURE(name):
            detail = (
                f"invalid feature name \"{name}\": must start with an UpperCamelCase segment, with subsequent segments separated by '/' "
                "(e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
            )
            errs.append(invalid(f"{path}[{i}]", name, detail))
        following = features[i + 1] if i + 1 < len(features) else None
        if following == name:
            errs.append(duplicate(f"{path}[{i + 1}]", following))
        elif following is not None and name > following:
            errs.append(invalid(f"{path}[{i + 1}]", following, "list must be sorted alphabetically"))


def _node(errs: Errors, obj: Thing) -> None:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if spec.get("taints"):
        _taints(errs, spec["taints"], "metadata.taints")
    for field in ("capacity", "allocatable"):
        for name, text in (status.get(field) or {}).items():
            amount(errs, name, text, f"status.{field}.{name}")
    if status.get("declaredFeatures"):
        _declared_features(errs, status["declaredFeatures"])


def node(errs: Errors, obj: Thing) -> None:
    _node(errs, obj)
    swap = (((obj.get("status") or {}).get("nodeInfo") or {}).get("swap") or {}).get("capacity")
    if swap is not None and swap <= 0:
        errs.append(invalid("metadata.nodeSwapStatus.capacity", swap, "must be greater than zero"))
    ranges = (obj.get("spec") or {}).get("podCIDRs") or ()
    for i, text in enumerate(ranges):
        legacy_cidr(errs, text, f"spec.podCIDRs[{i}]")
    if len(ranges) > 1:
        bad = next((i for i, text in enumerate(ranges) if parse_cidr(text) is None), None)
        if bad is not None:
            why = f"invalid CIDR[{bad}]: <nil> (invalid CIDR address: {ranges[bad]})"
            errs.append(internal("spec.podCIDRs", f"invalid PodCIDRs. failed to check with dual stack with error:{why}"))
    if len(ranges) > 1 and (len(ranges) > 2 or not dual_stack_cidrs(ranges)):
        errs.append(invalid("spec.podCIDRs", ranges, "may specify no more than one CIDR for each IP family"))


def node_update(errs: Errors, new: Thing, old: Thing) -> None:
    """Also the status subresource's check, as upstream has it."""
    _node(errs, new)
    seen: list[Object] = []
    for i, address in enumerate((new.get("status") or {}).get("addresses") or ()):
        if address in seen:
            errs.append(duplicate(f"status.addresses[{i}]", go_struct("core.NodeAddress", address)))
        seen.append(address)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    ranges = before.get("podCIDRs")
    if ranges and (after.get("podCIDRs") or []) != ranges:
        errs.append(forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
    if before.get("providerID") and before["providerID"] != (after.get("providerID") or ""):
        errs.append(forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid'))
    if (after.get("externalID") or "") != (before.get("externalID") or ""):
        errs.append(forbidden("spec.externalID", "may not be updated"))


def config_map(errs: Errors, obj: Thing) -> None:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for key, value in data.items():
        each(errs, f"data[{key}]", key, config_map_key(key))
        if key in binary:
            errs.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len(value)
    for key, value in binary.items():
        each(errs, f"binaryData[{key}]", key, config_map_key(key))
        size += _decoded_length(value)
    if size > MAX_SECRET or (size > MAX_SECRET // 4 and size + sum(len(v.encode()) - len(v) for v in data.values()) > MAX_SECRET):
        errs.append(too_long("[]", MAX_SECRET))


def _decoded_length(text: str) -> int:
    return len(text) * 3 // 4 - text.count("=", -2)


def _frozen(errs: Errors, new: Thing, old: Thing, *fields: str) -> None:
    if not old.get("immutable"):
        return
    detail = "field is immutable when `immutable` is set"
    if not new.get("immutable"):
        errs.append(forbidden("immutable", detail))
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            errs.append(forbidden(field, detail))


def config_map_update(errs: Errors, new: Thing, old: Thing) -> None:
    _frozen(errs, new, old, "data", "binaryData")
    config_map(errs, new)


_REQUIRED_KEYS: dict[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def _json_problem(encoded: str) -> str:
    """Why the value is no JSON object, in Go's words; '' if it is one."""
    try:
        value = parse(b64decode(encoded, validate=True))
    except (ValueError, Base64Error) as error:
        return str(error)
    if isinstance(value, Members) or value is None:
        return ""
    what = {bool: "bool", str: "string", list: "array"}.get(type(value), "number")
    return f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"


def secret(errs: Errors, obj: Thing) -> None:
    data, sort = obj.get("data") or {}, obj.get("type") or ""
    size = 0
    for key, value in data.items():
        each(errs, f"data[{key}]", key, config_map_key(key))
        size += _decoded_length(value or "")
    if size > MAX_SECRET:
        errs.append(too_long("data", MAX_SECRET))
    if sort == "kubernetes.io/service-account-token":
        if not (obj["metadata"].get("annotations") or {}).get("kubernetes.io/service-account.name"):
            errs.append(required("metadata.annotations[kubernetes.io/service-account.name]"))
    elif sort == "kubernetes.io/basic-auth" and "username" not in data and "password" not in data:
        errs += [required("data[username]"), required("data[password]")]
    for key in _REQUIRED_KEYS.get(sort, ()):
        if key not in data or (sort == "kubernetes.io/ssh-auth" and not data[key]):
            errs.append(required(f"data[{key}]"))
        elif key.startswith(".docker"):
            problem = _json_problem(data[key] or "")
            if problem:
                errs.append(invalid(f"data[{key}]", "<secret contents redacted>", problem))


def secret_update(errs: Errors, new: Thing, old: Thing) -> None:
    if (new.get("type") or "") != (old.get("type") or ""):
        errs.append(invalid("type", new.get("type") or "", IMMUTABLE))
    _frozen(errs, new, old, "data")
    secret(errs, new)


def pod_template(errs: Errors, obj: Thing) -> None:
    template(errs, obj.get("template") or {}, "template")


def pod_template_update(errs: Errors, new: Thing, old: Thing) -> None:
    pod_template(errs, new)


def binding(errs: Errors, obj: Thing) -> None:
    """A pod's binding: its metadata is the pod's own."""
    target = obj.get("target") or {}
    if target.get("kind") not in (None, "", "Node"):
        errs.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errs.append(required("target.name"))


def priority_class(errs: Errors, obj: Thing) -> None:
    name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
    if name.startswith("system-"):
        known = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}
        if name not in known:
            errs.append(
                forbidden(
                    "metadata.name",
                    f"priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known system priority class",
                )
            )
        elif value != known[name]:
            errs.append(
                forbidden(
                    "metadata.name",
                    f"priority class names with 'system-' prefix are reserved for system use only. error: value of {name} PriorityClass must be {known[name]}",
                )
            )
    elif value > 1000000000:
        errs.append(forbidden("value", "maximum allowed value of a user defined priority is 1000000000"))
    policy, allowed = obj.get("preemptionPolicy"), ("PreemptLowerPriority", "Never")
    if policy == "":
        errs.append(required("preemptionPolicy"))
    elif policy is not None and policy not in allowed:
        errs.append(not_supported("preemptionPolicy", policy, allowed))


def priority_class_update(errs: Errors, new: Thing, old: Thing) -> None:
    if (new.get("value") or 0) != (old.get("value") or 0):
        errs.append(forbidden("value", "may not be changed in an update."))
    immutable(errs, new.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy")
