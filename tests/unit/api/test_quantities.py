"""Quantities read, compare, add up and are written as upstream's."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api.quantities import Quantity, parse_quantity

NUMBERS = st.integers(min_value=-(10**15), max_value=10**15)
SUFFIXES = st.sampled_from(["n", "u", "m", "", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e3", "E-3"])
QUANTITIES = st.builds(lambda n, s: f"{n}{s}", NUMBERS, SUFFIXES)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"), ("00", "0"), ("1.5", "1500m"), ("1.5Gi", "1536Mi"), ("0.1m", "100u"), ("1e3", "1e3"), ("1000", "1k"),
        ("1024Ki", "1Mi"), ("1000Ki", "1000Ki"), ("12e6", "12e6"), ("0.5Mi", "512Ki"), (".5", "500m"), ("1.", "1"), ("+5", "5"),
        ("-0.5Mi", "-512Ki"), ("0.00000000001", "1n"), ("100Ei", "9223372036854775807"), ("1.1Ki", "1126400m"), ("512", "512"),
        ("100Gi", "100Gi"), ("1e-3", "1e-3"), ("0.5Ki", "512"),
    ],
)  # fmt: skip
def test_canonical_form(text: str, canonical: str) -> None:
    assert str(parse_quantity(text)) == canonical


@pytest.mark.parametrize("text", ["", " ", "1 ", "a", "1.2.3", "1x"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["1i", "1ee", "1e", "1KiKi"])
def test_an_unknown_suffix_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse quantity's suffix"):
        parse_quantity(text)


def test_numbers_are_read_too() -> None:
    assert parse_quantity(2) == parse_quantity("2")
    assert parse_quantity(0.5) == parse_quantity("500m")


def test_milli_and_value_round_up() -> None:
    q = parse_quantity("1.0001")
    assert (q.milli(), q.value()) == (1001, 2)
    assert parse_quantity("-1.5").value() == -2


def test_a_sum_keeps_the_format_of_its_first_part_that_is_not_zero() -> None:
    assert str(parse_quantity("1Gi") + parse_quantity("1Gi")) == "2Gi"
    assert str(parse_quantity("0") + parse_quantity("1Gi")) == "1Gi"
    assert str(parse_quantity("1Gi") - parse_quantity("1Gi")) == "0"


@given(QUANTITIES)
def test_the_canonical_form_means_the_same_and_is_stable(text: str) -> None:
    quantity = parse_quantity(text)
    canonical = str(quantity)
    assert parse_quantity(canonical) == quantity
    assert str(parse_quantity(canonical)) == canonical
    assert "." not in canonical


@given(QUANTITIES, QUANTITIES)
def test_arithmetic_is_exact(a: str, b: str) -> None:
    x, y = parse_quantity(a), parse_quantity(b)
    assert (x + y).amount == x.amount + y.amount
    assert (x + y) - y == x
    assert (x < y) == (x.amount < y.amount)


@given(st.fractions())
def test_an_amount_finer_than_a_nano_is_rounded_up(amount: Fraction) -> None:
    difference = Quantity(amount).amount - amount
    assert 0 <= difference < Fraction(1, 10**9)
