"""Pods themselves: creation, and the few changes that a running pod allows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.diff import diff
from kubetree.api.validation.errors import Errors, Object, forbidden, invalid, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import builtin_finalizers, object_meta
from kubetree.api.validation.names import dns_subdomain
from kubetree.api.validation.pods import scheduling, security
from kubetree.api.validation.pods.containers import image_whitespace
from kubetree.api.validation.pods.spec import MIRROR, pod_annotations, pod_spec
from kubetree.api.validation.pods.template import shape

Pod = dict[str, Any]


@lru_cache(maxsize=256)
def _is_sound_spec(spec: bytes) -> bool:
    """Whether a pod's spec, as JSON, is right whatever the pod's name."""
    if b'"ephemeral":' in spec:
        return False
    errs: Errors = []
    pod_spec(errs, orjson.loads(spec), "spec", is_pod=True)
    return not errs


@lru_cache(maxsize=256)
def is_sound(template: bytes) -> bool:
    """Whether new pods of a template (`Template.shape`) are right whatever their names. They share the work."""
    if b'"ephemeral":' in template:
        return False
    errs: Errors = []
    create(errs, orjson.loads(template))
    return not errs


def _body(errs: Errors, pod: Pod) -> None:
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    notes = metadata.get("annotations")
    if notes:
        pod_annotations(errs, notes, spec, "metadata.annotations")
    if not _is_sound_spec(shape(spec)):
        pod_spec(errs, spec, "spec", pod_name=metadata.get("name") or "", is_pod=True)
    if not spec.get("serviceAccountName"):
        for i, volume in enumerate(spec.get("volumes") or ()):
            for j, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if source.get("serviceAccountToken") is not None:
                    at = f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken"
                    errs.append(forbidden(at, "must not be specified when serviceAccountName is not set"))
    if spec.get("resourceClaims") and notes and MIRROR in notes:
        errs.append(forbidden("[]", "static pods do not support resource claims"))
    for group in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(group) or ()):
            image_whitespace(errs, container, f"spec.{group}[{i}]")


def create(errs: Errors, pod: Pod) -> None:
    _body(errs, pod)
    spec, notes = pod.get("spec") or {}, pod["metadata"].get("annotations")
    if spec.get("ephemeralContainers"):
        errs.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errs.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    if notes:
        security.annotations_match_fields(errs, notes, spec, "spec")


def whole(errs: Errors, new: Pod, old: Pod) -> None:
    """A changed pod as a pod. What did not change was found right when it was stored, and passes (upstream ratchets field by field)."""
    object_meta(errs, new["metadata"], True, dns_subdomain)
    builtin_finalizers(errs, new["metadata"])
    if new.get("spec") != old.get("spec"):
        _body(errs, new)
    elif new["metadata"].get("annotations"):
        pod_annotations(errs, new["metadata"]["annotations"], new.get("spec") or {}, "metadata.annotations")


def annotation_updates(errs: Errors, new: Pod, old: Pod) -> None:
    """Mirror and AppArmor annotations stay as they are."""
    after, before = new["metadata"].get("annotations") or {}, old["metadata"].get("annotations") or {}
    if after == before:
        return
    path = "metadata.annotations"
    for key, value in before.items():
        if after.get(key) == value:
            continue
        if key.startswith(security.APP_ARMOR):
            errs.append(forbidden(f"{path}[{key}]", "may not remove or update AppArmor annotations"))
        if key == MIRROR:
            errs.append(forbidden(f"{path}[{key}]", "may not remove or update mirror pod annotation"))
    for key in after.keys() - before.keys():
        if key.startswith(security.APP_ARMOR):
            errs.append(forbidden(f"{path}[{key}]", "may not add AppArmor annotations"))
        if key == MIRROR:
            errs.append(forbidden(f"{path}[{key}]", "may not add mirror pod annotation"))


_UPDATABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _same_number(errs: Errors, new: Iterable[Object], old: list[Object], path: str) -> bool:
    new = list(new)
    if len(new) != len(old):
        errs.append(forbidden(path, "pod updates may not add or remove containers"))
        return False
    for i, container in enumerate(new):
        if not container.get("image"):
            errs.append(required(f"{path}[{i}].image"))
        image_whitespace(errs, container, f"{path}[{i}]")
    return True


def _deadline(errs: Errors, new: int | None, old: int | None) -> bool:
    path = "spec.activeDeadlineSeconds"
    if new is not None:
        if not 0 <= new <= 2147483647:
            errs.append(invalid(path, new, "must be between 0 and 2147483647, inclusive"))
            return False
        if old is not None and old < new:
            errs.append(invalid(path, new, "must be less than or equal to previous value"))
            return False
    elif old is not None:
        errs.append(invalid(path, None, "must not update from a positive integer to nil value"))
    return True


def _tolerations(errs: Errors, new: list[dict[str, Any]], old: list[dict[str, Any]]) -> None:
    kept = [{k: v for k, v in t.items() if k != "tolerationSeconds" and v} for t in new]
    for toleration in old:
        if {k: v for k, v in toleration.items() if k != "tolerationSeconds" and v} not in kept:
            errs.append(forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"))
            return
    scheduling.tolerations(errs, new, "spec.tolerations")


def _gates(errs: Errors, new: list[Object], old: list[Object]) -> None:
    known = {g.get("name") for g in old}
    for i, gate in enumerate(new):
        if gate.get("name") not in known:
            detail = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            errs.append(forbidden(f"spec.schedulingGates[{i}].name", detail))


def _only_additions(new: Object, old: Object) -> bool:
    """Whether a node selector term only gained requirements."""
    if not old.get("matchExpressions") and not old.get("matchFields"):
        return not new.get("matchExpressions") and not new.get("matchFields")
    for name in ("matchExpressions", "matchFields"):
        before = old.get(name) or []
        if before and not semantic_equal((new.get(name) or [])[: len(before)], before):
            return False
    return True


def _gated(errs: Errors, munged: dict[str, Any], old: dict[str, Any]) -> None:
    """A gated pod may still narrow where it can go."""
    before, after = old.get("nodeSelector") or {}, munged.get("nodeSelector") or {}
    if before != after:
        if any(after.get(k) != v for k, v in before.items()):
            detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            errs.append(invalid("spec.nodeSelector", after, detail))
        munged["nodeSelector"] = old.get("nodeSelector")
    was, now = (old.get("affinity") or {}).get("nodeAffinity"), (munged.get("affinity") or {}).get("nodeAffinity")
    if semantic_equal(was, now):
        return
    hard = "requiredDuringSchedulingIgnoredDuringExecution"
    path = f"spec.affinity.nodeAffinity.{hard}.nodeSelectorTerms"
    if was and was.get(hard):
        old_terms = was[hard].get("nodeSelectorTerms") or []
        new_terms = ((now or {}).get(hard) or {}).get("nodeSelectorTerms") or []
        if old_terms and len(old_terms) != len(new_terms):
            errs.append(
                invalid(
                    path,
                    go_struct("core.NodeSelectorTerm", new_terms),
                    "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
                )
            )
        else:
            for i, (new_term, old_term) in enumerate(zip(new_terms, old_terms, strict=False)):
                if not _only_additions(new_term, old_term):
                    errs.append(
                        invalid(
                            f"{path}[{i}]",
                            go_struct("core.NodeSelectorTerm", new_term),
                            "only additions are allowed (no mutations or deletions)",
                        )
                    )
    rest = {k: v for k, v in (munged.get("affinity") or {}).items() if k != "nodeAffinity" and v}
    if was:
        munged["affinity"] = {**rest, "nodeAffinity": was}
    else:
        munged["affinity"] = rest or old.get("affinity")


def update(errs: Errors, new: Pod, old: Pod) -> None:
    """After the metadata's own check."""
    whole(errs, new, old)
    annotation_updates(errs, new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after == before:
        return
    for group in ("containers", "initContainers"):
        if not _same_number(errs, after.get(group) or [], before.get(group) or [], f"spec.{group}"):
            return
    if not _deadline(errs, after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")):
        return
    _tolerations(errs, after.get("tolerations") or [], before.get("tolerations") or [])
    _gates(errs, after.get("schedulingGates") or [], before.get("schedulingGates") or [])
    munged = dict(after)
    for group in ("containers", "initContainers"):
        if after.get(group):
            munged[group] = [{**c, "image": o.get("image")} for c, o in zip(after[group], before[group], strict=True)]
    for field in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        munged[field] = before.get(field)
    if (before.get("terminationGracePeriodSeconds") or 0) < 0 and munged.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"]
    if before.get("schedulingGates"):
        _gated(errs, munged, before)
    if not semantic_equal(munged, before):
        changes = diff(go_struct("core.PodSpec", before), go_struct("core.PodSpec", munged))
        errs.append(forbidden("spec", f"pod updates may not change fields other than {_UPDATABLE}\n{changes}"))


def update_ephemeral_containers(errs: Errors, new: Pod, old: Pod) -> None:
    whole(errs, new, old)
    annotation_updates(errs, new, old)
    if MIRROR in (old["metadata"].get("annotations") or {}):
        errs[:] = [forbidden("[]", "static pods do not support ephemeral containers")]
        return
    after = {c.get("name"): c for c in (new.get("spec") or {}).get("ephemeralContainers") or ()}
    for container in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in after:
            errs.append(forbidden("spec.ephemeralContainers", f'existing ephemeral containers "{name}" may not be removed\n'))
        elif not semantic_equal(container, after[name]):
            changes = diff(*(go_struct("core.EphemeralContainer", value) for value in (container, after[name])))
            errs.append(forbidden("spec.ephemeralContainers", f'existing ephemeral containers "{name}" may not be changed\n{changes}'))
