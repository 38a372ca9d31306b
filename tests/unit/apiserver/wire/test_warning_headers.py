from __future__ import annotations

from kubetree.apiserver.wire.warning_headers import warning_headers


def test_each_warning_comes_once_and_quoted() -> None:
    assert warning_headers(["a", 'b "c" \\', "a", ""]) == ['299 - "a"', '299 - "b \\"c\\" \\\\"']


def test_control_characters_have_no_header() -> None:
    assert warning_headers(["two\nlines", "one", "café"]) == ['299 - "one"', '299 - "café"']


def test_too_much_is_cut_and_then_left_out() -> None:
    many = [f"{i:02}" + "x" * 398 for i in range(30)]
    shown = warning_headers(many)
    assert len(shown) == 16
    assert all(len(header) == len('299 - ""') + 256 for header in shown)
    assert warning_headers(many[:10]) == [f'299 - "{text}"' for text in many[:10]]
