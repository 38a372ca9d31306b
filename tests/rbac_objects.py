"""Short ways to write RBAC objects and questions in tests."""

from __future__ import annotations

from typing import Any

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.attributes import Attributes

API = "rbac.authorization.k8s.io/v1"
Object = dict[str, Any]
JANE = User("jane", groups=("devs", "system:authenticated"))


def role(name: str, *rules: Object, namespace: str = "") -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API, "kind": "Role" if namespace else "ClusterRole", "metadata": metadata, "rules": list(rules)}


def binding(name: str, role_kind: str, role_name: str, *subjects: Object, namespace: str = "") -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role_name}
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "roleRef": reference, "subjects": list(subjects)}


def rule(verbs: str, resources: str = "", groups: str = "core", names: str = "", urls: str = "") -> Object:
    found = {
        "verbs": verbs.split(),
        "apiGroups": ["" if g == "core" else g for g in groups.split()] if resources else [],
        "resources": resources.split(),
        "resourceNames": names.split(),
        "nonResourceURLs": urls.split(),
    }
    return {key: value for key, value in found.items() if value}


def group(name: str) -> Object:
    return {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name}


def user(name: str) -> Object:
    return {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name}


def asks(line: str, who: User = JANE) -> Attributes:
    """`get apps deployments/scale ns name` with - for nothing, or `get /path`."""
    words = ["" if word == "-" else word for word in line.split()]
    if words[1].startswith("/"):
        return Attributes(who, words[0], path=words[1])
    verb, api_group, resource, namespace, name = (words + [""] * 5)[:5]
    resource, _, subresource = resource.partition("/")
    return Attributes(who, verb, group=api_group, version="v1", resource=resource, subresource=subresource, namespace=namespace, name=name)
