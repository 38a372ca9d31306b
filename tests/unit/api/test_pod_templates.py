"""Pods of one template share work; a pod that only looks like one of them does not."""

from __future__ import annotations

from typing import Any

import orjson

from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import kind
from kubetree.api.validation import validate_create
from kubetree.api.validation.pods.template import pod_template, shape
from kubetree.api.warnings import warnings
from kubetree.apiserver.wire.encoding import encode

POD = kind("v1", "Pod")


def pod(volume: str, mount: str, **source: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "volumeMounts": [{"name": mount, "mountPath": "/m"}]}
    spec = {"containers": [container], "volumes": [{"name": volume, **(source or {"emptyDir": {}})}]}
    obj = {"metadata": {"name": "p", "namespace": "d"}, "spec": spec}
    apply_defaults(POD, obj)
    return obj


def test_the_token_volumes_name_makes_no_difference() -> None:
    a, b = (pod(f"kube-api-access-{s}", f"kube-api-access-{s}")["spec"] for s in ("aaaaa", "bbbbb"))
    assert shape(a) == shape(b)


def test_a_mount_of_another_token_volume_is_found_although_its_like_was_sound() -> None:
    assert validate_create(POD, pod("kube-api-access-aaaaa", "kube-api-access-aaaaa")) == []
    (error,) = validate_create(POD, pod("kube-api-access-aaaaa", "kube-api-access-bbbbb"))
    assert str(error) == 'spec.containers[0].volumeMounts[0].name: Not found: "kube-api-access-bbbbb"'


def test_warnings_name_the_volume_of_the_pod_at_hand() -> None:
    items = [{"key": "a", "path": "x"}, {"key": "b", "path": "x"}]
    for name in ("kube-api-access-aaaaa", "kube-api-access-bbbbb"):
        (told,) = warnings(POD, pod(name, name, secret={"secretName": "s", "items": items}), None)
        assert name in told


def test_a_pod_is_stored_the_same_whether_its_template_is_known_or_not() -> None:
    plain, with_empty_list = pod("data", "data"), pod("data", "data", projected={"sources": []})
    for found in (plain, with_empty_list):
        found |= {"kind": "Pod", "apiVersion": "v1", "status": {"phase": "Pending"}}
        template = pod_template(found)
        by_template = encode(orjson.loads(orjson.dumps(found)), template)
        assert by_template == encode(found)
    assert b'"sources":null' in by_template


def test_a_bad_template_of_a_workload_is_refused_each_time_where_it_stands() -> None:
    """Only that one is right is remembered."""
    spec = {"containers": [{"name": "A b", "image": "i"}], "restartPolicy": "Always"}
    row, meta = kind("apps/v1", "ReplicaSet"), {"name": "r", "namespace": "default"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    obj = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": meta,
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    apply_defaults(row, obj)
    first, again = (sorted(e.field for e in validate_create(row, obj)) for _ in range(2))
    assert first == again == ["spec.template.spec.containers[0].name"]
    template["spec"]["containers"][0]["name"] = "a"
    assert validate_create(row, obj) == validate_create(row, obj) == []
