"""The formats that CRD schemas know, and what each accepts. Formats that are not here say nothing. Follows kube-openapi's strfmt."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from email.utils import parseaddr

from kubetree.api.go_regex import compiled
from kubetree.api.times import parse_time

_UUID = "^[0-9a-f]{8}-?[0-9a-f]{4}-?%s-?[0-9a-f]{12}$"
_GO_DURATION = re.compile(r"[-+]?(0|(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))*)")
_SCALA_DURATION = re.compile(r"(\d+)\s*([A-Za-zµ]+)")
_UNITS = (("ns", "nano"), ("us", "µs", "micro"), ("ms", "milli"), ("s", "sec"), ("m", "min"), ("h", "hr", "hour"), ("d", "day"), ("w", "wk", "week"))  # fmt: skip
_LETTER = r"[a-zA-Z0-9\p{S}\p{L}]"
_HOSTNAME = compiled(
    rf"^({_LETTER}(-?{_LETTER}{{0,62}})?|({_LETTER}(([a-zA-Z0-9-\p{{S}}\p{{L}}]){{0,61}}{_LETTER})?\.)+[a-zA-Z\p{{L}}]{{2,63}})$"
)
_CARD = re.compile(
    "(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|(222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}|6(?:011|5[0-9][0-9])[0-9]{12}"
    "|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11}|6[27][0-9]{14})"
)


def _matches(pattern: str) -> Callable[[str], bool]:
    expression = re.compile(pattern.replace("$", r"\Z"))
    return lambda text: expression.match(text) is not None


def _address(version: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> Callable[[str], bool]:
    def valid(text: str) -> bool:
        try:
            version(re.sub(r"(?<![0-9a-fA-F:])0+(?=[0-9])", "", text) if "." in text and ":" not in text else text)
        except ValueError:
            return False
        return True

    return valid


def _ipv4(text: str) -> bool:
    return "." in text and (_address(ipaddress.IPv4Address)(text) or (":" in text and _address(ipaddress.IPv6Address)(text)))


def _cidr(text: str) -> bool:
    address, slash, bits = text.partition("/")
    if not slash or not bits.isascii() or not bits.isdigit() or "%" in address:
        return False
    if ":" in address:
        return _address(ipaddress.IPv6Address)(address) and int(bits) <= 128
    return _address(ipaddress.IPv4Address)(address) and int(bits) <= 32


def _uri(text: str) -> bool:
    if not text or any(ord(c) < 0x21 or ord(c) == 0x7F for c in text):
        return False
    if re.search("%(?![0-9A-Fa-f]{2})", text.partition("?")[0]):
        return False
    return text.startswith("/") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:.+", text) is not None


def _email(text: str) -> bool:
    address = parseaddr(text)[1]
    local, at, domain = address.rpartition("@")
    return bool(at and local and domain) and " " not in address and not domain.startswith(".") and ".." not in address


def _hostname(text: str) -> bool:
    return _HOSTNAME.found(text) and len(text.encode()) <= 255 and all(len(part.encode()) <= 63 for part in text.split("."))


def _mac(text: str) -> bool:
    return re.fullmatch(r"([0-9a-fA-F]{2}([:-]))(?:[0-9a-fA-F]{2}\2){4}[0-9a-fA-F]{2}((?:\2[0-9a-fA-F]{2}){2}|(?:\2[0-9a-fA-F]{2}){14})?"
                        r"|[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4})?(\.[0-9a-fA-F]{4}){0,6}", text) is not None  # fmt: skip


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch("[0-9]{9}[0-9Xx]", digits):
        return False
    return sum((i + 1) * (10 if c in "Xx" else int(c)) for i, c in enumerate(digits)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    return re.fullmatch("[0-9]{13}", digits) is not None and sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(digits)) % 10 == 0


def _card(text: str) -> bool:
    digits = re.sub("[^0-9]+", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = (int(c) * 2 if i % 2 else int(c) for i, c in enumerate(reversed(digits)))
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def _rgb(text: str) -> bool:
    part = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"
    return re.fullmatch(rf"rgb\({part},{part},{part}\)", text, re.ASCII) is not None


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(text)


def _date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _duration(text: str) -> bool:
    if _GO_DURATION.fullmatch(text):
        return True
    for _, word in _SCALA_DURATION.findall(text):
        unit = word.lower()
        if any(unit in names or unit.startswith(names[-1]) for names in _UNITS):
            return True
    return False


def _date_time(text: str) -> bool:
    if not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", text):
        return False
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


def _short_name(text: str) -> bool:
    return len(text) <= 63 and re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", text) is not None


def _long_name(text: str) -> bool:
    label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    return len(text) <= 253 and re.fullmatch(rf"{label}(\.{label})*", text) is not None


_FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches("^[0-9a-fA-F]{24}$"),
    "uri": _uri,
    "email": _email,
    "hostname": _hostname,
    "ipv4": _ipv4,
    "ipv6": lambda text: ":" in text and _address(ipaddress.IPv6Address)(text) and "%" not in text,
    "cidr": _cidr,
    "mac": _mac,
    "uuid": _matches("(?i)" + _UUID % "[0-9a-f]{4}-?[0-9a-f]{4}"),
    "uuid3": _matches("(?i)" + _UUID % "3[0-9a-f]{3}-?[0-9a-f]{4}"),
    "uuid4": _matches("(?i)" + _UUID % "4[0-9a-f]{3}-?[89ab][0-9a-f]{3}"),
    "uuid5": _matches("(?i)" + _UUID % "5[0-9a-f]{3}-?[89ab][0-9a-f]{3}"),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _card,
    "ssn": _matches(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$"),
    "hexcolor": _matches("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"),
    "rgbcolor": _rgb,
    "byte": _base64,
    "password": lambda text: True,
    "date": _date,
    "duration": _duration,
    "datetime": _date_time,
    "k8sshortname": _short_name,
    "k8slongname": _long_name,
}  # fmt: skip
_NUMBERS = {"integer": ("int32", "int64"), "number": ("float", "double")}


def supported(type: str, format: str) -> bool:
    """Whether a format means anything for a schema of `type` ('' also for an int-or-string)."""
    if type in ("", "string"):
        return format.replace("-", "") in _FORMATS
    return format in _NUMBERS.get(type, ())


def accepts(format: str, text: str) -> bool:
    """Whether a string is of a format that is supported for strings."""
    return _FORMATS[format.replace("-", "")](text)
