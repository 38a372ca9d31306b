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


def token_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_any_negative_revision_means_now() -> None:
    assert decode_continue(token_of(b'{"v":"meta.k8s.io/v1","rv":-5,"start":"a/b\\u0000"}'), PREFIX) == (PREFIX + "a/b", -1)


def test_a_token_without_the_zero_byte_starts_with_its_key() -> None:
    after, _ = decode_continue(token_of(b'{"v":"meta.k8s.io/v1","rv":5,"start":"a/b"}'), PREFIX)
    assert PREFIX + "a/azzz" < after < PREFIX + "a/b"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("!!!", "illegal base64 data at input byte 0"),
        (token_of(b'{"v":"meta.k8s.io/v1","rv":"a"}'), "json: cannot unmarshal string into Go struct field continueToken.rv of type int64"),
        (token_of(b"[]"), "json: cannot unmarshal array into Go value of type storage.continueToken"),
        (token_of(b"{}"), "server does not recognize this encoded version "),
    ],
)
def test_a_fault_is_worded_as_upstreams(token: str, why: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode_continue(token, PREFIX)
    assert refused.value.message == f"invalid continue token: continue key is not valid: {why}"
