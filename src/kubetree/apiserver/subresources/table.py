"""Which action answers which (resource, subresource, verb)."""

from __future__ import annotations

from kubetree.apiserver.dispatch import Dispatcher
from kubetree.apiserver.subresources.binding import bind
from kubetree.apiserver.subresources.component_statuses import get_component_status, list_component_statuses
from kubetree.apiserver.subresources.scale import get_scale, patch_scale, update_scale

_SCALED = ("replicationcontrollers", "deployments.apps", "replicasets.apps", "statefulsets.apps")


def add_actions(dispatcher: Dispatcher) -> None:
    for resource in _SCALED:
        dispatcher.add_action(resource, "scale", ("get",), get_scale)
        dispatcher.add_action(resource, "scale", ("update",), update_scale)
        dispatcher.add_action(resource, "scale", ("patch",), patch_scale)
    dispatcher.add_action("pods", "binding", ("create",), bind)
    dispatcher.add_action("bindings", "", ("create",), bind)
    dispatcher.add_action("componentstatuses", "", ("get",), get_component_status)
    dispatcher.add_action("componentstatuses", "", ("list",), list_component_statuses)
