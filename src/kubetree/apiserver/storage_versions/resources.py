"""What a server says of each built-in resource that it stores: in which version it encodes, which it can decode, which it serves. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key
from typing import NamedTuple

from kubetree.api.kind_table import EVERY_ROW, storage_row
from kubetree.api.kinds import Kind
from kubetree.api.version_order import version_order


class Stored(NamedTuple):
    """`also` are the group resources that are the same objects under another group's name: events."""

    group: str
    plural: str
    encoding: str
    decodable: tuple[str, ...]
    served: tuple[str, ...]
    also: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Its group resources: `deployments.apps`, `pods`."""
        return (f"{self.plural}.{self.group}" if self.group else self.plural, *self.also)


def stored_resources(kinds: Iterable[Kind]) -> list[Stored]:
    """By group and resource; of those that are the same objects the first stands for all. Custom resources are not among them: their
    definitions say in `storedVersions` what may be in the store."""
    rows = sorted((row for row in kinds if row.stored and row.behaviour is None), key=lambda row: (row.group, row.plural))
    found: dict[str, Stored] = {}
    for row in rows:
        if row.prefix not in found:
            found[row.prefix] = _stored(row, rows)
    return list(found.values())


def _stored(first: Kind, rows: Iterable[Kind]) -> Stored:
    same = (row for row in EVERY_ROW if row.stored and row.prefix == first.prefix)
    alike = sorted(sorted(same, key=cmp_to_key(_by_version)), key=lambda row: row.group != first.group)
    served = [row.api_version for row in alike if row.group == first.group and any(row is each for each in rows)]
    others = dict.fromkeys(row.group_resource for row in alike if row.group != first.group)
    versions = dict.fromkeys(row.api_version for row in alike)
    return Stored(first.group, first.plural, storage_row(first).api_version, tuple(versions), tuple(served), tuple(others))


def _by_version(a: Kind, b: Kind) -> int:
    return version_order(a.version, b.version)
