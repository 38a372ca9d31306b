"""Simulated kubelets: nodes that register, renew their leases, and run pods that only exist as a status.

Pods start at once and are ready unless `behave` says otherwise. Everything happens through the API, by the same runner that the
controllers use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting, labels
from kubetree.api.selectors import Selector, label_selector, parse_label_selector
from kubetree.api.times import format_micro_time, format_time
from kubetree.controllers.plan import NOTHING, Create, Delete, Patch, Plan, RequeueAfter, Update, plan
from kubetree.controllers.runner import Duty, Key, nothing, own_key
from kubetree.controllers.snapshot import Snapshot
from kubetree.testing.behaviour import Behaviour, Life, ended, pod_status, step
from kubetree.testing.kubelet_server import NAME as SERVED_AT

Object = dict[str, Any]

POD, NODE, LEASE = kind("v1", "Pod"), kind("v1", "Node"), kind("coordination.k8s.io/v1", "Lease")
LEASES = "kube-node-lease"
HEARTBEAT = 10.0
CAPACITY = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}


class Rule:
    """Which pods a behaviour is for."""

    def __init__(self, selector: Selector, namespace: str, name: str, behaviour: Behaviour) -> None:
        self.selector, self.namespace, self.name, self.behaviour = selector, namespace, name, behaviour

    def fits(self, pod: Object) -> bool:
        metadata = pod["metadata"]
        where = self.namespace in ("", metadata["namespace"]) and self.name in ("", metadata["name"])
        return where and self.selector.matches(labels(pod))


class SimulatedKubelet:
    """All nodes of the cluster under test."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self.nodes = list(nodes)
        self._stopped: set[str] = set()
        self._rules: list[Rule] = []
        self._lives: dict[str, Life] = {}
        self._addresses: dict[str, str] = {}
        self._leaving: dict[str, datetime] = {}
        self._wake: Callable[[], None] = lambda: None
        self.port = 0
        """Where their kubelet_server listens."""

    # -- what a test says

    def behave(
        self,
        selector: str | dict[str, Any] = "",
        *,
        namespace: str = "",
        name: str = "",
        start: float = 0.0,
        ready_after: float = 0.0,
        exit_code: int | None = None,
        exit_after: float = 0.0,
        hang: bool = False,
        reason: str = "ContainerCreating",
        never_ready: bool = False,
        stop_after: float | None = 0.0,
    ) -> None:
        """How pods that fit behave from now on; of several rules the last one said counts. See `Behaviour`.

        `selector` is a label selector as text (`app=web`) or a metav1.LabelSelector; "" fits every pod.
        """
        parsed = label_selector(selector) if isinstance(selector, dict) else parse_label_selector(selector)
        behaviour = Behaviour(start, ready_after, exit_code, exit_after, hang, reason, never_ready, stop_after)
        self._rules.append(Rule(parsed, namespace, name, behaviour))
        self._wake()

    def forget_behaviour(self) -> None:
        """All pods are well again, as at the start."""
        self._rules.clear()
        self._wake()

    def stop_node(self, name: str) -> None:
        """The node goes silent: no lease is renewed, and its pods stay as they are."""
        self._stopped.add(name)

    def start_node(self, name: str) -> None:
        """A stopped node comes back."""
        self._stopped.discard(name)
        self._wake()

    # -- duties that the cluster runs

    def duties(self) -> list[Duty]:
        return [
            Duty("simulated-kubelet", "kubelet", {POD: own_key}, self.reconcile_pod, workers=16),
            Duty(
                "simulated-node",
                "kubelet",
                {NODE: own_key, LEASE: nothing},
                self.reconcile_node,
                workers=4,
                start=tuple(("", name) for name in self.nodes),
                same={NODE: lambda _old, _new: True},
            ),
        ]

    def on_behaviour_change(self, wake: Callable[[], None]) -> None:
        """`wake()` is called when pods must be looked at again because a test said something."""
        self._wake = wake

    def behaviour_of(self, pod: Object) -> Behaviour:
        return next((rule.behaviour for rule in reversed(self._rules) if rule.fits(pod)), Behaviour())

    def reconcile_pod(self, snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        pod = snapshot.get(POD, *key)
        if pod is None:
            return NOTHING
        node, uid = pod["spec"].get("nodeName", ""), pod["metadata"]["uid"]
        if node not in self.nodes or node in self._stopped:
            return NOTHING
        behaviour = self.behaviour_of(pod)
        if is_deleting(pod):
            return self._stop(pod, behaviour, now)
        life, wait = step(self._lives.get(uid) or Life(now), behaviour, pod["spec"].get("restartPolicy", "Always"), now)
        self._lives[uid] = life
        host = self.address_of(node)
        address = host if pod["spec"].get("hostNetwork") else self._pod_address(node, uid)
        wanted = pod_status(pod, life, behaviour, now, ip=address, host_ip=host)
        again = RequeueAfter(max(wait, 0.001)) if wait is not None else None
        if _stands(pod.get("status") or {}, wanted):
            return plan(again)
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": uid}, "status": wanted}
        ignore = frozenset({"NotFound", "Conflict"})
        return plan(Patch(POD, metadata["namespace"], metadata["name"], patch, subresource="status", ignore=ignore), again)

    def end(self, pod: Object, code: int, now: datetime) -> None:
        """The pod's containers end now with `code`."""
        uid = pod["metadata"]["uid"]
        if uid in self._lives:
            self._lives[uid] = ended(self._lives[uid], code, pod["spec"].get("restartPolicy", "Always"), now)
        self._wake()

    def set_ready(self, pod: Object, ready: bool, now: datetime) -> None:
        """The pod's readiness probes fail from now on, or succeed again."""
        uid = pod["metadata"]["uid"]
        self._lives[uid] = replace(self._lives.get(uid) or Life(now), unready=None if ready else now)
        self._wake()

    def _stop(self, pod: Object, behaviour: Behaviour, now: datetime) -> Plan:
        metadata = pod["metadata"]
        since = self._leaving.setdefault(metadata["uid"], now)
        if behaviour.stop_after is None:
            return NOTHING
        left = behaviour.stop_after - (now - since).total_seconds()
        if left > 0:
            return plan(RequeueAfter(left))
        for memory in (self._leaving, self._lives, self._addresses):
            memory.pop(metadata["uid"], None)
        ignore = frozenset({"NotFound", "Conflict"})
        return plan(Delete(POD, metadata["namespace"], metadata["name"], uid=metadata["uid"], grace_period=0, ignore=ignore))

    # -- nodes

    def address_of(self, node: str) -> str:
        number = self.nodes.index(node) + 1
        return f"172.18.{number // 250}.{number % 250 + 1}"

    def _pod_address(self, node: str, uid: str) -> str:
        """An address of the node's range, each given once: 10.244.<node>.<n>, then 10.<245...>."""
        if uid not in self._addresses:
            taken, number = set(self._addresses.values()), self.nodes.index(node)
            count = len(self._addresses) + 2
            while (address := f"10.{244 + count // 250 % 12}.{number % 256}.{count % 250 + 2}") in taken:
                count += 1
            self._addresses[uid] = address
        return self._addresses[uid]

    def reconcile_node(self, snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        name = key[1]
        if name not in self.nodes:
            return NOTHING
        again = RequeueAfter(HEARTBEAT)
        if name in self._stopped:
            return plan(again)
        node = snapshot.get(NODE, "", name)
        if node is None:
            return plan(Create(NODE, self._node(name), ignore=frozenset({"AlreadyExists"})), again)
        status = self._node_status(name, now)
        reported = any(c["type"] == "Ready" and c["status"] == "True" for c in (node.get("status") or {}).get("conditions") or ())
        patch = None if reported else Patch(NODE, "", name, {"status": status}, subresource="status")
        return plan(patch, self._lease(snapshot, node, now), again)

    def _lease(self, snapshot: Snapshot, node: Object, now: datetime) -> Create | Update:
        name, metadata = node["metadata"]["name"], node["metadata"]
        current = snapshot.get(LEASE, LEASES, name)
        if current is not None:
            return Update(LEASE, {**current, "spec": {**current["spec"], "renewTime": format_micro_time(now)}})
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": metadata["uid"]}
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": format_micro_time(now)}
        made = {"metadata": {"name": name, "namespace": LEASES, "ownerReferences": [owner]}, "spec": spec}
        return Create(LEASE, {"apiVersion": LEASE.api_version, "kind": "Lease", **made}, ignore=frozenset({"AlreadyExists"}))

    def _node(self, name: str) -> Object:
        marked = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": marked}, "spec": {}}

    def _node_status(self, name: str, now: datetime) -> Object:
        stamp = format_time(now)

        def told(type_: str, status: str, reason: str, message: str) -> Object:
            made = {"type": type_, "status": status, "reason": reason, "message": message}
            return {**made, "lastHeartbeatTime": stamp, "lastTransitionTime": stamp}

        return {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "addresses": [
                {"type": "InternalIP", "address": self.address_of(name)},
                {"type": "Hostname", "address": name},
                {"type": "InternalDNS", "address": SERVED_AT},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "conditions": [
                told("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                told("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                told("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                told("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "nodeInfo": {
                "machineID": name,
                "systemUUID": name,
                "bootID": name,
                "kernelVersion": "0.0.0-simulated",
                "osImage": "Kubetree simulated node",
                "containerRuntimeVersion": "simulated://1.0",
                "kubeletVersion": "v1.36.0",
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        }


def _stands(current: Object, wanted: Object) -> bool:
    """Whether a status says already what is wanted; conditions that others wrote do not count."""
    conditions = {c["type"]: c for c in current.get("conditions") or ()}
    rest = all(current.get(field) == value for field, value in wanted.items() if field != "conditions")
    return rest and all(_same_condition(conditions.get(c["type"]), c) for c in wanted["conditions"])


def _same_condition(current: Object | None, wanted: Object) -> bool:
    return current is not None and all(current.get(field) == value for field, value in wanted.items())
