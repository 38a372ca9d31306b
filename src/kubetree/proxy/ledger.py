"""Which elements the table should have, by the service that asks for them, and what changed since it was last written. Pure.

Two services may ask for one element (a pod behind both, an external IP claimed twice): the first holds it, and the next takes
over when it lets go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubetree.proxy.render import Key, Tables
from kubetree.proxy.table import Chain

Owner = tuple[str, str]
NODE: Owner = ("", "")


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between what was written and what is wanted."""

    chains: Mapping[str, Chain] = field(default_factory=dict)
    removed: frozenset[Key] = frozenset()
    added: Mapping[Key, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.removed) + len(self.added) + len(self.chains)


class Ledger:
    """The wanted elements of one address family."""

    def __init__(self) -> None:
        self.elements: dict[Key, str] = {}
        self.chains: dict[str, Chain] = {}
        self._owned: dict[Owner, dict[Key, str]] = {}
        self._holders: dict[Key, Owner] = {}
        self._waiting: dict[Key, dict[Owner, str]] = {}
        self._written: dict[Key, str | None] = {}
        """For each key that changed since the last `take`: its value as written, None where there was none."""
        self._new_chains: dict[str, Chain] = {}

    def put(self, owner: Owner, tables: Tables) -> None:
        """What `owner` asks for from now on, in place of all that it asked for before."""
        before, after = self._owned.get(owner, {}), tables.elements
        if before == after:
            return
        for name, chain in tables.chains.items():
            if name not in self.chains:
                self.chains[name] = self._new_chains[name] = chain
        for key in before:
            if key not in after:
                self._withdraw(owner, key)
        for key, value in after.items():
            if before.get(key) != value:
                self._claim(owner, key, value)
        if after:
            self._owned[owner] = after
        else:
            del self._owned[owner]

    def take(self) -> Changes:
        """What changed since the last call."""
        removed, added = set(), {}
        for key, written in self._written.items():
            wanted = self.elements.get(key)
            if wanted == written:
                continue
            if written is not None:
                removed.add(key)
            if wanted is not None:
                added[key] = wanted
        changes = Changes(self._new_chains, frozenset(removed), added)
        self._written, self._new_chains = {}, {}
        return changes

    def _set(self, key: Key, value: str | None) -> None:
        self._written.setdefault(key, self.elements.get(key))
        if value is None:
            self.elements.pop(key, None)
        else:
            self.elements[key] = value

    def _claim(self, owner: Owner, key: Key, value: str) -> None:
        if self._holders.setdefault(key, owner) == owner:
            self._set(key, value)
        else:
            self._waiting.setdefault(key, {})[owner] = value

    def _withdraw(self, owner: Owner, key: Key) -> None:
        waiting = self._waiting.get(key)
        if self._holders[key] != owner:
            if waiting:
                waiting.pop(owner, None)
        elif waiting:
            heir = next(iter(waiting))
            self._holders[key] = heir
            self._set(key, waiting.pop(heir))
        else:
            del self._holders[key]
            self._set(key, None)
        if waiting is not None and not waiting:
            self._waiting.pop(key, None)
