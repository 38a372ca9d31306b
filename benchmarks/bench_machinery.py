"""Micro-benchmarks of the API's machinery: decoding, ownership, patches, selectors, quantities. Prints microseconds a call.

PYTHONPATH=src python benchmarks/bench_machinery.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from kubetree.api import schema
from kubetree.api.apply import apply, track_update
from kubetree.api.kind_table import kind
from kubetree.api.objects import copy
from kubetree.api.patches import merge_patch, strategic_merge
from kubetree.api.quantities import parse_quantity
from kubetree.api.selectors import parse_label_selector

POD = kind("v1", "Pod")
NOW = "2026-01-01T00:00:00Z"


def pod() -> dict[str, Any]:
    container = {
        "name": "web",
        "image": "nginx:1",
        "imagePullPolicy": "Always",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}},
        "env": [{"name": "A", "value": "b"}, {"name": "C", "value": "d"}],
        "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web", "tier": "front"}},
        "spec": {
            "containers": [container],
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
            "tolerations": [{"key": "a", "operator": "Exists"}],
        },
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }


def measure(name: str, call: Callable[[], Any], seconds: float = 0.3) -> None:
    call()
    count, best = 1, float("inf")
    while True:
        start = time.perf_counter()
        for _ in range(count):
            call()
        taken = time.perf_counter() - start
        best = min(best, taken / count)
        if taken > seconds / 5:
            break
        count *= 4
    for _ in range(4):
        start = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter() - start) / count)
    print(f"{name:46} {best * 1e6:9.2f} us")


def main() -> None:
    data = orjson.dumps(pod())
    indented = orjson.dumps(pod(), option=orjson.OPT_INDENT_2)
    unknown = data.replace(b'"dnsPolicy"', b'"dnsPolicie"')
    nulls = data.replace(b'"securityContext":{}', b'"securityContext":null')
    print(f"a pod of {len(data)} bytes")
    measure("decode", lambda: schema.decode(POD, data))
    measure("decode, indented", lambda: schema.decode(POD, indented))
    measure("decode with a null (slow walk)", lambda: schema.decode(POD, nulls))
    measure("decode with an unknown field (slow walk)", lambda: schema.decode(POD, unknown, "Ignore"))
    obj = pod()
    measure("check of a parsed pod", lambda: schema.check(POD, obj))
    measure("copy", lambda: copy(obj))

    created = pod()

    def create() -> None:
        created["metadata"].pop("managedFields", None)
        track_update(POD, None, created, manager="kubectl", now=NOW)

    measure("managedFields of a create", create)
    live = copy(created)
    live["metadata"]["uid"] = "u"
    new = copy(live)
    new["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": NOW}]
    entries = live["metadata"]["managedFields"]

    def update() -> None:
        new["metadata"]["managedFields"] = entries
        track_update(POD, live, new, manager="kubelet", now=NOW, subresource="status")

    measure("managedFields of a status update", update)
    config = {key: value for key, value in pod().items() if key != "status"}
    applied = apply(POD, None, config, manager="me", force=False, now=NOW)
    measure("apply, create", lambda: apply(POD, None, config, manager="me", force=False, now=NOW))
    measure("apply, no change", lambda: apply(POD, applied, config, manager="me", force=False, now=NOW))
    measure("merge patch of a label", lambda: merge_patch(obj, {"metadata": {"labels": {"a": "b"}}}))
    patch = {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}
    measure("strategic merge of an image", lambda: strategic_merge(POD, obj, patch))
    selector = parse_label_selector("app=web,tier in (front,back)")
    labels = obj["metadata"]["labels"]
    measure("label selector, match", lambda: selector.matches(labels))
    measure("quantity, parse (cached)", lambda: parse_quantity("500m"))
    one, two = parse_quantity("500m"), parse_quantity("1Gi")
    measure("quantity, add", lambda: one + two)


if __name__ == "__main__":
    main()
