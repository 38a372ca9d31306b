"""Whether an object may be stored: upstream's pkg/apis/*/validation, rule for rule, word for word.

Objects come here decoded, checked against the schema, defaulted and prepared by their strategy, so types and defaults hold.
What stood in the store before was valid; updates check what changed.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.feature_gates import DEFAULT_FEATURES, Features
from kubetree.api.kinds import Kind
from kubetree.api.validation.autoscaling import scale as validate_scale
from kubetree.api.validation.core import binding as validate_binding
from kubetree.api.validation.errors import Errors, FieldError
from kubetree.api.validation.metadata import builtin_finalizers, object_meta, object_meta_update
from kubetree.api.validation.pods.pod import is_sound
from kubetree.api.validation.pods.template import Template, pod_template
from kubetree.api.validation.table import OTHER, TABLE

__all__ = ["FieldError", "Template", "template_of", "validate_binding", "validate_create", "validate_scale", "validate_update"]


_BY_REQUEST = frozenset({("events.k8s.io/v1", "Event")})
"""Kinds whose rules depend on the version that the client speaks, though the object is in the stored one."""


def _rules_of(kind: Kind, requested: Kind | None) -> Kind:
    return requested if requested is not None and (requested.api_version, requested.kind) in _BY_REQUEST else kind


def template_of(kind: Kind, obj: dict[str, Any]) -> Template | None:
    """What a complete new object has in common with others made from the same template: findings about it are remembered. None: nothing."""
    return pod_template(obj) if kind.kind == "Pod" and kind.api_version == "v1" else None


def validate_create(
    kind: Kind,
    obj: dict[str, Any],
    template: Template | None = None,
    requested: Kind | None = None,
    features: Features = DEFAULT_FEATURES,
) -> list[FieldError]:
    """What is wrong with a new object; nothing when it may be stored. `template` is `template_of` it, where that is known.

    `requested` is the row of the request, where that is another.
    """
    if kind.behaviour is not None:
        return kind.behaviour.validate_create(obj)
    errs: Errors = []
    kind = _rules_of(kind, requested)
    rules = TABLE.get((kind.api_version, kind.kind))
    if rules is None:
        object_meta(errs, obj["metadata"], kind.namespaced, OTHER.name)
        return errs
    rules = rules.under(features)
    if rules.metadata:
        metadata = obj["metadata"]
        object_meta(errs, metadata, kind.namespaced, rules.name, prefix_rule=rules.prefix)
        if metadata.get("finalizers") and not rules.any_finalizer:
            builtin_finalizers(errs, metadata)
    if rules.create is not None and (template is None or not is_sound(template.shape)):
        rules.create(errs, obj)
    return errs


def validate_update(
    kind: Kind,
    new: dict[str, Any],
    old: dict[str, Any],
    subresource: str = "",
    requested: Kind | None = None,
    features: Features = DEFAULT_FEATURES,
) -> list[FieldError]:
    """What is wrong with replacing `old` by `new`. `subresource` is '', status, finalize, ephemeralcontainers, resize or approval."""
    if kind.behaviour is not None:
        return kind.behaviour.validate_update(new, old, subresource)
    errs: Errors = []
    kind = _rules_of(kind, requested)
    rules = TABLE.get((kind.api_version, kind.kind), OTHER).under(features)
    if rules.anew and not subresource:
        errs += validate_create(kind, new, features=features)
    if rules.metadata or kind.stored:
        object_meta_update(errs, new["metadata"], old["metadata"])
        if rules is not OTHER and new["metadata"].get("finalizers") and not rules.any_finalizer:
            builtin_finalizers(errs, new["metadata"])
    if subresource:
        check = rules.subresources.get(subresource)
        if check is not None:
            check(errs, new, old)
    elif rules.update is not None:
        rules.update(errs, new, old)
    elif rules.create is not None:
        rules.create(errs, new)
    return errs
