"""How the tables of bootstrap roles write a rule: words separated by blanks, `core` for the group without a name."""

from __future__ import annotations

from kubetree.apiserver.authorization.rules import PolicyRule


def allow(verbs: str, groups: str, resources: str, names: str = "") -> PolicyRule:
    """`allow("get list", "core apps", "pods deployments")`."""
    wanted = tuple("" if group == "core" else group for group in groups.split())
    return PolicyRule(tuple(verbs.split()), wanted, tuple(resources.split()), tuple(names.split()))


def urls(verbs: str, paths: str) -> PolicyRule:
    return PolicyRule(tuple(verbs.split()), urls=tuple(paths.split()))
