"""Lifecycle hooks: what runs in or at a container right after its start and right before its end."""

from __future__ import annotations

import asyncio
from typing import Any

from kubetree.kubelet import specs
from kubetree.kubelet.cri.client import RuntimeClient, RuntimeFailure
from kubetree.kubelet.probes import network

Object = dict[str, Any]


class HookFailure(Exception):
    """The hook did not do its work; the message follows upstream."""


async def run(
    client: RuntimeClient, pod: Object, container: Object, container_id: str, handler: Object, pod_ip: str, timeout: float
) -> None:
    """Run one handler: exec, httpGet, tcpSocket or sleep. Raises HookFailure; runs at most `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            await _run(client, pod, container, container_id, handler, pod_ip, timeout)
    except TimeoutError as error:
        raise HookFailure(f"hook did not complete within {timeout:g} seconds") from error


async def _run(
    client: RuntimeClient, pod: Object, container: Object, container_id: str, handler: Object, pod_ip: str, timeout: float
) -> None:
    if action := handler.get("exec"):
        command = action.get("command") or []
        try:
            answer = await client.call("ExecSync", rpc_timeout=timeout, container_id=container_id, cmd=command, timeout=int(timeout))
        except RuntimeFailure as error:
            raise HookFailure(f"Exec lifecycle hook ({command}) for Container {container['name']!r} failed - error: {error}") from error
        if answer.exit_code:
            output = (answer.stdout + answer.stderr).decode(errors="replace")
            raise HookFailure(
                f'Exec lifecycle hook ({command}) for Container "{container["name"]}" in Pod "{specs.full_name(pod)}" failed - error: '
                f"command '{' '.join(command)}' exited with {answer.exit_code}: , message: {output!r}"
            )
    elif action := handler.get("httpGet"):
        try:
            url = network.http_url(action, container, pod_ip)
        except ValueError as error:
            raise HookFailure(str(error)) from error
        outcome = await network.http(url, action.get("httpHeaders") or [], timeout)
        if not outcome.ok:
            raise HookFailure(
                f'HTTP lifecycle hook ({action.get("path", "")}) for Container "{container["name"]}" failed - {outcome.output}'
            )
    elif action := handler.get("tcpSocket"):
        outcome = await network.tcp(action.get("host") or pod_ip, network.resolve_port(action["port"], container), timeout)
        if not outcome.ok:
            raise HookFailure(outcome.output)
    elif action := handler.get("sleep"):
        await asyncio.sleep(float(action["seconds"]))
