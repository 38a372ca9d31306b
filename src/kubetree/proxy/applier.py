"""From changes to nft(8) text, one transaction each. `Applier` sends it; everything else here is pure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import orjson

from kubetree.kernel.nftables import NftablesError
from kubetree.proxy.ledger import Changes, Ledger
from kubetree.proxy.render import Key
from kubetree.proxy.table import FAMILIES, SCOPES, TABLE, Chain, Family, Settings, definition

log = logging.getLogger("kubetree.proxy")


class Runner(Protocol):
    """What the applier needs of libnftables."""

    def run(self, text: str, *, json: bool = False) -> str: ...


def change_text(family: Family, changes: Changes) -> str:
    """The transaction that makes the changes. An element with a new value is deleted and added: nobody sees it missing."""
    name = f"{family.ip} {TABLE}"
    lines = [*_chain_lines(name, changes.chains.values())]
    lines += _element_lines("delete", name, dict.fromkeys(changes.removed, ""))
    lines += _element_lines("add", name, changes.added)
    return "".join(lines)


def full_text(family: Family, settings: Settings, elements: Mapping[Key, str], chains: Mapping[str, Chain]) -> str:
    """The transaction that replaces the whole table, whatever it holds."""
    name = f"{family.ip} {TABLE}"
    lines = [definition(family, settings), *_chain_lines(name, chains.values()), *_element_lines("add", name, elements)]
    return "".join(lines)


def removal_text() -> str:
    """The transaction that takes the proxy's tables away, there or not."""
    return "".join(f"add table {f.ip} {TABLE}\ndelete table {f.ip} {TABLE}\n" for f in FAMILIES)


def _chain_lines(name: str, chains: Iterable[Chain]) -> Iterator[str]:
    """All chains first: the rules of one may go to another."""
    chains = list(chains)
    yield from (f"add chain {name} {chain.name}\n" for chain in chains)
    for chain in chains:
        yield from (f"add rule {name} {chain.name} {rule}\n" for rule in chain.rules)


def _element_lines(verb: str, name: str, elements: Mapping[Key, str]) -> Sequence[str]:
    by_set: dict[str, list[str]] = {}
    for (table, key), value in elements.items():
        by_set.setdefault(table, []).append(f"{key} : {value}" if value else key)
    return [f"{verb} element {name} {table} {{ {', '.join(items)} }}\n" for table, items in by_set.items()]


class Applier:
    """Keeps one family's table in the kernel equal to a ledger."""

    def __init__(self, runner: Runner, family: Family, settings: Settings, ledger: Ledger) -> None:
        self._runner, self._family, self._settings, self._ledger = runner, family, settings, ledger
        self._must_replace = True

    def replace_next(self) -> None:
        """The next `apply` writes the whole table: someone else changed it."""
        self._must_replace = True

    @property
    def replaces_next(self) -> bool:
        return self._must_replace

    def apply(self) -> int:
        """Writes what changed, in one transaction; returns how many elements and chains that were.

        When the kernel refuses a change (its table is not what we left there), writes the whole table. Raises NftablesError
        when that is refused too; the next call tries again.
        """
        changes = self._ledger.take()
        if not self._must_replace:
            if not changes:
                return 0
            try:
                self._runner.run(change_text(self._family, changes))
                return len(changes)
            except NftablesError as error:
                log.warning("table %s %s is not as it was left, writing all of it: %s", self._family.ip, TABLE, error)
        self._must_replace = True
        self._runner.run(full_text(self._family, self._settings, self._ledger.elements, self._ledger.chains) + self._clients_text())
        self._must_replace = False
        return len(self._ledger.elements) + len(self._ledger.chains)

    def _clients_text(self) -> str:
        """The sticky clients that the kernel remembers, to be carried into a new table."""
        lines = []
        for scope in SCOPES:
            name = f"{scope}-clients"
            try:
                listing = self._runner.run(f"list map {self._family.ip} {TABLE} {name}", json=True)
            except NftablesError:
                return ""
            if elements := remembered_clients(listing):
                lines.append(f"add element {self._family.ip} {TABLE} {name} {{ {', '.join(elements)} }}\n")
        return "".join(lines)


def remembered_clients(listing: str) -> Sequence[str]:
    """The elements of a `clients` map from its JSON listing, as text that adds them with the seconds they have left."""
    found = []
    for entry in orjson.loads(listing)["nftables"]:
        for key, value in entry.get("map", {}).get("elem", ()):
            element = key["elem"]
            fields = " . ".join(str(field) for field in element["val"]["concat"])
            left = max(1, element.get("expires", 0))
            found.append(f"{fields} timeout {element['timeout']}s expires {left}s : {value}")
    return found
