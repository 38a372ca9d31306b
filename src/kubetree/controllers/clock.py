"""The clock that controllers are given; it is the same for all components."""

from kubetree.client.clock import Clock, SystemClock

__all__ = ["Clock", "SystemClock"]
