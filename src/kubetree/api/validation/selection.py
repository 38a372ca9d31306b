"""Whether a selector picks labels: workloads must select the pods that they make."""

from __future__ import annotations

from collections.abc import Mapping

from kubetree.api.validation.errors import Object
from kubetree.api.validation.names import label_key, label_value


def _holds(requirement: Object, labels: Mapping[str, str]) -> bool:
    key, operator, values = requirement.get("key") or "", requirement.get("operator"), requirement.get("values") or ()
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return key not in labels or labels[key] not in values
    return (key in labels) == (operator == "Exists")


def selects(selector: Object | None, labels: Mapping[str, str] | None) -> bool:
    """metav1.LabelSelector; None selects nothing, an empty one everything."""
    if selector is None:
        return False
    labels = labels or {}
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(requirement, labels) for requirement in selector.get("matchExpressions") or ())


def well_formed(selector: Object | None) -> bool:
    """Whether upstream could turn the selector into a matcher at all."""
    if selector is None:
        return True
    for key, value in (selector.get("matchLabels") or {}).items():
        if label_key(key) or label_value(value):
            return False
    for requirement in selector.get("matchExpressions") or ():
        operator, values = requirement.get("operator"), requirement.get("values") or ()
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist") or bool(values) != (operator in ("In", "NotIn")):
            return False
        if label_key(requirement.get("key") or "") or any(label_value(value) for value in values):
            return False
    return True


def is_empty(selector: Object | None) -> bool:
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))
