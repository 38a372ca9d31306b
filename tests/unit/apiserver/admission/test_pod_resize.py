"""Resizes that no node could grant are refused at once."""

from __future__ import annotations

from typing import Any

import pytest

from admission_requests import cluster_object, pod, run, updating
from kubetree.api.errors import Forbidden
from kubetree.apiserver.admission.pod_resize import PodResizeValidator
from listed_objects import ListedObjects

Object = dict[str, Any]


def sized(cpu: str, memory: str, node: str = "n1") -> Object:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return pod(spec={"containers": [container]} | ({"nodeName": node} if node else {}))


def node(name: str, **labels: str) -> Object:
    found = cluster_object("v1", "Node", name, status={"allocatable": {"cpu": "2", "memory": "1Gi"}})
    found["metadata"]["labels"] = {f"kubernetes.io/{key}": value for key, value in labels.items()}
    return found


PLUGIN = PodResizeValidator(ListedObjects(node("n1", os="linux"), node("w1", os="windows")).cached())


async def resize(new: Object) -> None:
    await run(PLUGIN, updating(new, sized("1", "1Mi", ""), subresource="resize"))


async def refused(new: Object) -> Forbidden:
    with pytest.raises(Forbidden) as caught:
        await resize(new)
    return caught.value


async def test_what_fits_the_node_and_what_has_no_node_yet_passes() -> None:
    await resize(sized("2", "1Gi"))
    await resize(sized("200", "1Ti", ""))


async def test_more_than_the_node_has_is_refused() -> None:
    error = await refused(sized("2500m", "2Gi"))
    assert error.message == (
        'pods "p" is forbidden: node didn\'t have enough allocatable resources: '
        "cpu, requested: 2500, allocatable: 2000; memory, requested: 2147483648, allocatable: 1073741824"
    )
    assert [cause.to_dict() for cause in error.causes] == [{"reason": "NodeCapacity"}]


async def test_other_systems_and_missing_nodes_are_refused() -> None:
    error = await refused(sized("1", "2Mi", "w1"))
    assert error.message == 'pods "p" is forbidden: pod resize is only supported on linux nodes, node "w1" is "windows"'
    assert error.causes[0].reason == "UnsupportedPlatform"
    assert (await refused(sized("1", "2Mi", "gone"))).message == 'pods "p" is forbidden: node "gone" not found'


async def test_an_update_of_the_pod_itself_is_not_looked_at() -> None:
    await run(PLUGIN, updating(sized("200", "1Ti"), sized("1", "1Mi")))
