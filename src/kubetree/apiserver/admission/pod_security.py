"""PodSecurity: the Pod Security Standards that a namespace's labels ask for, enforced on pods, warned of on what makes pods.

Follows k8s.io/pod-security-admission/admission. Without labels everything is privileged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kubetree.api.errors import Cause, invalid
from kubetree.api.kind_table import kind
from kubetree.api.objects import controller_of
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin, refusal
from kubetree.apiserver.admission.pod_security_checks import BASELINE, LATEST, PRIVILEGED, RESTRICTED, Violation, detailed, violations
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.live_objects import Reader
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.metrics.counters import Counters

NAMESPACE, POD = kind("v1", "Namespace"), kind("v1", "Pod")
PREFIX = "pod-security.kubernetes.io/"
_EXEMPT = PREFIX + "exempt"
_LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")
_TEMPLATES = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
_UNCHECKED = frozenset({"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"})
_MOST_PODS = 3000
"""As many pods of a namespace are looked at when its level changes."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Level:
    """A level at a policy version; `minor` LATEST is the newest."""

    level: str = PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    def violations(self, metadata: Object, spec: Object) -> list[Violation]:
        return violations(self.level, self.minor, metadata, spec)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a namespace's labels ask for, in each mode."""

    enforce: Level = Level()
    audit: Level = Level()
    warn: Level = Level()


_NOTHING = Policy()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the plugin's configuration says: `defaults` for what a namespace's labels leave open, and who is not looked at."""

    defaults: Policy = _NOTHING
    usernames: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()


def settings(given: Object) -> Settings:
    """Of a PodSecurityConfiguration. Raises ValueError for levels and versions that are none."""
    defaults, exemptions = given.get("defaults") or {}, given.get("exemptions") or {}
    found: dict[str, Level] = {}
    for mode in ("enforce", "audit", "warn"):
        level, version = defaults.get(mode) or PRIVILEGED, defaults.get(f"{mode}-version") or "latest"
        match = _VERSION.fullmatch(version)
        if level not in _LEVELS:
            raise ValueError(f"defaults.{mode}: Invalid value: {json.dumps(level)}: must be one of {', '.join(_LEVELS)}")
        if match is None and version != "latest":
            raise ValueError(f'defaults.{mode}-version: Invalid value: {json.dumps(version)}: must be "latest" or "v1.x"')
        found[mode] = Level(level, int(match[1]) if match else LATEST)
    names = (frozenset(exemptions.get(field) or ()) for field in ("usernames", "runtimeClasses", "namespaces"))
    return Settings(Policy(**found), *names)


class PodSecurity(Plugin):
    name = "PodSecurity"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"namespaces", "pods", *_TEMPLATES})
    subresources = ANY_SUBRESOURCE
    validates = True

    def __init__(self, lister: Lister, reader: Reader, settings: Settings = Settings(), counters: Counters | None = None) -> None:
        self._lister, self._reader, self._settings = lister, reader, settings
        self._counters = counters or Counters()
        self._labels: dict[tuple[object, ...], tuple[str, ...]] = {}

    def validate(self, request: AdmissionRequest) -> Awaitable[None] | None:
        group_resource = request.kind.group_resource
        if group_resource == "namespaces":
            self._namespace(request)
            return None
        if group_resource != "pods":
            return self._controller(request, _TEMPLATES[group_resource]) if not request.subresource else None
        if request.subresource in _UNCHECKED or request.obj is None or self._exempt(request):
            return None
        namespace = self._lister.get(NAMESPACE, "", request.namespace)
        if namespace is None:
            return self._pod_later(request, request.obj)
        self._pod(request, request.obj, self._policy_of(namespace))
        return None

    async def _policy(self, request: AdmissionRequest) -> Policy:
        namespace = self._lister.get(NAMESPACE, "", request.namespace)
        if namespace is None:
            namespace = await self._reader.get(NAMESPACE, "", request.namespace)
        return self._policy_of(namespace)

    def _policy_of(self, namespace: Object) -> Policy:
        labels, defaults = namespace["metadata"].get("labels") or {}, self._settings.defaults
        for label in labels:
            if label.startswith(PREFIX):
                return policy_of(labels, defaults)[0]
        return defaults

    def _exempt(self, request: AdmissionRequest) -> bool:
        """Whether the namespace or the user is not looked at, which is noted down."""
        what = ""
        if request.namespace in self._settings.namespaces:
            what = "namespace"
        elif request.user.name in self._settings.usernames:
            what = "user"
        if what:
            request.annotations[_EXEMPT] = what
            self._count_exemption(request)
        return bool(what)

    def _count_exemption(self, request: AdmissionRequest) -> None:
        self._counters.pod_security_exemptions.add(request.operation.lower(), _counted_as(request), request.subresource)

    def _count(self, request: AdmissionRequest, mode: str, level: Level, denied: bool) -> None:
        key = (denied, level, mode, request.operation, request.kind.plural, request.subresource)
        labels = self._labels.get(key)
        if labels is None:
            stated, _, version = str(level).partition(":")
            decision, operation = "deny" if denied else "allow", request.operation.lower()
            labels = self._labels[key] = (decision, stated, version, mode, operation, _counted_as(request), request.subresource)
        self._counters.pod_security.add(*labels)

    def _exempt_class(self, request: AdmissionRequest, spec: Object) -> bool:
        if spec.get("runtimeClassName") not in self._settings.runtime_classes:
            return False
        request.annotations[_EXEMPT] = "runtimeClass"
        self._count_exemption(request)
        return True

    async def _pod_later(self, request: AdmissionRequest, pod: Object) -> None:
        self._pod(request, pod, await self._policy(request))

    def _pod(self, request: AdmissionRequest, pod: Object, policy: Policy) -> None:
        if policy is _NOTHING or policy == _NOTHING:
            self._count(request, "enforce", policy.enforce, False)
            return
        if request.operation == UPDATE and not _matters(pod, request.old or {}):
            return
        metadata, spec = pod["metadata"], pod.get("spec") or {}
        if self._exempt_class(request, spec):
            return
        request.annotations["pod-security.kubernetes.io/enforce-policy"] = str(policy.enforce)
        found = policy.enforce.violations(metadata, spec)
        self._count(request, "enforce", policy.enforce, bool(found))
        self._audit(request, policy, metadata, spec)
        if found:
            raise refusal(request, f'violates PodSecurity "{policy.enforce}": {detailed(found)}')
        self._warn(request, policy, metadata, spec)

    async def _controller(self, request: AdmissionRequest, path: Sequence[str]) -> None:
        if self._exempt(request):
            return
        policy = await self._policy(request)
        if policy.warn.level == PRIVILEGED and policy.audit.level == PRIVILEGED:
            return
        template: Any = request.obj or {}
        for field in path:
            template = template.get(field) or {}
        if not template:
            return
        metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
        if self._exempt_class(request, spec):
            return
        self._audit(request, policy, metadata, spec)
        self._warn(request, policy, metadata, spec)

    def _audit(self, request: AdmissionRequest, policy: Policy, metadata: Object, spec: Object) -> None:
        found = policy.audit.violations(metadata, spec)
        if found:
            self._count(request, "audit", policy.audit, True)
            request.annotations["pod-security.kubernetes.io/audit-violations"] = (
                f'would violate PodSecurity "{policy.audit}": {detailed(found)}'
            )

    def _warn(self, request: AdmissionRequest, policy: Policy, metadata: Object, spec: Object) -> None:
        found = policy.warn.violations(metadata, spec)
        if found:
            self._count(request, "warn", policy.warn, True)
            request.warnings.append(f'would violate PodSecurity "{policy.warn}": {detailed(found)}')

    def _namespace(self, request: AdmissionRequest) -> None:
        if request.subresource or request.obj is None:
            return
        defaults, labels = self._settings.defaults, request.obj["metadata"].get("labels") or {}
        policy, causes = policy_of(labels, defaults)
        exempted = request.namespace in self._settings.namespaces
        if request.operation == CREATE:
            self._require_valid(request, causes)
            if exempted:
                request.warnings.extend(_ignored(request.name, policy, labels, defaults))
            return
        before, old_causes = policy_of((request.old or {"metadata": {}})["metadata"].get("labels") or {}, defaults)
        if causes != old_causes:
            self._require_valid(request, causes)
        new, old = policy.enforce, before.enforce
        relaxed = new.minor == old.minor and _LEVELS.index(new.level) <= _LEVELS.index(old.level)
        if new == old or new.level == PRIVILEGED or relaxed:
            return
        request.warnings.extend(_ignored(request.name, policy, labels, defaults) if exempted else self._existing(request.name, new))

    def _require_valid(self, request: AdmissionRequest, causes: Sequence[Cause]) -> None:
        if causes:
            raise invalid("Namespace", "", request.name, causes)

    def _existing(self, namespace: str, enforce: Level) -> list[str]:
        """Warnings about pods that run already and would be refused now: one for each kind of violation."""
        classes = self._settings.runtime_classes
        looked_at = [p for p in self._lister.list(POD, namespace) if (p.get("spec") or {}).get("runtimeClassName") not in classes]
        pods = _one_of_each_first(looked_at)
        names: dict[str, list[str]] = {}
        for pod in pods[:_MOST_PODS]:
            found = enforce.violations(pod["metadata"], pod.get("spec") or {})
            if found:
                names.setdefault(", ".join(violation.reason for violation in found), []).append(pod["metadata"]["name"])
        warnings = []
        if len(pods) > _MOST_PODS:
            warnings.append(f"new PodSecurity enforce level only checked against the first {_MOST_PODS} of {len(pods)} existing pods")
        if names:
            warnings.append(f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{enforce}"')
        return warnings + sorted(f"{_first_of(found)}: {reasons}" for reasons, found in names.items())


def _ignored(namespace: str, policy: Policy, labels: Mapping[str, str], defaults: Policy) -> list[str]:
    """The warning that labels of an exempt namespace do nothing, where they ask for something."""
    modes = {"enforce": policy.enforce, "audit": policy.audit, "warn": policy.warn}
    if policy == defaults or all(stated.level == PRIVILEGED for stated in modes.values()):
        return []
    shown = [
        f"{mode}={stated}"
        for mode, stated in modes.items()
        if stated.level != PRIVILEGED and (f"{PREFIX}{mode}" in labels or f"{PREFIX}{mode}-version" in labels)
    ]
    return [f'namespace "{namespace}" is exempt from Pod Security, and the policy ({", ".join(shown)}) will be ignored']


def policy_of(labels: Mapping[str, str], defaults: Policy = _NOTHING) -> tuple[Policy, list[Cause]]:
    """What the labels ask for, and what is wrong with them. Enforcement of a broken label is restricted, warnings of one are off."""
    causes: list[Cause] = []
    usual = {"enforce": defaults.enforce, "audit": defaults.audit, "warn": defaults.warn}
    found = {}
    for mode in ("enforce", "audit", "warn"):
        level, version = labels.get(f"{PREFIX}{mode}"), labels.get(f"{PREFIX}{mode}-version")
        stated = usual[mode]
        if level is not None:
            if level not in _LEVELS:
                causes.append(_invalid(f"{PREFIX}{mode}", level, f"must be one of {', '.join(_LEVELS)}"))
            broken = RESTRICTED if mode == "enforce" else PRIVILEGED
            stated = replace(stated, level=level if level in _LEVELS else broken)
        if version is not None:
            match = _VERSION.fullmatch(version)
            if match is None and version != "latest":
                causes.append(_invalid(f"{PREFIX}{mode}-version", version, 'must be "latest" or "v1.x"'))
            stated = replace(stated, minor=int(match[1]) if match else LATEST)
        found[mode] = stated
    enforced = labels.get(f"{PREFIX}enforce")
    stricter = enforced in _LEVELS and _LEVELS.index(enforced) > _LEVELS.index(found["warn"].level)
    if f"{PREFIX}warn" not in labels and enforced is not None and stricter:
        minor = found["warn"].minor if f"{PREFIX}warn-version" in labels else found["enforce"].minor
        found["warn"] = Level(enforced, minor)
    return Policy(**found), causes


def _invalid(label: str, value: str, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {json.dumps(value)}: {detail}", f"metadata.labels[{label}]")


def _counted_as(request: AdmissionRequest) -> str:
    """What kind of resource a request is about, as upstream counts them."""
    return {"pods": "pod", "namespaces": "namespace"}.get(request.kind.group_resource, "controller")


def _matters(new: Object, old: Object) -> bool:
    """Whether an update adds a container or changes an image: all that can make a pod less secure."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for field in ("containers", "initContainers"):
        one, other = spec.get(field) or [], before.get(field) or []
        if len(one) != len(other) or any(a.get("image") != b.get("image") for a, b in zip(one, other, strict=True)):
            return True
    known = {container["name"]: container.get("image") for container in before.get("ephemeralContainers") or ()}
    return any(known.get(c["name"], "") != c.get("image") for c in spec.get("ephemeralContainers") or ())


def _one_of_each_first(pods: Iterable[Object]) -> list[Object]:
    """Pods of controllers that have not been seen come before their siblings."""
    first, others, seen = [], [], set()
    for pod in pods:
        owner = controller_of(pod)
        if owner is not None and owner["uid"] in seen:
            others.append(pod)
            continue
        if owner is not None:
            seen.add(owner["uid"])
        first.append(pod)
    return first + others


def _first_of(names: Sequence[str]) -> str:
    first, others = min(names), len(names) - 1
    if not others:
        return first
    return f"{first} (and {others} other {'pod' if others == 1 else 'pods'})"
