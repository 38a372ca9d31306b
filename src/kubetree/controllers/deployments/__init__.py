"""Deployments: roll a template out through ReplicaSets, one for each revision."""
