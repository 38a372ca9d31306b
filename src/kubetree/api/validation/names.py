"""The formats of names: each function returns what is wrong with a string, in upstream's words, and nothing when it is right.

Patterns are compiled once; label keys and values, which repeat, are remembered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

Messages = tuple[str, ...]
NameRule = Callable[[str], Messages]

_OK: Messages = ()


def max_length(limit: int) -> str:
    return f"must be no more than {limit} characters"


def regex_message(text: str, pattern: str, *examples: str) -> str:
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"


_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LOOSE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_LOOSE_SUBDOMAIN = _LOOSE_LABEL + r"(\." + _LOOSE_LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_ALNUM = "lower case alphanumeric characters"

_match_label = re.compile(_LABEL).fullmatch
_match_subdomain = re.compile(_SUBDOMAIN).fullmatch
_match_loose_subdomain = re.compile(_LOOSE_SUBDOMAIN).fullmatch
_match_1035 = re.compile(_LABEL_1035).fullmatch
_match_wildcard = re.compile(r"\*\." + _SUBDOMAIN).fullmatch
_match_key = re.compile(_KEY).fullmatch
_match_config_key = re.compile(r"[-._a-zA-Z0-9]+").fullmatch
_match_env_name = re.compile(r"[ -<>-~]+").fullmatch
_match_identifier = re.compile("[A-Za-z_][A-Za-z0-9_]*").fullmatch
_match_header = re.compile("[-A-Za-z0-9]+").fullmatch
_match_percent = re.compile("[0-9]+%").fullmatch
_match_port_charset = re.compile("[-a-z0-9]+").fullmatch
_match_http_path = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+").fullmatch

_LABEL_MESSAGE = regex_message(
    f"a lowercase RFC 1123 label must consist of {_ALNUM} or '-', and must start and end with an alphanumeric character",
    _LABEL, "my-name", "123-abc",
)  # fmt: skip
_SUBDOMAIN_MESSAGE = regex_message(
    f"a lowercase RFC 1123 subdomain must consist of {_ALNUM}, '-' or '.', and must start and end with an alphanumeric character",
    _SUBDOMAIN, "example.com",
)  # fmt: skip
_LOOSE_SUBDOMAIN_MESSAGE = regex_message(
    f"a lowercase RFC 1123 subdomain must consist of {_ALNUM}, '_', '-' or '.', and must start and end with an alphanumeric character",
    _LOOSE_SUBDOMAIN, "example.com",
)  # fmt: skip
_1035_MESSAGE = regex_message(
    f"a DNS-1035 label must consist of {_ALNUM} or '-', start with an alphabetic character, and end with an alphanumeric character",
    _LABEL_1035, "my-name", "abc-123",
)  # fmt: skip
_WILDCARD_MESSAGE = regex_message(
    f"a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of {_ALNUM}, '-' or '.' "
    "and end with an alphanumeric character",
    r"\*\." + _SUBDOMAIN, "*.example.com",
)  # fmt: skip
_KEY_MESSAGE = regex_message(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    _KEY, "MyName", "my.name", "123-abc",
)  # fmt: skip
_VALUE_MESSAGE = regex_message(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    f"({_KEY})?", "MyValue", "my_value", "12345",
)  # fmt: skip
_CONFIG_KEY_MESSAGE = regex_message(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'", "[-._a-zA-Z0-9]+", "key.name", "KEY_NAME", "key-name"
)
_IDENTIFIER_MESSAGE = regex_message(
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
    "[A-Za-z_][A-Za-z0-9_]*", "my_name", "MY_NAME", "MyName",
)  # fmt: skip
_HEADER_MESSAGE = regex_message("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+", "X-Header-Name")
_PERCENT_MESSAGE = regex_message("a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%", "93%")
_ENV_MESSAGE = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def dns_label(value: str) -> Messages:
    """RFC 1123 label."""
    if len(value) <= 63 and _match_label(value):
        return _OK
    messages = [max_length(63)] if len(value) > 63 else []
    if not _match_label(value):
        messages.append("must not contain dots" if _match_subdomain(value) else _LABEL_MESSAGE)
    return tuple(messages)


def dns_subdomain(value: str) -> Messages:
    """RFC 1123 subdomain: what most objects are named by."""
    if len(value) <= 253 and _match_subdomain(value):
        return _OK
    messages = [max_length(253)] if len(value) > 253 else []
    if not _match_subdomain(value):
        messages.append(_SUBDOMAIN_MESSAGE)
    return tuple(messages)


def dns_subdomain_with_underscore(value: str) -> Messages:
    messages = [max_length(253)] if len(value) > 253 else []
    if not _match_loose_subdomain(value):
        messages.append(_LOOSE_SUBDOMAIN_MESSAGE)
    return tuple(messages)


def dns_1035_label(value: str) -> Messages:
    messages = [max_length(63)] if len(value) > 63 else []
    if not _match_1035(value):
        messages.append(_1035_MESSAGE)
    return tuple(messages)


def wildcard_subdomain(value: str) -> Messages:
    messages = [max_length(253)] if len(value) > 253 else []
    if not _match_wildcard(value):
        messages.append(_WILDCARD_MESSAGE)
    return tuple(messages)


def any_name(value: str) -> Messages:
    """No rule beyond that of path segments."""
    return _OK


def path_segment(value: str) -> Messages:
    """A name must fit in a URL: RBAC's names obey nothing else."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{part}'" for part in ("/", "%") if part in value)


@lru_cache(maxsize=1 << 14)
def label_key(value: str) -> Messages:
    """A qualified name: an optional DNS prefix and a slash, then up to 63 characters."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return (f"a valid label key {_KEY_MESSAGE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    messages = []
    if slash:
        if not prefix:
            messages.append("prefix part must be non-empty")
        else:
            messages += [f"prefix part {message}" for message in dns_subdomain(prefix)]
    if not name:
        messages.append("name part must be non-empty")
    elif len(name) > 63:
        messages.append("name part must be no more than 63 bytes")
    if not _match_key(name):
        messages.append(f"name part {_KEY_MESSAGE}")
    return tuple(messages)


@lru_cache(maxsize=1 << 14)
def label_value(value: str) -> Messages:
    if not value or (len(value) <= 63 and _match_key(value)):
        return _OK
    messages = ["must be no more than 63 bytes"] if len(value.encode()) > 63 else []
    if not _match_key(value):
        messages.append(_VALUE_MESSAGE)
    return tuple(messages)


def _dots(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def config_map_key(value: str) -> Messages:
    messages = [max_length(253)] if len(value) > 253 else []
    if not _match_config_key(value):
        messages.append(_CONFIG_KEY_MESSAGE)
    return tuple(messages + _dots(value))


def env_var_name(value: str) -> Messages:
    """Since 1.34 every printable ASCII character but '='."""
    if _match_env_name(value):
        return _OK
    return ("environment variable name must be non-empty",) if not value else (_ENV_MESSAGE,)


def c_identifier(value: str) -> Messages:
    return _OK if _match_identifier(value) else (_IDENTIFIER_MESSAGE,)


def http_header_name(value: str) -> Messages:
    return _OK if _match_header(value) else (_HEADER_MESSAGE,)


def percent(value: str) -> Messages:
    return _OK if _match_percent(value) else (_PERCENT_MESSAGE,)


def port_number(value: int) -> Messages:
    return _OK if 1 <= value <= 65535 else ("must be between 1 and 65535, inclusive",)


def port_name(value: str) -> Messages:
    messages = [max_length(15)] if len(value) > 15 else []
    if not _match_port_charset(value):
        messages.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= c <= "z" for c in value):
        messages.append("must contain at least one letter (a-z)")
    if "--" in value:
        messages.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        messages.append("must not begin or end with a hyphen")
    return tuple(messages)


def id_number(value: int) -> Messages:
    """User and group ids."""
    return _OK if 0 <= value <= 2147483647 else ("must be between 0 and 2147483647, inclusive",)


def http_path(value: str) -> bool:
    return _match_http_path(value) is not None


HTTP_PATH_MESSAGE = regex_message("Invalid path", r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
