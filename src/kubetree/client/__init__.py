"""What every component uses to talk to the API server: REST client, informers, work queue, leader election, events."""

from kubetree.client.config import ClientConfig, ConfigError, in_cluster_config, load_kubeconfig
from kubetree.client.events import EventRecorder, object_reference
from kubetree.client.informer import Informer
from kubetree.client.leader_election import LeaderElector, LeadershipLost, Timing
from kubetree.client.rest import Client
from kubetree.client.workqueue import QueueClosed, WorkQueue

__all__ = [
    "Client",
    "ClientConfig",
    "ConfigError",
    "EventRecorder",
    "Informer",
    "LeaderElector",
    "LeadershipLost",
    "QueueClosed",
    "Timing",
    "WorkQueue",
    "in_cluster_config",
    "load_kubeconfig",
    "object_reference",
]
