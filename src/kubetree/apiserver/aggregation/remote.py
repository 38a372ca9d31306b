"""One APIService of another server, and how that server is reached: at its Service, by TLS as the APIService says, as the front proxy.

Follows kube-aggregator's BuildTransportConfig and client-go's SetAuthProxyHeaders.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from kubetree.api.errors import ApiError
from kubetree.api.objects import has_condition
from kubetree.apiserver.aggregation.api_services import AVAILABLE
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.webhooks import ServiceResolver, Trust, TrustCache
from kubetree.apiserver.webhooks.failures import worded
from kubetree.apiserver.webhooks.resolution import Address

Object = dict[str, Any]
KeyPairSource = Callable[[], tuple[bytes, bytes]]
"""Gives the certificate and key (PEM) that this server shows as the front proxy; empty without any."""

_REMOTE = "x-remote-"
_TOKEN = "!#$&'*+-.^_`|~"
CHECKER = User("system:kube-aggregator", groups=("system:masters",))
"""Who checks and asks for discovery: may do everything, at any server that trusts this front proxy."""
READER = User("system:aggregator")
"""Who asks for OpenAPI documents."""


MALFORMED = (ValueError, LookupError, TypeError, AttributeError)
"""What reading a document may raise that another server sent: it may have any shape."""


class Unreachable(Exception):
    """No answer; in the words of Go's HTTP client."""


@dataclass(slots=True)
class Remote:
    """`obj` is the APIService as it stands."""

    obj: Object
    discovery: Object | None = None
    """APIVersionDiscovery of the group and version, as last heard; None: not asked yet."""
    stale: bool = True
    etag: str = ""

    @property
    def name(self) -> str:
        found: str = self.obj["metadata"]["name"]
        return found

    @property
    def group(self) -> str:
        found: str = self.obj["spec"].get("group") or ""
        return found

    @property
    def version(self) -> str:
        found: str = self.obj["spec"]["version"]
        return found

    @property
    def path(self) -> str:
        """Below which everything is the other server's."""
        return f"/apis/{self.group}/{self.version}" if self.group else "/api"

    @property
    def document(self) -> str:
        """What its OpenAPI document is called: `apis/GROUP/VERSION`."""
        return f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"

    @property
    def service(self) -> tuple[str, str, int]:
        """Namespace, name and port."""
        service = self.obj["spec"]["service"]
        return service.get("namespace") or "", service.get("name") or "", service.get("port") or 443

    @property
    def server_name(self) -> str:
        namespace, name, _ = self.service
        return f"{name}.{namespace}.svc"

    @property
    def available(self) -> bool:
        return has_condition(self.obj, AVAILABLE)


class Transport:
    """`own_address` is where this server itself listens: what `default/kubernetes` leads to, whatever its cluster IP."""

    def __init__(
        self,
        resolver: ServiceResolver,
        session: Callable[[], aiohttp.ClientSession],
        key_pair: KeyPairSource,
        own_address: Callable[[], str],
    ) -> None:
        self._resolver, self._session = resolver, session
        self._key_pair, self._own_address = key_pair, own_address
        self._trusts = TrustCache()

    def address(self, remote: Remote) -> Address:
        """Raises ApiError or ValueError for a Service that leads nowhere."""
        namespace, name, port = remote.service
        if (namespace, name, port) == ("default", "kubernetes", 443):
            host, _, own = self._own_address().partition("://")[2].rpartition(":")
            return Address(host.strip("[]"), int(own))
        return self._resolver.resolve(namespace, name, port)

    def tls(self, remote: Remote) -> ssl.SSLContext:
        """Raises ValueError for a caBundle or a client certificate that cannot be used."""
        spec = remote.obj["spec"]
        certificate, key = self._key_pair()
        try:
            bundle = base64.b64decode(spec.get("caBundle") or "")
        except binascii.Error:
            bundle = b"?"
        return self._trusts.context(Trust(bundle, certificate, key, bool(spec.get("insecureSkipTLSVerify"))))

    async def open(
        self,
        remote: Remote,
        address: Address,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | None = None,
    ) -> aiohttp.ClientResponse:
        """`path` is encoded and has the query. Raises Unreachable; ValueError as `tls`."""
        url = url_of(address, path)
        try:
            return await self._session().request(
                method,
                URL(url, encoded=True),
                data=body,
                headers=headers,
                ssl=self.tls(remote),
                server_hostname=remote.server_name,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(worded(error)) from None

    async def fetch(
        self, remote: Remote, path: str, user: User, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body. Raises Unreachable, saying what was asked for."""
        try:
            address = self.address(remote)
            async with asyncio.timeout(timeout):
                sent = CIMultiDict([*headers.items(), *identity(user)])
                async with await self.open(remote, address, "GET", path, sent) as response:
                    return response.status, response.headers, await response.read()
        except TimeoutError:
            raise Unreachable(f'Get "{url_of(address, path)}": context deadline exceeded') from None
        except Unreachable as error:
            raise Unreachable(f'Get "{url_of(address, path)}": {error}') from None
        except aiohttp.ClientError as error:
            raise Unreachable(f'Get "{url_of(address, path)}": {worded(error)}') from None
        except ApiError as error:
            raise Unreachable(error.message) from None
        except ValueError as error:
            raise Unreachable(str(error)) from None


def url_of(address: Address, path: str) -> str:
    """Where another server has `path`."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"https://{host}:{address.port}{path}"


def identity(user: User) -> Iterable[tuple[str, str]]:
    """The headers that say who asks; believed for the certificate's sake."""
    yield "X-Remote-User", user.name
    if user.uid:
        yield "X-Remote-Uid", user.uid
    for group in user.groups:
        yield "X-Remote-Group", group
    for key, values in user.extra.items():
        for value in values:
            yield f"X-Remote-Extra-{quote(key, safe=_TOKEN)}", value


def is_identity(header: str) -> bool:
    """Whether a client's header must not reach the other server, which would believe it."""
    lowered = header.lower()
    return lowered.startswith((_REMOTE, "impersonate-")) or lowered == "authorization"
