"""CPU of what the API server does to a pod on its way in and out: `PYTHONPATH=src python benchmarks/bench_kinds.py`.

The budget is 40 us for the defaults and the validation of a create together.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import kind
from kubetree.api.printers import cells
from kubetree.api.strategies import prepare_for_create, prepare_for_update, selectable_fields
from kubetree.api.validation import validate_create, validate_update
from kubetree.api.warnings import warnings

Object = dict[str, Any]
COUNT = 20_000
POD = kind("v1", "Pod")
NOW = datetime.now(UTC)


def written(n: int) -> Object:
    """A pod as a ReplicaSet controller writes it."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 5}
    container = {
        "name": "web",
        "image": "registry.example.com/web:1.2.3",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "MODE", "value": "production"}, {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
        "livenessProbe": probe,
        "readinessProbe": dict(probe),
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}, {"name": "scratch", "mountPath": "/tmp"}],
    }
    volumes = [{"name": "config", "configMap": {"name": "web"}}, {"name": "scratch", "emptyDir": {}}]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "0c4a", "controller": True, "blockOwnerDeletion": True}
    metadata = {
        "name": f"web-{n}",
        "namespace": "default",
        "uid": f"u-{n}",
        "labels": {"app": "web", "pod-template-hash": f"h{n % 100}"},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], "volumes": volumes}}


def timed(what: str, step: Callable[[int], object]) -> float:
    start = time.process_time()
    for n in range(COUNT):
        step(n)
    spent = (time.process_time() - start) / COUNT * 1e6
    print(f"{what:<24}{spent:>8.1f} us", flush=True)
    return spent


def main() -> None:
    pods = [written(n) for n in range(COUNT)]
    budget = timed("defaults", lambda n: apply_defaults(POD, pods[n]))
    timed("prepare for create", lambda n: prepare_for_create(POD, pods[n]))
    budget += timed("validate create", lambda n: validate_create(POD, pods[n]))
    timed("warnings", lambda n: warnings(POD, pods[n], None))
    timed("selectable fields", lambda n: selectable_fields(POD, pods[n]))
    timed("cells", lambda n: cells(POD, pods[n], NOW))
    bound = copy.deepcopy(pods)
    for old, new in zip(pods, bound, strict=True):
        old["metadata"]["resourceVersion"] = new["metadata"]["resourceVersion"] = "1"
        new["status"] = {**new["status"], "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}]}
    timed("defaults again", lambda n: apply_defaults(POD, bound[n]))
    timed("prepare status", lambda n: prepare_for_update(POD, bound[n], pods[n], "status"))
    timed("validate status", lambda n: validate_update(POD, bound[n], pods[n], "status"))
    timed("validate update", lambda n: validate_update(POD, bound[n], pods[n]))
    print(f"\ndefaults and validation of a create: {budget:.1f} us of 40")


if __name__ == "__main__":
    main()
