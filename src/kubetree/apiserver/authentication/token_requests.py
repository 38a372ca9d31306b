"""The token subresource of service accounts: mints a signed token, bound to a pod, a secret or a node where asked.

Follows pkg/registry/core/serviceaccount/storage/token.go and pkg/serviceaccount/claims.go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubetree.api.errors import BadRequest, Cause, Conflict, NotFound, invalid
from kubetree.api.service_account_keys import SigningKey
from kubetree.apiserver.authentication.live_objects import Reader
from kubetree.apiserver.authentication.service_account_tokens import NODE, POD, SECRET, SERVICE_ACCOUNT, Claims
from kubetree.apiserver.authentication.user import service_account_name

GROUP, API_VERSION = "authentication.k8s.io", "authentication.k8s.io/v1"
PROJECTED_EXPIRY = 3607
"""The lifetime that injected volumes ask for; such tokens only warn after it and live on for a year."""
EXTENDED_EXPIRY = 365 * 24 * 3600
DEFAULT_EXPIRY = 3600
_SHORTEST, _LONGEST = 600, 1 << 32

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Minted:
    """`request` is the TokenRequest to answer with; `warnings` are for the client, `annotations` for the audit log."""

    request: Object
    warnings: tuple[str, ...]
    annotations: dict[str, str]


class TokenRequests:
    """`issuer` is the first of the accepted issuers. `clock` gives seconds since the epoch, `new_uuid` the tokens' ids.

    `longest` limits the lifetime (0: no limit); `extend` is --service-account-extend-token-expiration.
    """

    def __init__(
        self,
        key: SigningKey,
        issuer: str,
        audiences: Sequence[str],
        reader: Reader,
        clock: Callable[[], float],
        new_uuid: Callable[[], str],
        *,
        longest: int = 0,
        extend: bool = True,
    ) -> None:
        self._key = key
        self._issuer = issuer
        self._audiences = tuple(audiences)
        self._reader = reader
        self._clock = clock
        self._new_uuid = new_uuid
        self._longest = longest
        self._extend = extend

    async def mint(self, namespace: str, name: str, request: Object) -> Minted:
        """`request` is a decoded TokenRequest. Raises NotFound, Invalid, BadRequest, Conflict."""
        metadata, spec = dict(request.get("metadata") or {}), dict(request.get("spec") or {})
        _match_url(metadata, namespace, name)
        account = await self._reader.get(SERVICE_ACCOUNT, namespace, name)
        uid = account["metadata"]["uid"]
        if metadata.get("uid", uid) != uid:
            why = f"the UID in the token request ({metadata['uid']}) does not match the UID of the service account ({uid})"
            raise _conflict("TokenRequest", GROUP, name, why)
        now = self._clock()
        metadata |= {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": _time(now)}
        seconds = spec.get("expirationSeconds", DEFAULT_EXPIRY)
        audiences = list(spec.get("audiences") or self._audiences)
        spec = {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": spec.get("boundObjectRef")}
        _validate(spec)
        bound = await self._bound(namespace, name, spec.get("boundObjectRef"))
        warnings = []
        if 0 < self._longest < spec["expirationSeconds"]:
            warnings.append(f"requested expiration of {spec['expirationSeconds']} seconds shortened to {self._longest} seconds")
            spec["expirationSeconds"] = self._longest
        claims = self._claims(account, bound, spec, now)
        status = {"token": self._key.sign(claims), "expirationTimestamp": _time(now + spec["expirationSeconds"])}
        answer = {"kind": "TokenRequest", "apiVersion": API_VERSION, "metadata": metadata, "spec": spec, "status": status}
        audit = {"authentication.kubernetes.io/issued-credential-id": f"JTI={claims['jti']}"}
        return Minted(answer, tuple(warnings), audit)

    async def _bound(self, namespace: str, account: str, reference: Object | None) -> Object:
        """The references that go into the claims: pod and its node, or secret, or node."""
        if reference is None:
            return {}
        group = (reference.get("apiVersion") or "").rpartition("/")[0]
        row = {"Pod": POD, "Node": NODE, "Secret": SECRET}.get(reference.get("kind") or "") if not group else None
        if row is None:
            version = (reference.get("apiVersion") or "").rpartition("/")[2]
            raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={reference.get('kind', '')}")
        if not reference.get("name"):
            raise BadRequest("Name parameter required.")
        found = await self._reader.get(row, namespace if row.namespaced else "", reference.get("name") or "")
        if row is POD and found["spec"].get("serviceAccountName") != account:
            quoted = json.dumps(account)
            raise BadRequest(f"cannot bind token for serviceaccount {quoted} to pod running with different serviceaccount name.")
        uid = found["metadata"]["uid"]
        if reference.get("uid", uid) != uid:
            why = (
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise _conflict(row.kind, "", reference.get("name", ""), why)
        claims = {row.kind.lower(): _reference(found)}
        if row is POD and found["spec"].get("nodeName"):
            claims["node"] = await self._node_of(found)
        return claims

    async def _node_of(self, pod: Object) -> dict[str, str]:
        name = pod["spec"]["nodeName"]
        try:
            return _reference(await self._reader.get(NODE, "", name))
        except NotFound:
            return {"name": name}

    def _claims(self, account: Object, bound: Object, spec: Object, now: float) -> Claims:
        lifetime, audiences = spec["expirationSeconds"], spec["audiences"]
        private: Object = {"namespace": account["metadata"]["namespace"], **bound, "serviceaccount": _reference(account)}
        ours = set(audiences) <= set(self._audiences)
        if self._extend and "pod" in bound and lifetime == PROJECTED_EXPIRY and ours:
            private["warnafter"] = int(now) + lifetime
            lifetime = EXTENDED_EXPIRY
        return {
            "aud": audiences,
            "exp": int(now) + lifetime,
            "iat": int(now),
            "iss": self._issuer,
            "jti": self._new_uuid(),
            "kubernetes.io": private,
            "nbf": int(now),
            "sub": service_account_name(account["metadata"]["namespace"], account["metadata"]["name"]),
        }


def _match_url(metadata: Object, namespace: str, name: str) -> None:
    if metadata.get("namespace") not in (None, "", namespace):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    given = metadata.get("name")
    if given and given != name:
        message = f'Invalid value: "{given}": must match the service account name if specified'
        raise invalid("TokenRequest", GROUP, name, [Cause("FieldValueInvalid", message, "metadata.name")])


def _validate(spec: Object) -> None:
    seconds = spec["expirationSeconds"]
    if seconds < _SHORTEST:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > _LONGEST:
        why = "may not specify a duration larger than 2^32 seconds"
    else:
        return
    message = f"Invalid value: {seconds}: {why}"
    raise invalid("TokenRequest", GROUP, "", [Cause("FieldValueInvalid", message, "spec.expirationSeconds")])


def _conflict(kind: str, group: str, name: str, why: str) -> Conflict:
    subject = f"{kind}.{group}" if group else kind
    return Conflict(f'Operation cannot be fulfilled on {subject} "{name}": {why}', name=name, group=group, kind=kind)


def _reference(obj: Object) -> dict[str, str]:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
