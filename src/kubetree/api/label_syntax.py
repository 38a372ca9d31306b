"""What a label key and a label value may look like. Selectors and validation both refuse with these messages."""

from __future__ import annotations

import re

_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_name = re.compile(_NAME)
_subdomain = re.compile(_SUBDOMAIN)

_CHARACTERS = "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
_NAME_ERROR = f"must {_CHARACTERS} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
_VALUE_ERROR = (
    f"a valid label must be an empty string or {_CHARACTERS}"
    f" (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({_NAME})?')"
)
_SUBDOMAIN_ERROR = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an"
    f" alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_MAX = 63


def label_key_errors(key: str) -> list[str]:
    """Why `key` is no label key (a "qualified name"): `[prefix/]name`. Empty when it is one."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return [f"a valid label key {_NAME_ERROR} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    found = []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif prefix:
        if len(prefix) > 253:
            found.append("prefix part must be no more than 253 bytes")
        if not _subdomain.fullmatch(prefix):
            found.append(f"prefix part {_SUBDOMAIN_ERROR}")
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > _MAX:
        found.append(f"name part must be no more than {_MAX} bytes")
    if not _name.fullmatch(name):
        found.append(f"name part {_NAME_ERROR}")
    return found


def label_value_errors(value: str) -> list[str]:
    """Why `value` is no label value. Empty when it is one."""
    found = []
    if len(value) > _MAX:
        found.append(f"must be no more than {_MAX} bytes")
    if value and not _name.fullmatch(value):
        found.append(_VALUE_ERROR)
    return found
