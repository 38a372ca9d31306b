"""Logs, exec, attach and port-forward of pods: found by the Node's address, answered by its kubelet.

Follows pkg/registry/core/pod/strategy.go (LogLocation, streamLocation, PortForwardLocation) and pod/rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from kubetree.api import errors
from kubetree.api.errors import Cause, invalid
from kubetree.api.kind_table import kind
from kubetree.api.times import parse_time
from kubetree.apiserver.authorization.attributes import Decision, settled
from kubetree.apiserver.authorization.forbidden import forbidden_by
from kubetree.apiserver.connect.admission import admit_connection
from kubetree.apiserver.connect.backend import Backends, pass_on
from kubetree.apiserver.connect.containers import chosen_container
from kubetree.apiserver.connect.nodes import Kubelet, kubelet_of
from kubetree.apiserver.connect.upgrade_tunnel import Target, tunnel
from kubetree.apiserver.middleware.authorization import attributes_of
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.wire.request_info import truthy

Object = dict[str, Any]
_NODE = kind("v1", "Node")
_LOG_FLAGS = ("follow", "previous", "timestamps")
_LOG_NUMBERS = ("sinceSeconds", "tailLines", "limitBytes")
_STREAMS = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))


@dataclass(frozen=True, slots=True)
class PodConnections:
    """The subresources of pods that are answered by kubelets."""

    backends: Backends

    async def log(self, call: Call) -> web.StreamResponse:
        """GET pods/NAME/log. A pod that is on no node yet has an empty log."""
        query = call.ctx.query
        parameters = log_parameters(query, call.name)
        pod = await call.cached()
        container = chosen_container(pod, call.ctx.first("container"))
        node = (pod.get("spec") or {}).get("nodeName")
        if not node:
            return web.Response(status=204, headers={"Audit-Id": call.ctx.audit_id, "Cache-Control": "no-cache, private"})
        kubelet = await self._kubelet(call, node)
        path = f"/containerLogs/{_segment(call.namespace)}/{_segment(call.name)}/{_segment(container)}"
        tls = self.backends.insecure_tls if truthy(query.get("insecureSkipTLSVerifyBackend")) else self.backends.kubelet_tls
        response = await self.backends.open("GET", _url(kubelet, path, parameters), tls, {}, failed=_unreachable)
        if not 200 <= response.status <= 206:
            text = (await response.content.read(64 * 1024)).decode(errors="replace")
            response.close()
            raise _refusal(response.status, text, call.name)
        return await pass_on(call.ctx, response, {"Content-Type": "text/plain", "Cache-Control": "no-cache, private"})

    async def exec(self, call: Call) -> web.StreamResponse:
        return await self._stream(call, "exec", "command")

    async def attach(self, call: Call) -> web.StreamResponse:
        return await self._stream(call, "attach")

    async def port_forward(self, call: Call) -> web.StreamResponse:
        await self._may_create(call)
        options: Object = {"kind": "PodPortForwardOptions", "apiVersion": "v1"}
        given = [port for text in call.ctx.query.get("ports", []) for port in text.split(",")]
        if given and all(port.isdigit() for port in given):
            options["ports"] = [int(port) for port in given]
        await admit_connection(call, options)
        pod = await call.cached()
        kubelet = await self._kubelet(call, _assigned_node(pod))
        ports = call.ctx.query.get("ports", [])
        parameters = [("port", ",".join(ports))] if ports else []
        path = f"/portForward/{_segment(call.namespace)}/{_segment(call.name)}"
        return await tunnel(call.ctx, self._target(kubelet, path, parameters))

    async def _stream(self, call: Call, what: str, *repeated: str) -> web.StreamResponse:
        await self._may_create(call)
        query = call.ctx.query
        options: Object = {"kind": f"Pod{what.capitalize()}Options", "apiVersion": "v1"}
        parameters: list[tuple[str, str]] = []
        for flag, name in _STREAMS:
            if truthy(query.get(flag)):
                parameters.append((name, "1"))
                options[flag] = True
        for name in repeated:
            parameters += [(name, value) for value in query.get(name, ())]
            options[name] = query.get(name, [])
        if call.ctx.first("container"):
            options["container"] = call.ctx.first("container")
        await admit_connection(call, options)
        pod = await call.cached()
        container = chosen_container(pod, call.ctx.first("container"))
        kubelet = await self._kubelet(call, _assigned_node(pod))
        path = f"/{what}/{_segment(call.namespace)}/{_segment(call.name)}/{_segment(container)}"
        return await tunnel(call.ctx, self._target(kubelet, path, parameters))

    def _target(self, kubelet: Kubelet, path: str, parameters: list[tuple[str, str]]) -> Target:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return Target(kubelet.host, kubelet.port, path + query, self.backends.kubelet_tls)

    async def _kubelet(self, call: Call, node: str) -> Kubelet:
        return await find_kubelet(call, node)

    async def _may_create(self, call: Call) -> None:
        """A WebSocket's handshake is a GET; whoever may only get must not run commands by it."""
        if call.ctx.info.verb == "create":
            return
        attributes = replace(attributes_of(call.ctx), verb="create")
        answer = await settled(partial(call.registry.authorizer.authorize, attributes))
        if answer.decision is not Decision.ALLOW:
            raise forbidden_by(attributes, answer.reason)


async def find_kubelet(call: Call, name: str) -> Kubelet:
    nodes = call.registry.resource(_NODE)
    await nodes.cache.fresh()
    entry = nodes.cache.get(nodes.key("", name))
    if entry is None:
        raise errors.not_found("nodes", "", name)
    return kubelet_of(entry.obj, call.registry.config.kubelet_preferred_address_types)


def _assigned_node(pod: Object) -> str:
    node: str = (pod.get("spec") or {}).get("nodeName") or ""
    if not node:
        raise errors.BadRequest(f"pod {pod['metadata']['name']} does not have a host assigned")
    return node


def _segment(text: str) -> str:
    return quote(text, safe="")


def _unreachable(method: str, url: str, why: str) -> errors.ApiError:
    return errors.ApiError(f'{method.capitalize()} "{url}": {why}', status_code=500, status_reason="")


def _url(kubelet: Kubelet, path: str, parameters: list[tuple[str, str]]) -> str:
    host = f"[{kubelet.host}]" if ":" in kubelet.host else kubelet.host
    return f"https://{host}:{kubelet.port}{path}" + (f"?{urlencode(parameters)}" if parameters else "")


def log_parameters(query: dict[str, list[str]] | Any, pod: str) -> list[tuple[str, str]]:
    """PodLogOptions as the kubelet takes them. Raises BadRequest and Invalid. Pure."""
    found = [(flag, "true") for flag in _LOG_FLAGS if truthy(query.get(flag))]
    numbers: dict[str, int] = {}
    for name in _LOG_NUMBERS:
        text = (query.get(name) or [""])[0]
        if text:
            try:
                numbers[name] = int(text)
            except ValueError:
                raise errors.BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    since = (query.get("sinceTime") or [""])[0]
    if since:
        try:
            parse_time(since)
        except ValueError as error:
            raise errors.BadRequest(str(error)) from None
    causes = _log_causes(numbers, since)
    if (query.get("stream") or [""])[0]:
        causes.append(Cause("FieldValueForbidden", "Forbidden: may not be specified", "stream"))  # its gate is off
    if causes:
        raise invalid("PodLogOptions", "", pod, causes)
    found += [(name, str(value)) for name, value in numbers.items()]
    if since:
        found.append(("sinceTime", since))
    return found


def _log_causes(numbers: dict[str, int], since: str) -> list[Cause]:
    causes = []
    if numbers.get("tailLines", 0) < 0:
        causes.append(_wrong("tailLines", numbers["tailLines"], "must be greater than or equal to 0"))
    if numbers.get("limitBytes", 1) < 1:
        causes.append(_wrong("limitBytes", numbers["limitBytes"], "must be greater than 0"))
    if "sinceSeconds" in numbers and since:
        causes.append(Cause("FieldValueForbidden", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified", "[]"))
    elif numbers.get("sinceSeconds", 1) < 1:
        causes.append(_wrong("sinceSeconds", numbers["sinceSeconds"], "must be greater than 0"))
    return causes


def _wrong(field: str, value: int, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {value}: {detail}", field)


def _refusal(status: int, text: str, pod: str) -> errors.ApiError:
    """What a kubelet's error becomes, as upstream's GenericHttpResponseChecker has it."""
    if status == 500:
        return errors.InternalError(f"Internal error occurred: {text}", causes=[Cause("", text)])
    if status == 400:
        return errors.BadRequest(text)
    known: type[errors.ApiError] = {401: errors.Unauthorized, 403: errors.Forbidden, 404: errors.NotFound}.get(status, errors.ApiError)
    message = {
        401: "the server has asked for the client to provide credentials",
        403: text,
        404: "the server could not find the requested resource",
    }.get(status, f'an error on the server ("{text}") has prevented the request from succeeding')
    return known(f"{message} ( pods {pod})", name=pod, kind="pods", status_code=status)
