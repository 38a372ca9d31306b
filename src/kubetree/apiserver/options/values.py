"""How the values of flags are read and shown, and how one that cannot be read is refused: in the words of Go's flags.

Follows pflag and component-base/cli/flag. A type raises `Unreadable`; `refuse` is the parser's `error`, which names the flag.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from kubetree.api import times


class Unreadable(argparse.ArgumentTypeError):
    """`why` as the library that reads it would say."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"invalid argument {json.dumps(text)} for {_FLAG} flag: {why}")


_FLAG = "\0"
_SAID = re.compile(r"argument (\S+): (.*)", re.DOTALL)


def refuse(message: str) -> NoReturn:
    """Ends the process as cobra does: one line, status 1."""
    said = _SAID.fullmatch(message)
    if said is not None:
        names = ", ".join(sorted(said[1].split("/"), key=len))
        message = said[2].replace(_FLAG, f'"{names}"') if _FLAG in said[2] else f"{names}: {said[2]}"
    elif message.startswith("unrecognized arguments: "):
        message = f"unknown flag: {message.removeprefix('unrecognized arguments: ').split()[0].partition('=')[0]}"
    sys.stderr.write(f"Error: {message}\n")
    raise SystemExit(1)


def truth(text: str) -> bool:
    if text not in TRUTH:
        raise Unreadable(text, f"strconv.ParseBool: parsing {json.dumps(text)}: invalid syntax")
    return TRUTH[text]


TRUTH = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)


def integer(text: str) -> int:
    return _integer(text, "strconv.ParseInt")


def level(text: str) -> int:
    if text.startswith("-"):
        raise Unreadable(text, f"strconv.ParseUint: parsing {json.dumps(text)}: invalid syntax")
    return _integer(text, "strconv.ParseUint")


def _integer(text: str, reader: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII) is None:
        raise Unreadable(text, f"{reader}: parsing {json.dumps(text)}: invalid syntax")
    return int(text)


def duration(text: str) -> float:
    """Seconds."""
    try:
        return times.parse_duration(text)
    except ValueError as error:
        why = str(error)
        raise Unreadable(text, why if why.startswith("time: ") else f"time: invalid duration {json.dumps(text)}") from None


def address(text: str) -> str:
    """An IP address; an empty one is none."""
    if text:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise Unreadable(text, f"failed to parse IP: {json.dumps(text)}") from None
    return text


def list_of(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def pairs(text: str) -> dict[str, str]:
    """`a=b,c=d`. A key alone has no value: ''."""
    return {key.strip(): value.strip() if eq else "" for key, eq, value in (part.partition("=") for part in list_of(text))}


def limited_labels(text: str) -> dict[str, str]:
    """`metric,label='v1,v2',other,label=v3`: the comma of a key, and those inside quotes, do not part."""
    found = re.findall(r"([^=]+)=(?:['\"]([^'\"]*)['\"]|([^,]*))", text)
    return {key.strip(" ,"): quoted or plain for key, quoted, plain in found}


def port_range(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    for part in (low, high) if dash else (low,):
        if not part.strip().isdigit():
            raise Unreadable(text, f"strconv.Atoi: parsing {json.dumps(part)}: invalid syntax")
    return int(low), int(high or low)


def sni_pair(text: str) -> tuple[Path, Path, tuple[str, ...]]:
    """`cert,key` or `cert,key:name,*.name`."""
    files, _, names = text.partition(":")
    parts = list_of(files)
    if len(parts) != 2:
        raise Unreadable(text, "expected comma separated certificate and key file paths")
    return Path(parts[0]), Path(parts[1]), list_of(names)


def module_levels(text: str) -> str:
    """`pattern=N,...`."""
    for part in list_of(text):
        name, eq, number = part.partition("=")
        if not eq or not name:
            raise Unreadable(text, f"{json.dumps(part)} does not have the pattern=N format")
        if not number.isdigit():
            raise Unreadable(
                text, f"parsing verbosity in {json.dumps(part)}: strconv.ParseUint: parsing {json.dumps(number)}: invalid syntax"
            )
    return text


def shown(value: Any, read: Any = None) -> str:
    """A value as Go's flags print it; `read` is the type of the flag."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if read is duration and isinstance(value, int | float):
        return times.format_duration(float(value))
    if read is port_range and isinstance(value, tuple):
        return f"{value[0]}-{value[1]}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ",".join(f"{key}={shown(item)}" for key, item in value.items())
    if isinstance(value, tuple | list):
        return "[" + ",".join(shown(item) for item in value) + "]"
    return str(value)
