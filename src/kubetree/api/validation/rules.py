"""A row of the table of rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubetree.api.feature_gates import Features
from kubetree.api.validation.errors import Errors
from kubetree.api.validation.names import NameRule, dns_subdomain

Check = Callable[[Errors, dict[str, Any]], None]
ChangeCheck = Callable[[Errors, dict[str, Any], dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a kind is validated beyond its metadata; functions append to the list of errors.

    `create(errs, obj)`. `update(errs, new, old)`; None: `create` on the new object. `name`: the format of names. `subresources`:
    the check of each that has its own; the others get the metadata's alone. `metadata` False: the kind has no stored identity.
    """

    create: Check | None = None
    update: ChangeCheck | None = None
    name: NameRule = dns_subdomain
    prefix: NameRule | None = None
    """The format of generateName; None: that of names."""
    subresources: Mapping[str, ChangeCheck] = field(default_factory=dict)
    metadata: bool = True
    anew: bool = False
    """An update is checked as a creation first: upstream's strategy calls both, and names what both find twice."""
    any_finalizer: bool = False
    """Finalizers need no slash: kinds that core's own metadata rules do not hold for."""
    gate: str = ""
    gated: Rules | None = None
    """What holds instead while the feature `gate` is on."""

    def under(self, features: Features) -> Rules:
        return self.gated if self.gated is not None and self.gate in features else self
