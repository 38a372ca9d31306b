"""Fields that hold a number or a string: ports, and counts that may be percentages."""

from __future__ import annotations

import re

from kubetree.api.validation.errors import Errors, each, invalid
from kubetree.api.validation.metadata import NEGATIVE
from kubetree.api.validation.names import percent, port_name, port_number


def port(errs: Errors, value: int | str | None, path: str) -> None:
    """A port's number or its name in a container."""
    if isinstance(value, str):
        each(errs, path, value, port_name(value))
    else:
        each(errs, path, value or 0, port_number(value or 0))


def positive_int_or_percent(errs: Errors, value: int | str | None, path: str) -> None:
    """A count of at least 0, or a percentage."""
    if isinstance(value, str):
        each(errs, path, value, percent(value))
    elif (value or 0) < 0:
        errs.append(invalid(path, value, NEGATIVE))


def percent_value(value: int | str | None) -> int | None:
    """The number of a valid percentage, None for anything else."""
    return int(value[:-1]) if isinstance(value, str) and not percent(value) else None


def plain_value(value: int | str | None) -> int:
    """What intstr's getIntOrPercentValue calls the value: the number, or the percentage's number."""
    number = percent_value(value)
    if number is not None:
        return number
    if isinstance(value, int):
        return value
    return int(value) if value and re.fullmatch(r"[+-]?[0-9]+", value) else 0


def not_more_than_100_percent(errs: Errors, value: int | str | None, path: str) -> None:
    number = percent_value(value)
    if number is not None and number > 100:
        errs.append(invalid(path, value, "must not be greater than 100%"))
