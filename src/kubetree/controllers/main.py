"""kube-controller-manager as a process: flags, leader election, health, metrics."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import uuid

from prometheus_client import generate_latest

from kubetree.client import Client, EventRecorder, LeaderElector, load_kubeconfig
from kubetree.client.clock import SystemClock
from kubetree.client.delegated import Delegated
from kubetree.client.leader_election import add_arguments as add_election_arguments
from kubetree.client.leader_election import timing
from kubetree.client.serving import add_arguments as add_serving_arguments
from kubetree.client.serving import endpoint, serving
from kubetree.controllers import options as controller_options
from kubetree.controllers.duties import duties
from kubetree.controllers.metrics import REGISTRY
from kubetree.controllers.runner import Runner

NAME = "kube-controller-manager"
PORT = 10257


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", default="", help="how to reach the API server")
    add_serving_arguments(parser, PORT)
    add_election_arguments(parser, NAME)
    controller_options.add_arguments(parser)


async def run(options: argparse.Namespace) -> None:
    """Works until SIGTERM or SIGINT, or until the lease is lost."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await _run(options)


async def _run(options: argparse.Namespace) -> None:
    clock = SystemClock()
    settings = controller_options.options_of(options)
    chosen = duties(settings)
    async with Client(load_kubeconfig(options.kubeconfig, user_agent=NAME)) as client:
        delegated = Delegated(client, clock.monotonic)
        async with serving(endpoint(options), {"ping": lambda: ""}, lambda: generate_latest(REGISTRY), delegated):

            async def work() -> None:
                await Runner(client, chosen, clock=clock, separate_accounts=settings.use_service_account_credentials).run()

            if not options.leader_elect:
                await work()
                return
            recorder = EventRecorder(client, NAME)
            elector = LeaderElector(
                client,
                options.leader_elect_resource_namespace,
                options.leader_elect_resource_name,
                f"{socket.gethostname()}_{uuid.uuid4()}",
                timing=timing(options),
                recorder=recorder,
            )
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(recorder.run())
                await elector.run(work)
                telling.cancel()
