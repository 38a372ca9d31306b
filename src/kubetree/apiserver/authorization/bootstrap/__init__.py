"""The RBAC objects that every cluster starts with, and keeping them there."""
