"""`"%s is %d".format([...])`: cel-go's clauses, at run time and (for literals) when an expression is checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kubetree.api.errors import quoted

from .errors import EvaluationError
from .numbers import UInt
from .operations import convert
from .types import STRING, Type
from .values import Duration, Timestamp, is_list, is_map, type_of_value

PRECISION = 6
_CLAUSE = re.compile(r"(?:\.([0-9]*))?(.?)", re.DOTALL)
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STRING_KINDS = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"

WRONG = {
    "s": f"string clause can only be used on {_STRING_KINDS}, was given {{}}",
    "d": "decimal clause can only be used on integers, was given {}",
    "f": "fixed-point clause can only be used on doubles, was given {}",
    "e": "scientific clause can only be used on doubles, was given {}",
    "b": "only integers and bools can be formatted as binary, was given {}",
    "x": "only integers, byte buffers, and strings can be formatted as hex, was given {}",
    "X": "only integers, byte buffers, and strings can be formatted as hex, was given {}",
    "o": "octal clause can only be used on integers, was given {}",
}
Write = Callable[[str, int | None, int], str]
"""What writes a clause: its letter, its precision if any, the index of its argument."""


class FormatError(EvaluationError):
    """A clause and its argument do not fit. `argument` is the argument's index, or -1 when the fault is the string's own."""

    def __init__(self, message: str, argument: int = -1) -> None:
        super().__init__(message)
        self.argument = argument


def walk(text: str, count: int, write: Write) -> str:
    """The text with every clause written by `write`. Raises FormatError."""
    out: list[str] = []
    at, index = 0, 0
    while True:
        found = text.find("%", at)
        if found < 0:
            return "".join([*out, text[at:]])
        out.append(text[at:found])
        if text[found + 1 : found + 2] == "%":
            out.append("%")
            at = found + 2
            continue
        if index >= count:
            raise FormatError(f"index {index} out of range")
        if found + 1 >= len(text):
            raise FormatError("unexpected end of string")
        match = _CLAUSE.match(text, found + 1)
        assert match is not None
        precision, letter = match.groups()
        if precision is not None and not letter:
            raise FormatError(_unparsed("error while parsing precision: could not find end of precision specifier"))
        if precision == "":
            raise FormatError(
                _unparsed(
                    'error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing "": invalid syntax'
                )
            )
        if letter not in WRONG:
            raise FormatError(_unparsed(f'unrecognized formatting clause "{letter}"'))
        try:
            out.append(write(letter, None if precision is None else int(precision), index))
        except FormatError:
            raise
        except EvaluationError as error:
            raise FormatError(f"error during formatting: {error.message}", index) from None
        at, index = match.end(), index + 1


def _unparsed(reason: str) -> str:
    return f"could not parse formatting clause: {reason}"


def format_string(text: str, args: Any) -> str:
    """The text with every clause replaced by its argument."""
    values = list(args)
    return walk(text, len(values), lambda letter, precision, index: _WRITERS[letter](values[index], letter, precision))


def _wrong(letter: str, value: Any) -> EvaluationError:
    return EvaluationError(WRONG[letter].format(type_of_value(value).name))


def _string(value: Any, letter: str, _: int | None) -> str:
    if value is None:
        return "null"
    if is_list(value):
        return "[" + ", ".join(_quoted(item) for item in value) + "]"
    if is_map(value):
        entries = sorted((_key(key), _quoted(value[key])) for key in value)
        return "{" + ", ".join(f"{key}:{shown}" for key, shown in entries) + "}"
    if isinstance(value, bool | int | float | str | bytes | Duration | Timestamp | Type):
        text: str = convert(value, STRING)
        return text
    raise _wrong(letter, value)


def _key(value: Any) -> str:
    if isinstance(value, bool | str):
        return _quoted(value)
    if isinstance(value, int):
        return str(int(value))
    raise EvaluationError(f"no formatting function for map key of type {type_of_value(value).name}")


def _quoted(value: Any) -> str:
    """A value within a list or map."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bytes):
        return f"b{quoted(convert(value, STRING))}"
    if isinstance(value, float):
        return _fixed_text(value, PRECISION) if value - value == 0 else f'"{_fixed_text(value, PRECISION)}"'
    if isinstance(value, Timestamp):
        return f'timestamp("{convert(value, STRING)}")'
    if isinstance(value, Duration):
        return f'duration("{convert(value, STRING)}")'
    if value is None or is_list(value) or is_map(value) or isinstance(value, bool | int | Type):
        return _string(value, "s", None)
    raise EvaluationError(f"no formatting function for {type_of_value(value).name}")


def _fixed_text(value: float, precision: int) -> str:
    if value != value:
        return "NaN"
    if value - value != 0:
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.{precision}f}"


def _decimal(value: Any, letter: str, _: int | None) -> str:
    if type(value) is int or type(value) is UInt:
        return str(int(value))
    raise _wrong(letter, value)


def _double(value: Any, letter: str) -> float:
    if type(value) is float:
        return value
    if value in ("NaN", "Infinity", "-Infinity") and type(value) is str:
        return float(value)
    raise _wrong(letter, value)


def _special(value: float) -> str | None:
    if value != value:
        return "NaN"
    return None if value - value == 0 else "∞" if value > 0 else "-∞"


def _fixed(value: Any, letter: str, precision: int | None) -> str:
    number = _double(value, letter)
    return _special(number) or f"{number:,.{PRECISION if precision is None else precision}f}"


def _scientific(value: Any, letter: str, _: int | None) -> str:
    """Six digits whatever the clause says, as upstream's printer of languages has it."""
    number = _double(value, letter)
    special = _special(number)
    if special is not None:
        return special.rjust(PRECISION)
    mantissa, _sign, exponent = f"{number:.{PRECISION}e}".partition("e")
    sign = "-" if exponent.startswith("-") else ""
    return f"{mantissa}×10{(sign + exponent[1:]).translate(_SUPERSCRIPT)}"


def _binary(value: Any, letter: str, _: int | None) -> str:
    if type(value) is bool:
        return "1" if value else "0"
    if type(value) is int or type(value) is UInt:
        return f"{value:b}"
    raise _wrong(letter, value)


def _hex(value: Any, letter: str, _: int | None) -> str:
    if type(value) is str or type(value) is bytes:
        text = (value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value).hex()
        return text.upper() if letter == "X" else text
    if type(value) is int or type(value) is UInt:
        return f"{value:{letter}}"
    raise _wrong(letter, value)


def _octal(value: Any, letter: str, _: int | None) -> str:
    if type(value) is int or type(value) is UInt:
        return f"{value:o}"
    raise _wrong(letter, value)


_WRITERS: dict[str, Callable[[Any, str, int | None], str]] = {
    "s": _string,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "x": _hex,
    "X": _hex,
    "o": _octal,
}
