"""Encryption at rest: values on their way to and from the store, by what --encryption-provider-config says. Nothing without it."""
