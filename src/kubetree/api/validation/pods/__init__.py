"""Pods and pod templates, the largest of all kinds: one file a part of the spec."""
