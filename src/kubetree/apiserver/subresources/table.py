"""Which action answers which (resource, subresource, verb)."""

from __future__ import annotations

from collections.abc import Mapping

from kubetree.apiserver.authentication.token_requests import TokenRequests
from kubetree.apiserver.connect.backend import Backends
from kubetree.apiserver.connect.pods import PodConnections
from kubetree.apiserver.connect.proxy import Proxies
from kubetree.apiserver.dispatch import Dispatcher
from kubetree.apiserver.subresources.binding import bind
from kubetree.apiserver.subresources.component_statuses import get_component_status, list_component_statuses
from kubetree.apiserver.subresources.eviction import evict
from kubetree.apiserver.subresources.reviews import Reply, review
from kubetree.apiserver.subresources.scale import get_scale, patch_scale, update_scale
from kubetree.apiserver.subresources.tokens import token_requests

_SCALED = ("replicationcontrollers", "deployments.apps", "replicasets.apps", "statefulsets.apps")
_UPGRADED = ("get", "create")
_PROXIED = ("create", "delete", "get", "patch", "update", "")
"""No verb: OPTIONS, which browsers ask before they send anything."""


def add_actions(dispatcher: Dispatcher, backends: Backends, minter: TokenRequests | None, reviews: Mapping[str, Reply]) -> None:
    """`reviews`: who answers each group resource of reviews."""
    add = dispatcher.add_action
    for resource in _SCALED:
        add(resource, "scale", ("get",), get_scale)
        add(resource, "scale", ("update",), update_scale)
        add(resource, "scale", ("patch",), patch_scale)
    add("pods", "binding", ("create",), bind)
    add("bindings", "", ("create",), bind)
    add("pods", "eviction", ("create",), evict)
    add("serviceaccounts", "token", ("create",), token_requests(minter))
    add("componentstatuses", "", ("get",), get_component_status)
    add("componentstatuses", "", ("list",), list_component_statuses)
    for resource, reply in reviews.items():
        add(resource, "", ("create",), review(reply))
    pods = PodConnections(backends)
    add("pods", "log", ("get",), pods.log)
    add("pods", "exec", _UPGRADED, pods.exec)
    add("pods", "attach", _UPGRADED, pods.attach)
    add("pods", "portforward", _UPGRADED, pods.port_forward)
    proxies = Proxies(backends)
    add("nodes", "proxy", _PROXIED, proxies.node)
    add("pods", "proxy", _PROXIED, proxies.pod)
    add("services", "proxy", _PROXIED, proxies.service)
