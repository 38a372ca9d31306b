"""What a CustomResourceDefinition makes of JSON: schemas compiled once, and rows whose behaviour comes from them. Pure.

Follows k8s.io/apiextensions-apiserver: structural schemas, pruning, defaulting, validation in kube-openapi's words, list types, rules,
columns, several versions. Nothing here reads a store or calls a webhook. `definition.Definition` is what others need.
"""

import kubetree.api.validation  # noqa: F401 - its rules for definitions need this package, whose modules need its errors: it comes first
