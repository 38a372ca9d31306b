"""The token of paged lists."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api.errors import BadRequest
from kubetree.apiserver.verbs.continue_token import decode_continue, encode_continue

PREFIX = "/registry/pods/"
names = st.from_regex(r"[a-z][a-z0-9-]{0,20}/[a-z][a-z0-9.-]{0,20}[a-z]", fullmatch=True)


@given(names, st.integers(1, 1 << 60))
def test_a_token_leads_back_to_its_key(name: str, revision: int) -> None:
    assert decode_continue(encode_continue(PREFIX + name, PREFIX, revision), PREFIX) == (PREFIX + name, revision)


@pytest.mark.parametrize(
    "token",
    [
        "!",
        "abc",
        base64.urlsafe_b64encode(b"[]").decode().rstrip("="),
        base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":5,"start":"../../secrets/a"}').decode().rstrip("="),
        base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":0,"start":"a"}').decode().rstrip("="),
        base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v9","rv":5,"start":"a"}').decode().rstrip("="),
    ],
)
def test_a_forged_token_is_refused(token: str) -> None:
    with pytest.raises(BadRequest, match="continue key is not valid"):
        decode_continue(token, PREFIX)
