"""How a call failed, in the words that Go's HTTP client and client-go have for it: clients and tests match on them."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Iterator

import aiohttp
import orjson

from kubetree.api.errors import ApiError, Cause, from_status

_AUTHORITY = "x509: certificate signed by unknown authority"
_VERIFY = {
    9: "x509: certificate has expired or is not yet valid",
    10: "x509: certificate has expired or is not yet valid",
    18: _AUTHORITY,
    19: _AUTHORITY,
    20: _AUTHORITY,
    21: _AUTHORITY,
}
"""OpenSSL's verification results."""

_ERRNO = {
    errno.ECONNREFUSED: "connect: connection refused",
    errno.EHOSTUNREACH: "connect: no route to host",
    errno.ENETUNREACH: "connect: network is unreachable",
    errno.ETIMEDOUT: "i/o timeout",
}
_TEXT_LIMIT = 2048

_MESSAGES: dict[int, tuple[str, str]] = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", ""),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    406: ("NotAcceptable", ""),
    409: ("AlreadyExists", "the server reported a conflict"),
    415: ("UnsupportedMediaType", ""),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted, but may still be processing the request"),
}
"""Reason and message of an answer that is no Status; an empty message: the server's own."""


class CallFailed(Exception):
    """No usable answer. `status`: the error that an HTTP answer stands for, None when there was none; `timed_out`: nor in time;
    `reset`: the connection was cut; `retry_after`: the seconds after which it is worth asking again, None where that was not said."""

    def __init__(
        self,
        message: str,
        status: ApiError | None = None,
        *,
        timed_out: bool = False,
        reset: bool = False,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.timed_out, self.reset, self.retry_after = message, status, timed_out, reset, retry_after


def timed_out(url: str) -> CallFailed:
    return CallFailed(f'Post "{url}": context deadline exceeded', timed_out=True)


def not_reached(url: str, error: Exception) -> CallFailed:
    """Of what aiohttp, ssl or resolution raised."""
    reset = any(isinstance(e, ConnectionResetError) for e in _chain(error))
    return CallFailed(f'Post "{url}": {worded(error)}', reset=reset)


NO_NAMES, SHA1 = 62, 68
"""OpenSSL's verification results for certificates without the name asked for, and for weak signatures."""


def distrusted(error: Exception) -> int:
    """OpenSSL's verification result, 0 for another failure."""
    found = (e for e in _chain(error) if isinstance(e, ssl.SSLCertVerificationError) and not isinstance(e, aiohttp.ClientError))
    return next((e.verify_code for e in found), 0)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        error = inner if isinstance(inner, BaseException) and inner is not error else error.__cause__


def worded(error: Exception) -> str:
    """What Go's net, tls and x509 packages would have said."""
    for e in _chain(error):
        if isinstance(e, ssl.SSLCertVerificationError) and not isinstance(e, aiohttp.ClientError):
            return f"tls: failed to verify certificate: {_VERIFY.get(e.verify_code) or _mismatch(e)}"
        if isinstance(e, ssl.SSLError) and not isinstance(e, aiohttp.ClientError):
            if e.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"):
                return "http: server gave HTTP response to HTTPS client"
            return f"remote error: tls: {(e.reason or str(e)).lower().replace('_', ' ')}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"dial tcp {error.host}:{error.port}: {_system(error.os_error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    if isinstance(error, ConnectionResetError):
        return "read: connection reset by peer"
    return str(error) or type(error).__name__


def _system(error: OSError) -> str:
    number = error.errno
    if number is None and isinstance(error, ConnectionRefusedError):
        number = errno.ECONNREFUSED
    if number is None:
        return str(error)
    return _ERRNO.get(number) or f"connect: {os.strerror(number).lower()}"


def _mismatch(error: ssl.SSLCertVerificationError) -> str:
    return f"x509: {error.verify_message or error.reason}"


def of_answer(code: int, content_type: str, body: bytes, retry_after: str) -> CallFailed:
    """Of an HTTP answer outside 200-206: the Status in it, or one made of the code as client-go does."""
    found, delay = _status(body), int(retry_after) if retry_after.isdigit() else None
    if found is None:
        text = content_type == "" or content_type.startswith("text/")
        told = body[:_TEXT_LIMIT].decode(errors="replace").strip() if text and body else "unknown"
        reason, message = _MESSAGES.get(code, ("Unknown", ""))
        if code in _MESSAGES:
            message = message or told
        elif code >= 500:
            reason, message = "InternalError", f"an error on the server ({_quoted(told)}) has prevented the request from succeeding"
        else:
            message = f"the server responded with the status code {code} but did not return more information"
        cause = Cause("UnexpectedServerResponse", told)
        found = ApiError(message, causes=[cause], status_code=code, status_reason=reason, retry_after=delay or 0)
    return CallFailed(found.message, found, retry_after=delay if code == 429 or code >= 500 else None)


def _status(body: bytes) -> ApiError | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(found, dict) and found.get("kind") == "Status" and found.get("status") != "Success":
        return from_status(found)
    return None


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
