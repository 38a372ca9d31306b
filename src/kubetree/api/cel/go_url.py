"""URLs as Go's net/url reads them, with its messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from kubetree.api.errors import quoted

T = TypeVar("T")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_PORT = re.compile(r"(?::[0-9]*)?")
_UNRESERVED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~")
_IN_PATH = _UNRESERVED | frozenset("$&+,/:;=@")
_IN_ENCODED_PATH = _IN_PATH | frozenset("!'()*[]%")
_IN_HOST = _UNRESERVED | frozenset("!$&'()*+,;=:[]<>\"")
_IN_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")


class URL(NamedTuple):
    """`path` is as it was written; `host` includes the port."""

    scheme: str = ""
    opaque: str = ""
    user: str = ""
    host: str = ""
    path: str = ""
    query: str = ""
    fragment: str = ""

    @property
    def hostname(self) -> str:
        host = self._split()[0]
        return host[1:-1] if host.startswith("[") and host.endswith("]") else host

    @property
    def port(self) -> str:
        return self._split()[1]

    def _split(self) -> tuple[str, str]:
        colon = self.host.rfind(":")
        if colon >= 0 and _PORT.fullmatch(self.host[colon:]):
            return self.host[:colon], self.host[colon + 1 :]
        return self.host, ""

    @property
    def escaped_path(self) -> str:
        plain = _unescape(self.path)
        escaped = _escape(plain)
        if escaped == self.path or all(c in _IN_ENCODED_PATH for c in self.path):
            return self.path
        return escaped

    def values(self) -> dict[str, list[str]]:
        """The query's values by key; what cannot be read is left out."""
        out: dict[str, list[str]] = {}
        for part in self.query.split("&"):
            if not part or ";" in part:
                continue
            key, _, value = part.partition("=")
            try:
                out.setdefault(_text(_unescape(key.replace("+", " "))), []).append(_text(_unescape(value.replace("+", " "))))
            except ValueError:
                continue
        return out


def parse(text: str) -> URL:
    """url.Parse after url.ParseRequestURI, as Kubernetes' url() does. Raises ValueError."""
    parse_request_uri(text)
    before, _, fragment = text.partition("#")
    url = _located(before, lambda: _parse(before, request=False))
    _located(text, lambda: _unescape(fragment))
    return url._replace(fragment=fragment)


def parse_request_uri(text: str) -> URL:
    """Raises ValueError."""
    return _located(text, lambda: _parse(text, request=True))


def _located(text: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except ValueError as error:
        raise ValueError(f"parse {quoted(text)}: {error}") from None


def _parse(text: str, *, request: bool) -> URL:
    if _CONTROL.search(text):
        raise ValueError("net/url: invalid control character in URL")
    if text == "" and request:
        raise ValueError("empty url")
    if text == "*":
        return URL(path="*")
    scheme, rest = _scheme(text)
    if rest.endswith("?") and rest.count("?") == 1:
        rest, query = rest[:-1], ""
    else:
        rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return URL(scheme, opaque=rest, query=query)
        if request:
            raise ValueError("invalid URI for request")
        if ":" in rest.partition("/")[0]:
            raise ValueError("first path segment in URL cannot contain colon")
    user = host = ""
    if (scheme or (not request and not rest.startswith("///"))) and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, host = _authority(authority)
    _unescape(rest)
    return URL(scheme, "", user, host, rest, query)


def _scheme(text: str) -> tuple[str, str]:
    if text.startswith(":"):
        raise ValueError("missing protocol scheme")
    match = _SCHEME.match(text)
    return ("", text) if match is None else (match[1].lower(), text[match.end() :])


def _authority(text: str) -> tuple[str, str]:
    user, at, host = text.rpartition("@")
    host = _host(host)
    if at:
        if _IN_USER.fullmatch(user) is None:
            raise ValueError("net/url: invalid userinfo")
        _unescape(user)
    return user, host


def _host(host: str) -> str:
    if host.startswith("["):
        end = host.rfind("]")
        if end < 0:
            raise ValueError("missing ']' in host")
        _check_port(host[end + 1 :])
        zone = host[:end].find("%25")
        if zone >= 0:
            return _unescape_host(host[:zone]) + _text(_unescape(host[zone:end])) + _unescape_host(host[end:])
    else:
        colon = host.rfind(":")
        if colon >= 0:
            _check_port(host[colon:])
    return _unescape_host(host)


def _check_port(port: str) -> None:
    if _PORT.fullmatch(port) is None:
        raise ValueError(f"invalid port {quoted(port)} after host")


def _unescape_host(host: str) -> str:
    for match in re.finditer("%", host):
        escape = host[match.start() : match.start() + 3]
        if _ESCAPE.fullmatch(escape) is None or (int(escape[1], 16) < 8 and escape != "%25"):
            raise ValueError(f"invalid URL escape {quoted(escape)}")
    for c in host:
        if c != "%" and ord(c) < 0x80 and c not in _IN_HOST:
            raise ValueError(f"invalid character {quoted(c)} in host name")
    return _text(_unescape(host))


def _unescape(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    if b"%" not in raw:
        return raw
    out = bytearray()
    at = 0
    while at < len(raw):
        if raw[at] == 0x25:
            escape = raw[at : at + 3].decode("utf-8", "replace")
            if _ESCAPE.fullmatch(escape) is None:
                raise ValueError(f"invalid URL escape {quoted(escape)}")
            out.append(int(escape[1:], 16))
            at += 3
        else:
            out.append(raw[at])
            at += 1
    return bytes(out)


def _escape(raw: bytes) -> str:
    return "".join(chr(byte) if chr(byte) in _IN_PATH else f"%{byte:02X}" for byte in raw)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
