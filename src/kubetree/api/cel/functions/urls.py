"""Kubernetes' URLs: `url('https://a:80/b?c=d').getHost()`."""

from __future__ import annotations

from typing import Any

from .. import go_url
from ..declarations import function, method, overload, table
from ..errors import EvaluationError
from ..types import BOOL, STRING, Type, list_of, map_of, struct
from ..values import no_such_overload

URL = struct("kubernetes.URL")


class URLValue:
    """What `url(text)` gives."""

    __slots__ = ("url",)
    cel_type: Type = URL

    def __init__(self, url: go_url.URL) -> None:
        self.url = url

    def equals(self, other: Any) -> bool:
        if not isinstance(other, URLValue):
            raise no_such_overload()
        return self.url == other.url


def _url(text: str) -> URLValue:
    try:
        return URLValue(go_url.parse(text))
    except ValueError as error:
        raise EvaluationError(f"URL parse error during conversion from string: {error}") from None


def _is_url(text: str) -> bool:
    try:
        go_url.parse_request_uri(text)
    except ValueError:
        return False
    return True


URLS = table(
    function("url", overload("string_to_url", (STRING,), URL, _url)),
    function("getScheme", method("url_get_scheme", (URL,), STRING, lambda value: value.url.scheme)),
    function("getHost", method("url_get_host", (URL,), STRING, lambda value: value.url.host)),
    function("getHostname", method("url_get_hostname", (URL,), STRING, lambda value: value.url.hostname)),
    function("getPort", method("url_get_port", (URL,), STRING, lambda value: value.url.port)),
    function("getEscapedPath", method("url_get_escaped_path", (URL,), STRING, lambda value: value.url.escaped_path)),
    function("getQuery", method("url_get_query", (URL,), map_of(STRING, list_of(STRING)), lambda value: value.url.values())),
    function("isURL", overload("is_url_string", (STRING,), BOOL, _is_url)),
)
