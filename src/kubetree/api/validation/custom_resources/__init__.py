"""Definitions of custom resources: their names and versions, and what their schemas may say."""
