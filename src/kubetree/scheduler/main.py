"""kube-scheduler as a process: flags, leader election, health."""

from __future__ import annotations

import argparse
import socket
import uuid

from kubetree.client import Client, EventRecorder, LeaderElector, load_kubeconfig
from kubetree.client.clock import SystemClock
from kubetree.client.delegated import Delegated
from kubetree.client.leader_election import add_arguments as add_election_arguments
from kubetree.client.leader_election import timing
from kubetree.client.serving import add_arguments as add_serving_arguments
from kubetree.client.serving import endpoint, serving
from kubetree.scheduler.scheduler import DEFAULT_SCHEDULER, Scheduler

PORT = 10259


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", default="", help="how to reach the API server")
    parser.add_argument("--scheduler-name", default=DEFAULT_SCHEDULER, help="schedule the pods that name this scheduler")
    add_serving_arguments(parser, PORT)
    add_election_arguments(parser, "kube-scheduler")


async def run(options: argparse.Namespace) -> None:
    clock = SystemClock()
    async with Client(load_kubeconfig(options.kubeconfig, user_agent="kube-scheduler")) as client:
        scheduler = Scheduler(client, clock, name=options.scheduler_name)
        delegated = Delegated(client, clock.monotonic)

        def metrics() -> bytes:
            return scheduler.metrics.text(scheduler.queue.counts())

        async with serving(endpoint(options), {"ping": lambda: ""}, metrics, delegated):
            if not options.leader_elect:
                await scheduler.run()
                return
            elector = LeaderElector(
                client,
                options.leader_elect_resource_namespace,
                options.leader_elect_resource_name,
                f"{socket.gethostname()}_{uuid.uuid4()}",
                timing=timing(options),
                recorder=EventRecorder(client, options.scheduler_name),
            )
            await elector.run(scheduler.run)
