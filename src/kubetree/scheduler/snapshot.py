"""The nodes as arrays: a row a node, a column a resource. A filter or score is then one numpy expression over all nodes.

Rows of removed nodes are used again. `static_version` changes when anything changes that does not come from pods (labels, taints,
unschedulable, images, which nodes there are): what was computed from such things alone is good until it does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kubetree.api.placement import ALL_ADDRESSES, HostPort
from kubetree.api.selectors import Selector
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, Amounts, amounts

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_FIRST_COLUMNS = (CPU, MEMORY, EPHEMERAL_STORAGE)
_FIRST_ROWS = 64
_MOST_COUNTERS = 256


class Snapshot:
    """Nodes and the pods on them, those that the scheduler has placed but not yet bound included."""

    def __init__(self) -> None:
        self.columns: dict[str, int] = {name: index for index, name in enumerate(_FIRST_COLUMNS)}
        self.nodes: list[dict[str, Any] | None] = [None] * _FIRST_ROWS
        self.rows: dict[str, int] = {}
        self.pods: list[dict[tuple[str, str], PodInfo]] = [{} for _ in range(_FIRST_ROWS)]
        self.valid: Mask = np.zeros(_FIRST_ROWS, dtype=bool)
        self.allocatable: Ints = np.zeros((_FIRST_ROWS, len(self.columns)), dtype=np.int64)
        self.requested: Ints = np.zeros_like(self.allocatable)
        self.scored: Ints = np.zeros((_FIRST_ROWS, 2), dtype=np.int64)
        self.allowed_pods: Ints = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self.pod_count: Ints = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self.ports: dict[tuple[str, int], dict[int, list[str]]] = {}
        self.affine_pods: dict[tuple[str, str], tuple[int, PodInfo]] = {}
        self.static_version = 0
        self._free = list(range(_FIRST_ROWS - 1, -1, -1))
        self._waiting: dict[str, dict[tuple[str, str], PodInfo]] = {}
        self._computed: dict[tuple[str, object], Any] = {}
        self._counters: OrderedDict[tuple[str, str], tuple[Selector, Ints]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.rows)

    # -- nodes

    def set_node(self, node: dict[str, Any]) -> None:
        """Adds a node, or takes over its new state."""
        name = node["metadata"]["name"]
        row = self.rows.get(name)
        old = None if row is None else self.nodes[row]
        if row is None:
            row = self._take_row()
            self.rows[name] = row
            self.valid[row] = True
        self.nodes[row] = node
        self._set_allocatable(row, amounts((node.get("status") or {}).get("allocatable")))
        if old is None or _static_part(old) != _static_part(node):
            self._static_changed()
        for info in self._waiting.pop(name, {}).values():
            self._place(row, info)

    def remove_node(self, name: str) -> None:
        """Forgets a node. Its pods wait for a node of that name to come back."""
        row = self.rows.pop(name, None)
        if row is None:
            return
        waiting = dict(self.pods[row])
        for info in waiting.values():
            self._displace(row, info)
        if waiting:
            self._waiting[name] = waiting
        self.nodes[row] = None
        self.valid[row] = False
        self._set_allocatable(row, {})
        self._free.append(row)
        self._static_changed()

    def _set_allocatable(self, row: int, allocatable: Amounts) -> None:
        self.allowed_pods[row] = allocatable.get(PODS, 0)
        self.allocatable[row] = 0
        for resource, amount in allocatable.items():
            if resource != PODS:
                column = self._column(resource)
                self.allocatable[row, column] = amount

    # -- pods

    def add_pod(self, node: str, info: PodInfo) -> None:
        row = self.rows.get(node)
        if row is None:
            self._waiting.setdefault(node, {})[info.key] = info
        else:
            if info.key in self.pods[row]:
                self._displace(row, self.pods[row][info.key])
            self._place(row, info)

    def remove_pod(self, node: str, key: tuple[str, str]) -> None:
        row = self.rows.get(node)
        if row is None:
            self._waiting.get(node, {}).pop(key, None)
        elif key in self.pods[row]:
            self._displace(row, self.pods[row][key])

    def _place(self, row: int, info: PodInfo) -> None:
        self.pods[row][info.key] = info
        self._count(row, info, 1)
        for address, protocol, port in info.host_ports:
            self.ports.setdefault((protocol, port), {}).setdefault(row, []).append(address)
        if _has_affinity(info):
            self.affine_pods[info.key] = (row, info)
        self._tell_counters(row, info, 1)

    def _displace(self, row: int, info: PodInfo) -> None:
        del self.pods[row][info.key]
        self._count(row, info, -1)
        for address, protocol, port in info.host_ports:
            taken = self.ports[protocol, port]
            taken[row].remove(address)
            if not taken[row]:
                del taken[row]
        self.affine_pods.pop(info.key, None)
        self._tell_counters(row, info, -1)

    def _count(self, row: int, info: PodInfo, sign: int) -> None:
        for resource, amount in info.requests.items():
            column = self._column(resource)
            self.requested[row, column] += sign * amount
        self.scored[row, 0] += sign * info.scored.get(CPU, 0)
        self.scored[row, 1] += sign * info.scored.get(MEMORY, 0)
        self.pod_count[row] += sign

    # -- reading

    def row_items(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Row and node of every node."""
        for row in self.rows.values():
            node = self.nodes[row]
            if node is not None:
                yield row, node

    def node_name(self, row: int) -> str:
        node = self.nodes[row]
        return "" if node is None else str(node["metadata"]["name"])

    def column(self, resource: str) -> int | None:
        """The column of a resource that some node or pod has named."""
        return self.columns.get(resource)

    def mask(self, test: Callable[[dict[str, Any]], bool]) -> Mask:
        """Which nodes pass a test of the node alone."""
        result = np.zeros(len(self.valid), dtype=bool)
        for row, node in self.row_items():
            result[row] = test(node)
        return result

    def computed(self, name: str, key: object, compute: Callable[[], Any]) -> Any:
        """`compute()`, kept until something static changes. `name` keeps the keys of plugins apart."""
        found = self._computed.get((name, key))
        if found is None:
            found = self._computed[name, key] = compute()
        return found

    def label_values(self, label: str) -> tuple[npt.NDArray[np.int64], list[str]]:
        """A number a node for its value of a label (-1: it has none), and the values in order of number."""
        found: tuple[npt.NDArray[np.int64], list[str]] = self.computed("label", label, lambda: self._label_values(label))
        return found

    def _label_values(self, label: str) -> tuple[npt.NDArray[np.int64], list[str]]:
        numbers: dict[str, int] = {}
        codes = np.full(len(self.valid), -1, dtype=np.int64)
        for row, node in self.row_items():
            value = (node["metadata"].get("labels") or {}).get(label)
            if value is not None:
                codes[row] = numbers.setdefault(value, len(numbers))
        return codes, list(numbers)

    def port_conflicts(self, wanted: HostPort) -> Mask:
        """The nodes where a port is taken: the same address, or one of the two is all addresses."""
        address, protocol, port = wanted
        result = np.zeros(len(self.valid), dtype=bool)
        for row, taken in self.ports.get((protocol, port), {}).items():
            result[row] = address == ALL_ADDRESSES or address in taken or ALL_ADDRESSES in taken
        return result

    def matching(self, namespace: str, selector: Selector) -> Ints:
        """How many pods of a namespace, not being deleted, the selector matches on each node. Kept up to date from the first call on."""
        key = namespace, str(selector)
        found = self._counters.get(key)
        if found is None:
            counts = np.zeros(len(self.valid), dtype=np.int64)
            for row in self.rows.values():
                counts[row] = sum(_counts(info, namespace, selector) for info in self.pods[row].values())
            found = self._counters[key] = (selector, counts)
            if len(self._counters) > _MOST_COUNTERS:
                self._counters.popitem(last=False)
        self._counters.move_to_end(key)
        return found[1]

    def _tell_counters(self, row: int, info: PodInfo, sign: int) -> None:
        for (namespace, _), (selector, counts) in self._counters.items():
            if _counts(info, namespace, selector):
                counts[row] += sign

    # -- growing

    def _static_changed(self) -> None:
        self.static_version += 1
        self._computed.clear()

    def _take_row(self) -> int:
        if not self._free:
            rows = len(self.valid)
            self.nodes.extend([None] * rows)
            self.pods.extend({} for _ in range(rows))
            self.valid, self.allowed_pods, self.pod_count = (
                np.concatenate([a, np.zeros_like(a)]) for a in (self.valid, self.allowed_pods, self.pod_count)
            )
            self.allocatable, self.requested, self.scored = (
                np.concatenate([a, np.zeros_like(a)]) for a in (self.allocatable, self.requested, self.scored)
            )
            self._free = list(range(2 * rows - 1, rows - 1, -1))
            self._counters.clear()
            self._static_changed()
        return self._free.pop()

    def _column(self, resource: str) -> int:
        column = self.columns.get(resource)
        if column is None:
            column = self.columns[resource] = len(self.columns)
            empty = np.zeros((len(self.valid), 1), dtype=np.int64)
            self.allocatable = np.hstack([self.allocatable, empty])
            self.requested = np.hstack([self.requested, empty])
        return column


def _counts(info: PodInfo, namespace: str, selector: Selector) -> bool:
    return info.namespace == namespace and "deletionTimestamp" not in info.pod["metadata"] and selector.matches(info.labels)


def _has_affinity(info: PodInfo) -> bool:
    affinity: Mapping[str, Any] = info.spec.get("affinity") or {}
    return "podAffinity" in affinity or "podAntiAffinity" in affinity


def _static_part(node: dict[str, Any]) -> tuple[Any, ...]:
    spec = node.get("spec") or {}
    return node["metadata"].get("labels"), spec.get("taints"), spec.get("unschedulable"), (node.get("status") or {}).get("images")
