"""Formats of strings, as go-openapi's strfmt takes them."""

from __future__ import annotations

import pytest

from kubetree.api.custom_resources.formats import accepts, supported


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.123+02:00"], ["2024-01-01", "x", ""]),
        ("date", ["2024-02-29"], ["2023-02-29", "2024-1-1"]),
        ("duration", ["1s", "1h30m", "3 days"], ["", "x"]),
        ("byte", ["aGk=", "aGk0"], ["", "?", "aGk"]),
        ("ipv4", ["10.0.0.1"], ["10.0.0", "::1", "10.0.0.256"]),
        ("ipv6", ["::1", "2001:db8::1"], ["10.0.0.1", "x"]),
        ("cidr", ["10.0.0.0/8", "::/0"], ["10.0.0.0", "10.0.0.0/33"]),
        ("mac", ["00:1a:2b:3c:4d:5e"], ["00:1a:2b:3c:4d", "x"]),
        ("uuid", ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"], ["6ba7b810", ""]),
        ("hostname", ["a", "example.com", "a-b"], ["a_b", "-a", "a b"]),
        ("email", ["a@b.c"], ["a", "@b"]),
        ("uri", ["http://a/b", "/a"], ["", "a b", "http://a/%zz"]),
        ("hexcolor", ["#fff", "00ff00"], ["#ff", "red"]),
        ("rgbcolor", ["rgb(1,2,3)"], ["rgb(1,2)", "rgb(300,0,0)"]),
    ],
)
def test_formats(name: str, good: list[str], bad: list[str]) -> None:
    assert supported("string", name)
    assert [text for text in good if not accepts(name, text)] == []
    assert [text for text in bad if accepts(name, text)] == []


def test_formats_that_nobody_knows_say_nothing() -> None:
    assert not supported("string", "no-such-format")
