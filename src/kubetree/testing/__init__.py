"""A whole cluster inside a test: API server, controllers, scheduler and simulated kubelets in one process and one event loop."""

from kubetree.testing.background import BackgroundCluster
from kubetree.testing.behaviour import Behaviour
from kubetree.testing.clock import JumpingClock
from kubetree.testing.cluster import Cluster

__all__ = ["BackgroundCluster", "Behaviour", "Cluster", "JumpingClock"]
