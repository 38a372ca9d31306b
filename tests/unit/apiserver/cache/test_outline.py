"""An outline must give the same selectable fields as the whole object."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from kubetree.api.kind_table import kind
from kubetree.api.strategies import selectable_fields
from kubetree.apiserver.cache.outline import _SHAPES, labels_of, outline_of

_META = {"name": "a", "namespace": "b", "labels": {"x": "y"}, "managedFields": [{"manager": "m"}]}
_REFERENCE = {"kind": "Pod", "namespace": "b", "name": "p", "uid": "u", "apiVersion": "v1", "resourceVersion": "7", "fieldPath": "spec"}
OBJECTS: list[dict[str, Any]] = [
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _META,
        "spec": {"nodeName": "n", "restartPolicy": "Never", "schedulerName": "s", "serviceAccountName": "sa", "hostNetwork": True},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "fd00::1"}, {"ip": "10.0.0.1"}], "nominatedNodeName": "m"},
    },
    {"apiVersion": "v1", "kind": "Pod", "metadata": _META, "spec": {"containers": []}, "status": {"podIP": "10.0.0.1"}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": None, "status": {"podIPs": None}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}},
    {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "spec": {"unschedulable": True, "podCIDR": "10.0.0.0/24"}},
    {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "spec": {}},
    {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": _META,
        "involvedObject": _REFERENCE,
        "reason": "r",
        "type": "Normal",
        "source": {"component": "c", "host": "h"},
        "message": "m",
    },
    {"apiVersion": "v1", "kind": "Event", "metadata": _META, "involvedObject": {}, "reportingComponent": "rc"},
    {"apiVersion": "v1", "kind": "Secret", "metadata": _META, "type": "Opaque", "data": {"a": "Yg=="}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": _META},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _META, "data": {}},
]


@pytest.mark.parametrize("obj", OBJECTS, ids=lambda o: o["kind"])
def test_selectable_fields_of_an_outline_are_those_of_the_object(obj: dict[str, Any]) -> None:
    row = kind(obj["apiVersion"], obj["kind"])
    assert selectable_fields(row, outline_of(row)(orjson.dumps(obj))) == selectable_fields(row, obj)


def test_every_shape_is_tried() -> None:
    assert set(_SHAPES) <= {(o["apiVersion"], o["kind"]) for o in OBJECTS}


def test_labels() -> None:
    assert labels_of(orjson.dumps(OBJECTS[0])) == {"x": "y"}
    assert labels_of(b'{"metadata":{"labels":null}}') == {}
    for garbage in (b"", b"\0", b"[]", b'{"metadata":[]}', b"{}"):
        with pytest.raises(msgspec.MsgspecError):
            labels_of(garbage)
