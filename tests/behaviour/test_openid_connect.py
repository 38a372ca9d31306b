"""ID tokens of an OpenID provider: by flags and by configuration file, with its keys rotated and its configuration changed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from behaviour.apiserver_harness import Http, running_server
from kubetree.apiserver.authentication.oidc.flags import OIDCFlags
from kubetree.apiserver.options import configuration_files
from openid_provider import Provider, openid_provider

pytestmark = pytest.mark.one_store

Object = dict[str, Any]
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Provider]:
    async with openid_provider(tmp_path) as running:
        yield running


async def who(http: Http, token: str) -> Object:
    """The user of a token; empty when it is refused."""
    answer = await http.post(WHO, {}, Authorization=f"Bearer {token}")
    if answer.status == 401:
        return {}
    assert answer.status == 201, answer.text
    user: Object = answer.json["status"]["userInfo"]
    return user


async def soon(http: Http, token: str) -> Object:
    """Of servers that have just been told of their issuers."""
    async with asyncio.timeout(30):
        for server in http.servers:
            while not (user := await who(http.of(server), token)):
                await asyncio.sleep(0.02)
    return user


def configuration(path: Path, provider: Provider, mappings: Object | None = None, **fields: Any) -> Path:
    issuer = {"url": provider.url, "audiences": ["kubetree"], "certificateAuthority": provider.authority, **fields.pop("issuer", {})}
    mappings = mappings or {"username": {"claim": "sub", "prefix": "oidc:"}}
    anonymous = {"anonymous": fields.pop("anonymous")} if "anonymous" in fields else {}
    entry = {"issuer": issuer, "claimMappings": mappings, **fields}
    found = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": [entry], **anonymous}
    path.write_text(json.dumps(found))
    return path


async def test_by_flags(provider: Provider, tmp_path: Path) -> None:
    flags = OIDCFlags(
        provider.url, "kubetree", tmp_path / "provider.crt", groups_claim="groups", groups_prefix="g:", required_claims=("team=blue",)
    )
    async with running_server(always_allow=False, oidc=flags) as http:
        token = provider.token(groups=["a", "b"], team="blue", jti="id-1")
        user = await soon(http, token)
        assert user == {
            "username": f"{provider.url}#jane",
            "groups": ["g:a", "g:b", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=id-1"]},
        }
        assert await who(http, provider.token(team="red")) == {}
        assert await who(http, provider.token()) == {}


async def test_tokens_that_are_refused(provider: Provider, tmp_path: Path) -> None:
    path = configuration(tmp_path / "authn", provider)
    async with running_server(always_allow=False, authentication_config=path) as http:
        await soon(http, provider.token())
        now = time.time()
        refused = {
            "another audience": provider.token(aud="other"),
            "expired": provider.token(exp=now - 1),
            "without expiry": provider.token(exp=None),
            "not yet": provider.token(nbf=now + 600),
            "another issuer": provider.token(iss="https://elsewhere"),
            "no signature": provider.token()[:-20],
            "no algorithm": _unsigned(provider),
            "an unknown key": provider.token(key_id="nobody"),
            "no name": provider.token(sub=None),
        }
        for what, token in refused.items():
            assert await who(http, token) == {}, what
        assert (await who(http, provider.token(aud=["x", "kubetree"])))["username"] == "oidc:jane"
        assert (await who(http, provider.token(nbf=now + 200)))["username"] == "oidc:jane"
        assert await who(http, "not.a.token") == {}


def _unsigned(provider: Provider) -> str:
    import jwt

    return jwt.encode({"iss": provider.url, "aud": "kubetree", "exp": time.time() + 60, "sub": "root"}, None, "none")


async def test_keys_are_fetched_once_and_again_for_one_that_is_not_known(provider: Provider, tmp_path: Path) -> None:
    path = configuration(tmp_path / "authn", provider)
    async with running_server(servers=1, always_allow=False, authentication_config=path) as http:
        await soon(http, provider.token())
        users = await asyncio.gather(*(who(http, provider.token(sub=f"u{i}")) for i in range(5)))
        assert [user["username"] for user in users] == [f"oidc:u{i}" for i in range(5)]
        assert provider.key_requests == 1
        old = provider.token(sub="late")
        provider.rotate()
        assert (await who(http, provider.token()))["username"] == "oidc:jane"
        assert await who(http, old) == {}
        provider.use_elliptic_curve()
        assert (await who(http, provider.token(sub="eve")))["username"] == "oidc:eve"


async def test_claims_by_expression_and_rules(provider: Provider, tmp_path: Path) -> None:
    mappings = {
        "username": {"expression": "claims.email_verified ? claims.email : claims.sub"},
        "groups": {"expression": "claims.roles.map(r, 'role:' + r)"},
        "uid": {"expression": "'uid-' + claims.sub"},
        "extra": [{"key": "example.org/tenant", "valueExpression": "claims.org.tenant__dot__name"}],
    }
    rules = [{"expression": "claims.sub != 'mallory'", "message": "not you"}, {"claim": "hd", "requiredValue": "example.org"}]
    users = [{"expression": "!user.username.startsWith('system:')", "message": "reserved"}]
    path = configuration(tmp_path / "authn", provider, mappings, claimValidationRules=rules, userValidationRules=users)
    async with running_server(always_allow=False, authentication_config=path) as http:
        claims = {
            "email": "jane@example.org",
            "email_verified": True,
            "roles": ["a", ""],
            "org": {"tenant.name": "t1"},
            "hd": "example.org",
        }
        assert await soon(http, provider.token(**claims)) == {
            "username": "jane@example.org",
            "uid": "uid-jane",
            "groups": ["role:a", "role:", "system:authenticated"],
            "extra": {"example.org/tenant": ["t1"]},
        }
        assert await who(http, provider.token(**{**claims, "sub": "mallory"})) == {}
        assert await who(http, provider.token(**{**claims, "email_verified": False, "sub": "system:admin"})) == {}
        assert await who(http, provider.token(**{**claims, "hd": "other"})) == {}
        review = {"spec": {"token": provider.token(**{**claims, "sub": "mallory"})}}
        async with running_server(always_allow=True, authentication_config=path) as open_http:
            async with asyncio.timeout(30):
                error = "not initialized"
                while "not initialized" in error:
                    answer = await open_http.post("/apis/authentication.k8s.io/v1/tokenreviews", review)
                    error = answer.json["status"]["error"]
            expression = "validation expression 'claims.sub != 'mallory'' failed: not you"
            assert error == f"[invalid bearer token, oidc: error evaluating claim validation expression: {expression}]"


async def test_groups_that_are_found_elsewhere(provider: Provider, tmp_path: Path) -> None:
    mappings = {"username": {"claim": "sub", "prefix": ""}, "groups": {"claim": "groups", "prefix": ""}}
    path = configuration(tmp_path / "authn", provider, mappings)
    provider.documents["/groups"] = provider.token(groups=["far"])
    where = {"_claim_names": {"groups": "src"}, "_claim_sources": {"src": {"endpoint": f"{provider.url}/groups", "access_token": "x"}}}
    async with running_server(always_allow=False, authentication_config=path) as http:
        assert (await soon(http, provider.token(**where)))["groups"] == ["far", "system:authenticated"]
        provider.documents["/groups"] = provider.token(aud="other", groups=["far"])
        assert await who(http, provider.token(**where, n=2)) == {}


async def test_a_discovery_document_elsewhere_and_a_provider_that_comes_late(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubetree.apiserver.authentication.oidc.provider.RETRY_SECONDS", 0.01)
    issuer = {"url": "https://issuer.example.org", "discoveryURL": f"{provider.url}/elsewhere"}
    path = configuration(tmp_path / "authn", provider, issuer=issuer)
    async with running_server(always_allow=False, authentication_config=path) as http:
        token = provider.token(iss="https://issuer.example.org")
        assert await who(http, token) == {}
        provider.documents["/elsewhere"] = {"issuer": "https://issuer.example.org", "jwks_uri": f"{provider.url}/keys"}
        assert (await soon(http, token))["username"] == "oidc:jane"


async def test_the_file_is_taken_up_when_it_changes(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration_files, "POLL_SECONDS", 0.01)
    path = configuration(tmp_path / "authn", provider)
    async with running_server(always_allow=False, authentication_config=path) as http:
        assert (await soon(http, provider.token()))["username"] == "oidc:jane"
        path.write_text("kind: nonsense")
        await asyncio.sleep(0.05)
        assert (await who(http, provider.token(n=1)))["username"] == "oidc:jane"
        configuration(path, provider, {"username": {"claim": "sub", "prefix": "new:"}})
        async with asyncio.timeout(30):
            n = 2
            while (await who(http, provider.token(n=n)))["username"] != "new:jane":
                n += 1
                await asyncio.sleep(0.02)


async def test_anonymous_requests_where_the_file_allows_them(provider: Provider, tmp_path: Path) -> None:
    anonymous = {"enabled": True, "conditions": [{"path": "/livez"}, {"path": "/readyz"}]}
    path = configuration(tmp_path / "authn", provider, anonymous=anonymous)
    async with running_server(always_allow=False, authentication_config=path) as http:
        assert [(await http.get(p)).status for p in ("/livez", "/readyz", "/healthz", "/api")] == [200, 200, 401, 401]
    path = configuration(tmp_path / "authn", provider, anonymous={"enabled": False})
    async with running_server(always_allow=False, authentication_config=path) as http:
        assert [(await http.get(p)).status for p in ("/livez", "/api")] == [401, 401]
    with pytest.raises(BaseExceptionGroup) as refused:
        async with running_server(always_allow=False, authentication_config=path, anonymous_auth=True):
            pass
    assert refused.group_contains(ValueError, match="--anonymous-auth flag cannot be set")
