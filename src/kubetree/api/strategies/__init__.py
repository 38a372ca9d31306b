"""What the server decides about an object on its way in: status and generation belong to it, some fields cannot change, some are selectable.

Follows pkg/registry/*/strategy.go. Pure: the caller has set uid, creationTimestamp and, where time matters, passes `now`.
"""

from __future__ import annotations

from kubetree.api.strategies.deletion import default_grace_period
from kubetree.api.strategies.fields import field_label_supported, selectable_fields, stored_field_label, unsupported_field_label
from kubetree.api.strategies.hooks import date_taint_rule
from kubetree.api.strategies.prepare import (
    allow_create_on_update,
    allow_unconditional_update,
    prepare_for_create,
    prepare_for_update,
)

__all__ = [
    "allow_create_on_update",
    "allow_unconditional_update",
    "date_taint_rule",
    "default_grace_period",
    "field_label_supported",
    "prepare_for_create",
    "prepare_for_update",
    "selectable_fields",
    "stored_field_label",
    "unsupported_field_label",
]
