"""What the API server says in the status of a CustomResourceDefinition: accepted names and conditions. Pure functions over the object.

Follows apiextensions' controllers for names, establishing, structural schemas, approval and finalization, reasons and messages included.
Every API server computes the same from the same objects, so it does not matter which of several writes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubetree.api.objects import condition, has_condition
from kubetree.api.validation.custom_resources.definitions import approval_state, distrusted, is_protected
from kubetree.api.validation.custom_resources.structural import structural
from kubetree.api.validation.errors import Errors, invalid, quote

Object = dict[str, Any]
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def set_condition(crd: Object, type: str, status: str, reason: str, message: str, now: str) -> None:
    """In place; the time changes only with the status."""
    status_ = crd.setdefault("status", {})
    conditions = status_["conditions"] = status_.get("conditions") or []
    found = condition(crd, type)
    if found is None:
        conditions.append({"type": type, "status": status, "lastTransitionTime": now, "reason": reason, "message": message})
        return
    if found.get("status") != status or not found.get("lastTransitionTime"):
        found["lastTransitionTime"] = now
    found |= {"status": status, "reason": reason, "message": message}


def _differs(crd: Object, type: str, status: str, reason: str, message: str) -> bool:
    found = condition(crd, type)
    return found is None or (found.get("status"), found.get("reason"), found.get("message")) != (status, reason, message)


def accept_names(crd: Object, others: Iterable[Object], now: str) -> bool:
    """Takes what names are free; whether anything changed. `others` are all definitions of the group, `crd` may be among them."""
    spec, status = crd["spec"], crd.setdefault("status", {})
    wanted, accepted = spec["names"], status.get("acceptedNames") or {}
    if _same_names(wanted, accepted):
        return False
    resources, kinds = _taken(others)
    names = dict(accepted)
    problem = ("True", "NoConflicts", "no conflicts found")
    for field, reason, taken in (("plural", "PluralConflict", resources), ("singular", "SingularConflict", resources)):
        if wanted.get(field) != accepted.get(field) and wanted.get(field) in taken:
            problem = ("False", reason, _in_use(wanted.get(field)))
        else:
            names[field] = wanted.get(field, "")
    short, own = wanted.get("shortNames") or [], accepted.get("shortNames") or []
    if short != own:
        used = [_in_use(name) for name in short if name not in own and name in resources]
        if used:
            problem = ("False", "ShortNamesConflict", used[0] if len(used) == 1 else f"[{', '.join(used)}]")
        else:
            _set(names, "shortNames", short)
    for field, reason in (("kind", "KindConflict"), ("listKind", "ListKindConflict")):
        if wanted.get(field) != accepted.get(field) and wanted.get(field) in kinds:
            problem = ("False", reason, _in_use(wanted.get(field)))
        else:
            names[field] = wanted.get(field, "")
    _set(names, "categories", wanted.get("categories") or [])
    if names == accepted and not _differs(crd, "NamesAccepted", *problem):
        return False
    status["acceptedNames"] = names
    set_condition(crd, "NamesAccepted", *problem, now)
    if not has_condition(crd, "Established"):
        if problem[0] == "True":
            set_condition(crd, "Established", "False", "Installing", "the initial names have been accepted", now)
        elif condition(crd, "Established") is None:
            set_condition(crd, "Established", "False", "NotAccepted", "not all names are accepted", now)
    return True


def _set(names: Object, field: str, value: list[str]) -> None:
    if value:
        names[field] = value
    else:
        names.pop(field, None)


def _same_names(wanted: Object, accepted: Object) -> bool:
    fields = ("plural", "singular", "kind", "listKind", "shortNames", "categories")
    return all((wanted.get(field) or None) == (accepted.get(field) or None) for field in fields)


def _in_use(name: Any) -> str:
    return f"{quote(name or '')} is already in use"


def _taken(others: Iterable[Object]) -> tuple[set[str], set[str]]:
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources |= {names.get("plural") or "", names.get("singular") or "", *(names.get("shortNames") or ())}
        kinds |= {names.get("kind") or "", names.get("listKind") or ""}
    return resources, kinds


def establish(crd: Object, now: str) -> bool:
    """Names are accepted: objects may come, unless the conversion webhook could not be called. Whether anything changed."""
    if not has_condition(crd, "NamesAccepted") or has_condition(crd, "Established"):
        return False
    verdict = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    if distrusted(crd["spec"]):
        verdict = ("False", "InvalidCABundle", "The conversion webhook CABundle is invalid")
        if not _differs(crd, "Established", *verdict):
            return False
    set_condition(crd, "Established", *verdict, now)
    return True


def judge_schema(crd: Object, now: str) -> bool:
    """NonStructuralSchema, which stands there only when it is true. Whether anything changed."""
    errs: Errors = []
    if crd["spec"].get("preserveUnknownFields"):
        errs.append(invalid("spec.preserveUnknownFields", True, "must be false"))
    for i, version in enumerate(crd["spec"].get("versions") or ()):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is not None:
            structural(errs, schema, f"spec.versions[{i}].schema.openAPIV3Schema")
    if not errs:
        if condition(crd, "NonStructuralSchema") is None:
            return False
        crd["status"]["conditions"] = [c for c in crd["status"]["conditions"] if c.get("type") != "NonStructuralSchema"]
        return True
    texts = list(dict.fromkeys(map(str, errs)))
    message = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    if not _differs(crd, "NonStructuralSchema", "True", "Violations", message):
        return False
    set_condition(crd, "NonStructuralSchema", "True", "Violations", message, now)
    return True


_APPROVAL = {
    "invalid": ("False", "InvalidAnnotation"),
    "missing": ("False", "MissingAnnotation"),
    "approved": ("True", "ApprovedAnnotation"),
    "bypassed": ("False", "UnapprovedAnnotation"),
}


def judge_approval(crd: Object, now: str) -> bool:
    """KubernetesAPIApprovalPolicyConformant, of groups of the project itself. Whether anything changed."""
    if not is_protected(crd["spec"]["group"]):
        return False
    state, message = approval_state(crd)
    status, reason = _APPROVAL[state]
    if not _differs(crd, "KubernetesAPIApprovalPolicyConformant", status, reason, message):
        return False
    set_condition(crd, "KubernetesAPIApprovalPolicyConformant", status, reason, message, now)
    return True


def mark_deleted(crd: Object, now: str) -> None:
    """The first request to delete a definition: its objects go before it does. In place."""
    metadata = crd["metadata"]
    metadata["deletionTimestamp"] = now
    finalizers = metadata.setdefault("finalizers", [])
    if CLEANUP not in finalizers:
        finalizers.append(CLEANUP)
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    set_condition(crd, "Terminating", "True", "InstanceDeletionPending", message, now)
