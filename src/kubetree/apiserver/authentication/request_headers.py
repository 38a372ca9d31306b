"""X-Remote-User and its companions: who the front proxy says the user is, believed only with the front proxy's own certificate.

Follows apiserver's request/headerrequest (--requestheader-* flags).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from kubetree.api.errors import Unauthorized
from kubetree.apiserver.authentication.client_certificates import CertificateVerifier, common_name
from kubetree.apiserver.authentication.user import User, authenticated


@dataclass(frozen=True, slots=True)
class HeaderNames:
    """The --requestheader-*-headers; the first header that is there counts, of groups and extra all."""

    user: Sequence[str]
    uid: Sequence[str]
    groups: Sequence[str]
    extra_prefixes: Sequence[str]


class RequestHeaders:
    """`allowed_names` are the common names that may speak for others; empty: any that the front proxy's authority issued."""

    def __init__(self, verifier: CertificateVerifier, allowed_names: Sequence[str], names: HeaderNames) -> None:
        self._verifier = verifier
        self._allowed = frozenset(allowed_names)
        self._names = names

    def authenticate(self, headers: Mapping[str, str], der: bytes | None, chain: Sequence[bytes] = ()) -> User | None:
        """`headers.items()` gives repeated headers repeatedly. None: no user header. Raises Unauthorized for an unfit certificate."""
        user = next((in_utf8(value) for name in self._names.user if (value := headers.get(name))), "")
        if not user or der is None:
            return None
        certificate = self._verifier.verified(der, chain)
        if self._allowed and common_name(certificate) not in self._allowed:
            raise Unauthorized(f"x509: subject with cn={common_name(certificate)} is not in the allowed list")
        uid = next((in_utf8(value) for name in self._names.uid if (value := headers.get(name))), "")
        groups = tuple(value for name in self._names.groups for value in all_values(headers, name) if value)
        extra: dict[str, tuple[str, ...]] = {}
        for prefix in self._names.extra_prefixes:
            collect_extra(headers, prefix, extra)
        return authenticated(User(user, uid, groups, extra))


def all_values(headers: Mapping[str, str], name: str) -> Iterator[str]:
    """Of a header that may be repeated; names differ in case only."""
    wanted = name.lower()
    return (in_utf8(value) for key, value in headers.items() if key.lower() == wanted)


def in_utf8(value: str) -> str:
    """A header's value with U+FFFD for bytes that are not UTF-8, as Go shows them; such bytes arrive as surrogates, which nothing can encode."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def collect_extra(headers: Mapping[str, str], prefix: str, into: dict[str, tuple[str, ...]]) -> None:
    """Adds `<prefix><key>: value` headers to `into`; keys are lower case and percent-decoded."""
    wanted = prefix.lower()
    for header, value in headers.items():
        lowered = header.lower()
        if lowered.startswith(wanted):
            key = unquote(lowered[len(wanted) :])
            into[key] = (*into.get(key, ()), in_utf8(value))
