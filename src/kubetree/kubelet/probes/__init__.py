"""Probes: one file a mechanism, and the worker that runs one probe of one container."""
