"""Kubernetes' named formats: `format.dns1123Label().validate(name)` gives the faults, or none."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any

from .. import go_url
from ..declarations import function, method, overload, table
from ..moments import parse_date, parse_timestamp
from ..types import STRING, Type, list_of, optional_of, struct
from ..values import NONE, Optional, no_such_overload

FORMAT = struct("kubernetes.NamedFormat")
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
Faults = Callable[[str], Sequence[str]]


class FormatValue:
    """`max_regex_size` stands for the length of the format's pattern in costs."""

    __slots__ = ("faults", "max_regex_size", "name")
    cel_type: Type = FORMAT

    def __init__(self, name: str, faults: Faults, max_regex_size: int) -> None:
        self.name, self.faults, self.max_regex_size = name, faults, max_regex_size

    def equals(self, other: Any) -> bool:
        if not isinstance(other, FormatValue):
            raise no_such_overload()
        return self.name == other.name


def _name(rule: str, *, prefix: bool = False) -> Faults:
    """A rule of kubetree.api.validation.names, which is imported late: validation itself uses expressions."""

    def run(text: str) -> Sequence[str]:
        from kubetree.api.validation import names

        if prefix and len(text) > 1 and text.endswith("-"):
            text = text[:-2] + "a"
        found: Sequence[str] = getattr(names, rule)(text)
        return found

    return run


def _holds(test: Callable[[str], bool], fault: str) -> Faults:
    return lambda text: () if test(text) else (fault,)


def _uri(text: str) -> Sequence[str]:
    try:
        go_url.parse_request_uri(text)
    except ValueError as error:
        return (str(error),)
    return ()


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return text != ""


def _is_date_time(text: str) -> bool:
    return parse_timestamp(text.upper().replace(" ", "T")) is not None


_FORMATS = {
    "dns1123Label": FormatValue("DNS1123Label", _name("dns_label"), 30),
    "dns1123Subdomain": FormatValue("DNS1123Subdomain", _name("dns_subdomain"), 60),
    "dns1035Label": FormatValue("DNS1035Label", _name("dns_1035_label"), 30),
    "qualifiedName": FormatValue("QualifiedName", _name("label_key"), 60),
    "dns1123LabelPrefix": FormatValue("DNS1123LabelPrefix", _name("dns_label", prefix=True), 30),
    "dns1123SubdomainPrefix": FormatValue("DNS1123SubdomainPrefix", _name("dns_subdomain", prefix=True), 60),
    "dns1035LabelPrefix": FormatValue("DNS1035LabelPrefix", _name("dns_1035_label", prefix=True), 30),
    "labelValue": FormatValue("LabelValue", _name("label_value"), 40),
    "uri": FormatValue("URI", _uri, 1103),
    "uuid": FormatValue("uuid", _holds(lambda text: _UUID.fullmatch(text) is not None, "does not match the UUID format"), 70),
    "byte": FormatValue("byte", _holds(_is_base64, "invalid base64"), 84),
    "date": FormatValue("date", _holds(lambda text: parse_date(text) is not None, "invalid date"), 71),
    "datetime": FormatValue("datetime", _holds(_is_date_time, "invalid datetime"), 71),
}


def _named(name: str) -> Optional:
    found = _FORMATS.get(name)
    return NONE if found is None else Optional(found)


def _validate(value: FormatValue, text: str) -> Optional:
    faults = value.faults(text)
    return Optional(list(faults)) if faults else NONE


def _constant(value: FormatValue) -> Callable[[], FormatValue]:
    return lambda: value


FORMATS = table(
    function("validate", method("format-validate", (FORMAT, STRING), optional_of(list_of(STRING)), _validate)),
    function("format.named", overload("format-named", (STRING,), optional_of(FORMAT), _named)),
    *(
        function(f"format.{name}", overload(f"format.{name}", (), FORMAT, _constant(value), variadic=True))
        for name, value in _FORMATS.items()
    ),
)
