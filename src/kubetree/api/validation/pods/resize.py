"""The resize subresource: cpu and memory of a running pod may change, its QoS class may not."""

from __future__ import annotations

from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.strategies.pods import qos_class
from kubetree.api.validation.errors import Errors, Object, forbidden, invalid
from kubetree.api.validation.pods.pod import whole
from kubetree.api.validation.pods.spec import MIRROR

Pod = dict[str, Any]
_COMPUTE = ("cpu", "memory")


def _without_compute(amounts: Object | None, old: Object | None) -> dict[str, Any]:
    """The amounts as they would be had cpu and memory not changed."""
    kept = {n: q for n, q in (amounts or {}).items() if n not in _COMPUTE}
    kept.update({n: q for n, q in (old or {}).items() if n in _COMPUTE})
    return kept


def _masked(resources: Object | None, old: Object | None) -> dict[str, Any]:
    resources, old = resources or {}, old or {}
    return {name: _without_compute(resources.get(name), old.get(name)) for name in ("limits", "requests")}


def _removed(new: Object | None, old: Object | None) -> bool:
    return not (old or {}).keys() <= (new or {}).keys()


def _supported(pod: Pod) -> bool:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if (status.get("state") or {}).get("running") is not None:
            return status.get("resources") is not None
    return True


def _order(errs: Errors, new: Object, old: Object) -> bool:
    count = len(errs)
    for group in ("containers", "initContainers"):
        after, before = new.get(group) or [], old.get(group) or []
        if len(after) != len(before):
            errs.append(forbidden(f"spec.{group}", f"{group} may not be added or removed on resize"))
            continue
        for i, (a, b) in enumerate(zip(after, before, strict=True)):
            if a.get("name") != b.get("name"):
                errs.append(forbidden(f"spec.{group}[{i}].name", f"{group} may not be renamed or reordered on resize"))
    return len(errs) == count


def _pod_level(errs: Errors, new: Object, old: Object) -> None:
    after, before = new.get("resources"), old.get("resources")
    if before is not None and after is None:
        errs.append(forbidden("spec.resources", "pod-level resources cannot be removed"))
        return
    for name, shown in (("requests", "requests"), ("limits", "limits")):
        if before is not None and _removed((after or {}).get(name), before.get(name)):
            errs.append(forbidden(f"spec.resources.{name}", f"pod-level resource {shown} cannot be removed"))
    if not semantic_equal(_masked(after, before), _masked(before, before)):
        errs.append(forbidden("spec", "only cpu and memory resources are mutable at pod-level"))


def _containers(errs: Errors, new: Object, old: Object) -> None:
    for group in ("initContainers", "containers"):
        for i, (after, before) in enumerate(zip(new.get(group) or (), old.get(group) or (), strict=True)):
            path = f"spec.{group}[{i}]"
            now, was = after.get("resources") or {}, before.get("resources") or {}
            for name in ("requests", "limits"):
                if _removed(now.get(name), was.get(name)):
                    errs.append(forbidden(f"{path}.resources.{name}", f"resource {name} cannot be removed"))
            if after == before:
                continue
            if not semantic_equal({**after, "resources": _masked(now, was)}, {**before, "resources": _masked(was, was)}):
                if group == "containers":
                    errs.append(forbidden("spec", "only cpu and memory resources are mutable"))
                else:
                    errs.append(forbidden(path, "only cpu and memory resources for init or sidecar containers are mutable"))
            restarts = any(p.get("restartPolicy") == "RestartContainer" for p in after.get("resizePolicy") or ())
            if restarts and group == "initContainers" and after.get("restartPolicy") != "Always":
                detail = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
                errs.append(forbidden(path, detail))


def update(errs: Errors, new: Pod, old: Pod) -> None:
    """After the metadata's own check."""
    whole(errs, new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if MIRROR in (old["metadata"].get("annotations") or {}):
        errs[:] = [forbidden("[]", "static pods cannot be resized")]
        return
    if (before.get("os") or {}).get("name") == "windows":
        errs[:] = [forbidden("[]", "windows pods cannot be resized")]
        return
    if ((old.get("status") or {}).get("qosClass") or qos_class(before)) != qos_class(after):
        shown = (new.get("status") or {}).get("qosClass") or ""
        errs.append(invalid("spec", shown, "Pod QOS Class may not change as a result of resizing"))
    if not _supported(old):
        errs.append(forbidden("spec", "Pod running on node without support for resize"))
    if after.get("resources") or before.get("resources"):
        _pod_level(errs, after, before)
    if not _order(errs, after, before):
        return
    _containers(errs, after, before)
    if errs:
        return
    ignored = ("containers", "initContainers", "resources")
    if not semantic_equal(*({k: v for k, v in s.items() if k not in ignored} for s in (after, before))):
        errs.append(forbidden("spec", "only cpu and memory resources are mutable"))
