"""Minting and verifying service-account tokens: what they say, how long they live, and what ends them early."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kubetree.api.errors import ApiError, BadRequest, Conflict, Invalid, NotFound
from kubetree.api.service_account_keys import SigningKey, VerificationKeys, legacy_token
from kubetree.apiserver.authentication.live_objects import LiveObjects
from kubetree.apiserver.authentication.service_account_tokens import SECRET, ServiceAccountTokens
from kubetree.apiserver.authentication.token_requests import TokenRequests
from kubetree.apiserver.authentication.tokens import TokenRejected
from listed_objects import ListedObjects

ISSUER, NOW = "https://kubernetes.default.svc.cluster.local", 1_800_000_000.0
Object = dict[str, Any]


def named(kind: str, name: str, namespace: str = "", **more: Any) -> Object:
    metadata = {"name": name, "uid": f"{kind}-{name}-uid"} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


class World:
    """One signing key, one service account `app/web` with a pod on node n1 and a secret, and a clock that stands."""

    def __init__(self, key: Any = None) -> None:
        self.now = NOW
        self.account = named("ServiceAccount", "web", "app")
        self.pod = named("Pod", "web-0", "app", spec={"serviceAccountName": "web", "nodeName": "n1"})
        self.secret = named("Secret", "holder", "app", type="Opaque")
        self.node = named("Node", "n1")
        self.objects = ListedObjects(self.account, self.pod, self.secret, self.node)
        key = key or ec.generate_private_key(ec.SECP256R1())
        self.key, keys = SigningKey(key), VerificationKeys([key.public_key()])
        live = LiveObjects(self.objects.cached(), self.objects)
        self.tokens = ServiceAccountTokens(keys, [ISSUER], [ISSUER], live, lambda: self.now, self.objects)
        self.minter = TokenRequests(self.key, ISSUER, [ISSUER], self.objects, lambda: self.now, lambda: "the-uuid")

    async def mint(self, **spec: Any) -> str:
        minted = await self.minter.mint("app", "web", {"spec": spec})
        return minted.request["status"]["token"]

    async def refusal(self, token: str, *audiences: str) -> str:
        with pytest.raises(TokenRejected) as caught:
            await self.tokens.authenticate_token(token, audiences)
        return str(caught.value)


@pytest.fixture
def world() -> World:
    return World()


def claims(token: str) -> Object:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def bind(obj: Object, **more: str) -> Object:
    return {"kind": obj["kind"], "apiVersion": "v1", "name": obj["metadata"]["name"], **more}


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)], ids=["ES256", "RS256"])
async def test_a_minted_token_authenticates_its_service_account(key: Any) -> None:
    world = World(key)
    token = await world.mint()
    verdict = await world.tokens.authenticate_token(token, ())
    assert verdict is not None
    assert verdict.user.name == "system:serviceaccount:app:web"
    assert verdict.user.uid == "ServiceAccount-web-uid"
    assert verdict.user.groups == ("system:serviceaccounts", "system:serviceaccounts:app", "system:authenticated")
    assert verdict.user.extra == {"authentication.kubernetes.io/credential-id": ("JTI=the-uuid",)}
    assert verdict.audiences == (ISSUER,)
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert set(header) == {"alg", "kid"}


async def test_a_token_bound_to_a_pod_names_pod_and_node(world: World) -> None:
    token = await world.mint(boundObjectRef=bind(world.pod))
    assert claims(token)["kubernetes.io"] == {
        "namespace": "app",
        "node": {"name": "n1", "uid": "Node-n1-uid"},
        "pod": {"name": "web-0", "uid": "Pod-web-0-uid"},
        "serviceaccount": {"name": "web", "uid": "ServiceAccount-web-uid"},
    }
    verdict = await world.tokens.authenticate_token(token, ())
    assert verdict is not None
    assert {key.rpartition("/")[2]: values for key, values in verdict.user.extra.items()} == {
        "credential-id": ("JTI=the-uuid",),
        "pod-name": ("web-0",),
        "pod-uid": ("Pod-web-0-uid",),
        "node-name": ("n1",),
        "node-uid": ("Node-n1-uid",),
    }


@pytest.mark.parametrize("bound", ["pod", "secret", "node"])
async def test_deleting_what_a_token_is_bound_to_ends_it(world: World, bound: str) -> None:
    obj = getattr(world, bound)
    token = await world.mint(boundObjectRef=bind(obj))
    assert await world.tokens.authenticate_token(token, ()) is not None
    world.objects.remove(obj)
    assert await world.refusal(token) == "service account token has been invalidated"
    world.objects.add(obj | {"metadata": obj["metadata"] | {"uid": "another"}})
    assert "UID (another) does not match service account" in await world.refusal(token)


async def test_a_recreated_service_account_does_not_inherit_tokens(world: World) -> None:
    token = await world.mint()
    world.objects.remove(world.account)
    assert await world.refusal(token) == 'serviceaccounts "web" not found'
    world.objects.add(named("ServiceAccount", "web", "app") | {"metadata": {"name": "web", "namespace": "app", "uid": "new"}})
    assert await world.refusal(token) == "service account UID (new) does not match claim (ServiceAccount-web-uid)"


async def test_tokens_end_with_their_expiry_and_a_minute_of_leeway(world: World) -> None:
    token = await world.mint(expirationSeconds=600)
    world.now = NOW + 659
    assert await world.tokens.authenticate_token(token, ()) is not None
    world.now = NOW + 661
    assert await world.refusal(token) == "service account token has expired"
    world.now = NOW - 61
    assert await world.refusal(token) == "service account token is not valid yet"


async def test_a_projected_token_of_a_pod_warns_after_an_hour_and_lives_a_year(world: World) -> None:
    minted = await world.minter.mint("app", "web", {"spec": {"expirationSeconds": 3607, "boundObjectRef": bind(world.pod)}})
    said = claims(minted.request["status"]["token"])
    assert said["exp"] == NOW + 365 * 24 * 3600
    assert said["kubernetes.io"]["warnafter"] == NOW + 3607
    assert minted.request["status"]["expirationTimestamp"] == "2027-01-15T09:00:07Z"
    assert claims(await world.mint(expirationSeconds=3607))["exp"] == NOW + 3607


async def test_audiences_are_intersected(world: World) -> None:
    token = await world.mint(audiences=["vault", "other"])
    verdict = await world.tokens.authenticate_token(token, ["vault"])
    assert verdict is not None and verdict.audiences == ("vault",)
    said = await world.refusal(token)
    assert said == f'token audiences ["vault" "other"] is invalid for the target audiences ["{ISSUER}"]'


async def test_foreign_and_forged_tokens(world: World) -> None:
    assert await world.tokens.authenticate_token("opaque", ()) is None
    stranger = World()
    assert await world.refusal(await stranger.mint()) == "invalid signature, no keys found"
    head, body, signature = (await world.mint()).split(".")
    forged = base64.urlsafe_b64encode(json.dumps(claims(f"{head}.{body}.x") | {"sub": "admin"}).encode()).rstrip(b"=").decode()
    assert await world.refusal(f"{head}.{forged}.{signature}") == "invalid signature, no keys found"
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert await world.refusal(f"{none}.{body}.") == "invalid signature, no keys found"
    other = base64.urlsafe_b64encode(b'{"iss":"https://elsewhere"}').rstrip(b"=").decode()
    assert await world.tokens.authenticate_token(f"{head}.{other}.{signature}", ()) is None


async def test_a_secret_token_is_good_while_the_secret_holds_it(world: World) -> None:
    token = legacy_token(world.key, world.account, world.secret)
    assert await world.refusal(token) == "Token does not match server's copy"
    world.secret["data"] = {"token": base64.b64encode(token.encode()).decode()}
    verdict = await world.tokens.authenticate_token(token, ())
    assert verdict is not None and verdict.user.name == "system:serviceaccount:app:web"
    world.secret = await world.objects.get(SECRET, "app", "holder")
    assert world.secret["metadata"]["labels"] == {"kubernetes.io/legacy-token-last-used": "2027-01-15"}
    world.secret["metadata"]["labels"] = {"kubernetes.io/legacy-token-invalid-since": "2026-01-01"}
    assert "has been marked invalid" in await world.refusal(token)
    world.objects.remove(world.secret)
    assert await world.refusal(token) == "Token has been invalidated"


POD_REF = {"kind": "Pod", "apiVersion": "v1", "name": "web-0"}
REFUSED: list[tuple[Object, type[ApiError], str]] = [
    ({"spec": {"expirationSeconds": 599}}, Invalid, "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10"),
    ({"spec": {"expirationSeconds": 2**32 + 1}}, Invalid, "may not specify a duration larger than 2^32 seconds"),
    ({"metadata": {"name": "x"}}, Invalid, 'metadata.name: Invalid value: "x": must match the service account name if specified'),
    ({"metadata": {"namespace": "x"}}, BadRequest, "the namespace of the provided object does not match the namespace sent"),
    ({"metadata": {"uid": "x"}}, Conflict, "the UID in the token request (x) does not match the UID of the service account"),
    ({"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "gone"}}}, NotFound, 'pods "gone" not found'),
    (
        {"spec": {"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}}},
        BadRequest,
        "cannot bind token to object of type",
    ),
    ({"spec": {"boundObjectRef": POD_REF | {"uid": "x"}}}, Conflict, "the UID in the bound object reference (x) does not match the UID"),
]


@pytest.mark.parametrize(("request_body", "error", "message"), REFUSED, ids=[message[:40] for _, _, message in REFUSED])
async def test_refused_requests(world: World, request_body: Object, error: type[ApiError], message: str) -> None:
    with pytest.raises(error) as caught:
        await world.minter.mint("app", "web", request_body)
    assert message in caught.value.message


async def test_a_pod_of_another_service_account_cannot_be_bound(world: World) -> None:
    world.objects.add(named("ServiceAccount", "other", "app"))
    with pytest.raises(BadRequest, match='serviceaccount "other" to pod running with different serviceaccount name'):
        await world.minter.mint("app", "other", {"spec": {"boundObjectRef": bind(world.pod)}})


async def test_the_key_set_verifies_what_was_signed(world: World) -> None:
    import jwt

    keys = VerificationKeys([world.key.public.key])
    token = await world.mint()
    published = json.loads(keys.key_set())["keys"]
    assert [set(key) for key in published] == [{"use", "kid", "alg", "kty", "crv", "x", "y"}]
    jwk = jwt.PyJWK(published[0])
    assert jwt.decode(
        token, jwk.key, algorithms=["ES256"], audience=ISSUER, options={"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    )
    assert jwt.get_unverified_header(token)["kid"] == published[0]["kid"]
    assert json.loads(keys.configuration(ISSUER, "https://h/openid/v1/jwks")) == {
        "issuer": ISSUER,
        "jwks_uri": "https://h/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
