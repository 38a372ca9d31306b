"""Kubetree: Kubernetes v1.36 in Python. Each package is one room of the house; docs/architecture.md is its plan."""

__version__ = "0.1.0"
