"""What other servers say of themselves, read: old documents converted, and nonsense of any shape survived."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.apiserver.aggregation.discovery import converted, refresh
from kubetree.apiserver.aggregation.openapi import RemoteDocuments
from kubetree.apiserver.aggregation.remote import Remote, Transport, identity, is_identity
from kubetree.apiserver.authentication.user import User

Object = dict[str, Any]
ROWS: list[Object] = [
    {"name": "pets/status", "namespaced": True, "kind": "Pet", "verbs": ["get"]},
    {
        "name": "pets",
        "singularName": "pet",
        "namespaced": True,
        "kind": "Pet",
        "verbs": ["list"],
        "shortNames": ["p"],
        "categories": ["all"],
    },
    {"name": "lost/found", "namespaced": False, "kind": "", "verbs": ["create"]},
]


def remote() -> Remote:
    spec = {"group": "g.example.com", "version": "v1", "service": {"namespace": "d", "name": "s", "port": 443}}
    status = {"conditions": [{"type": "Available", "status": "True"}]}
    return Remote({"metadata": {"name": "v1.g.example.com"}, "spec": spec, "status": status})


class Answers:
    """Stands for a Transport: answers every path with the same."""

    def __init__(self, body: Any, content_type: str = "application/json", status: int = 200) -> None:
        self.body, self.headers, self.status = orjson.dumps(body), {"Content-Type": content_type}, status

    async def fetch(self, *_: Any) -> tuple[int, Object, bytes]:
        return self.status, self.headers, self.body


def test_legacy_rows_become_resources_with_their_subresources() -> None:
    pets, lost = converted(ROWS)
    assert pets == {
        "resource": "pets",
        "responseKind": {"group": "", "version": "", "kind": "Pet"},
        "scope": "Namespaced",
        "singularResource": "pet",
        "verbs": ["list"],
        "shortNames": ["p"],
        "categories": ["all"],
        "subresources": [{"subresource": "status", "responseKind": {"group": "", "version": "", "kind": "Pet"}, "verbs": ["get"]}],
    }
    assert (lost["resource"], lost["scope"], lost["subresources"][0]["subresource"]) == ("lost", "Cluster", "found")
    with pytest.raises(ValueError, match="different scopes"):
        converted([*ROWS, {"name": "pets/odd", "namespaced": False, "verbs": []}])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "metadata", "name", "versions", "version", "resources", "verbs", "paths", "definitions", "get", "x"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(["application/json", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"]))
async def test_any_answer_is_survived(body: Any, content_type: str) -> None:
    there = remote()
    transport = cast(Transport, Answers(body, content_type))
    await refresh(there, transport)
    documents = RemoteDocuments([there], transport, lambda: 0.0)
    await documents.index()
    for document in await documents.v2():
        assert isinstance(document["paths"], dict)
    await documents.converted(there)


def test_who_asks_is_told_in_headers_that_only_this_server_sets() -> None:
    user = User("jane", "7", ("a", "b"), {"example.com/scope": ("x",)})
    assert list(identity(user)) == [
        ("X-Remote-User", "jane"),
        ("X-Remote-Uid", "7"),
        ("X-Remote-Group", "a"),
        ("X-Remote-Group", "b"),
        ("X-Remote-Extra-example.com%2Fscope", "x"),
    ]
    assert all(is_identity(name) for name in ("x-remote-extra-a", "Impersonate-User", "AUTHORIZATION"))
    assert not is_identity("Accept")
