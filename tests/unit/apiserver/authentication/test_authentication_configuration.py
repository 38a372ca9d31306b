"""Which AuthenticationConfigurations are refused, and what the claims of a token make of a user."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubetree.apiserver.authentication.oidc.claims import ClaimMapper, ClaimSource, ClaimsRefused, Rule
from kubetree.apiserver.authentication.oidc.configuration import Anonymous, of_flags, parse_authentication

Object = dict[str, Any]


def parse(issuer: Object | None = None, mappings: Object | None = None, **fields: Any) -> Any:
    jwt = {
        "issuer": {"url": "https://issuer", "audiences": ["a"], **(issuer or {})},
        "claimMappings": mappings or {"username": {"claim": "sub", "prefix": ""}},
    }
    top = {k: fields.pop(k) for k in ("anonymous",) if k in fields}
    found = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": [{**jwt, **fields}], **top}
    return parse_authentication(json.dumps(found).encode(), ["https://house"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"issuer": {"url": ""}}, "jwt[0].issuer.url: Required value"),
        ({"issuer": {"url": "http://x"}}, 'jwt[0].issuer.url: Invalid value: "http://x": URL scheme must be https'),
        ({"issuer": {"url": "https://u:p@x"}}, "URL must not contain a username or password"),
        ({"issuer": {"url": "https://x?a=b"}}, "URL must not contain a query"),
        ({"issuer": {"url": "https://house"}}, "URL must not overlap with disallowed issuers: [https://house]"),
        ({"issuer": {"discoveryURL": "https://issuer/"}}, "discoveryURL must be different from URL"),
        ({"issuer": {"audiences": []}}, "at least one jwt[0].issuer.audiences is required"),
        ({"issuer": {"audiences": ["a", "b"]}}, "audienceMatchPolicy must be MatchAny for multiple audiences"),
        ({"issuer": {"audiences": ["a", "a"], "audienceMatchPolicy": "MatchAny"}}, 'audiences[1]: Duplicate value: "a"'),
        ({"issuer": {"certificateAuthority": "nonsense"}}, 'certificateAuthority: Invalid value: "<omitted>"'),
        ({"mappings": {"username": {"claim": "sub"}}}, "username.prefix: Required value: prefix is required when claim is set"),
        ({"mappings": {"groups": {"claim": "g", "prefix": ""}}}, "claimMappings.username: Required value: claim or expression is required"),
        ({"mappings": {"username": {"claim": "a", "expression": "claims.b"}}}, "claim and expression can't both be set"),
        ({"mappings": {"username": {"expression": "claims.b", "prefix": "x"}}}, "may not be specified when expression is set"),
        (
            {"mappings": {"username": {"expression": "claims."}}},
            'jwt[0].claimMappings.username.expression: Invalid value: "claims.": compilation failed',
        ),
        ({"mappings": {"username": {"expression": "claims.email"}}}, "claims.email_verified must be used in"),
        ({"claimValidationRules": [{}]}, "claimValidationRules[0]: Required value: claim or expression is required"),
        ({"claimValidationRules": [{"expression": "'a'"}]}, "must evaluate to bool"),
        ({"claimValidationRules": [{"claim": "a", "message": "m"}]}, "may not be specified when claim is set"),
        ({"claimValidationRules": [{"claim": "a"}, {"claim": "a"}]}, 'claimValidationRules[1].claim: Duplicate value: "a"'),
        ({"userValidationRules": [{"expression": "user.nonsense == ''"}]}, "undefined field 'nonsense'"),
        ({"anonymous": {"enabled": False, "conditions": [{"path": "/"}]}}, "enabled should be set to true when conditions are defined"),
        ({"extra": 1}, 'unknown field "jwt[0].extra"'),
    ],
)
def test_bad_configurations_say_what_is_wrong(given: Object, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(**given)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("nodomain", "must be a domain-prefixed path"),
        ("Example.org/a", "must be lowercase"),
        ("kubernetes.io/a", "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"),
        ("x.k8s.io/a", "reserved for Kubernetes use"),
    ],
)
def test_keys_of_extra_are_domain_paths_of_ones_own(key: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(mappings={"username": {"claim": "sub", "prefix": ""}, "extra": [{"key": key, "valueExpression": "'a'"}]})
    assert message in str(refused.value)


def test_what_a_configuration_says() -> None:
    found = parse(anonymous={"enabled": True, "conditions": [{"path": "/livez"}]})
    assert found.anonymous == Anonymous(True, frozenset({"/livez"}))
    (issuer,) = found.issuers
    assert (issuer.url, issuer.audiences) == ("https://issuer", ("a",))


def test_a_verified_email_may_be_used() -> None:
    parse(
        mappings={"username": {"expression": "claims.email"}},
        claimValidationRules=[{"expression": "claims.?email_verified.orValue(true) == true"}],
    )


def test_flags() -> None:
    def username(**flags: Any) -> Object:
        mappings: Object = of_flags("https://i", "c", **flags)["jwt"][0]["claimMappings"]["username"]
        return mappings

    assert username() == {"claim": "sub", "prefix": "https://i#"}
    assert username(username_claim="email") == {"claim": "email", "prefix": ""}
    assert username(username_prefix="-") == {"claim": "sub", "prefix": ""}
    assert username(username_prefix="x:") == {"claim": "sub", "prefix": "x:"}
    with pytest.raises(ValueError, match="must be specified together"):
        of_flags("https://i", "")


def mapper(**fields: Any) -> ClaimMapper:
    made, faults = ClaimMapper.build(**{"username": ClaimSource("sub", "p:"), **fields})
    assert not faults
    return made


@pytest.mark.parametrize(
    ("fields", "claims", "message"),
    [
        ({}, {}, 'oidc: parse username claims "sub": claim not present'),
        ({}, {"sub": 1}, 'oidc: parse username claims "sub": json: cannot unmarshal number into Go value of type string'),
        ({"username": ClaimSource("email")}, {"email": "a@b", "email_verified": False}, "oidc: email not verified"),
        ({"username": ClaimSource("email")}, {"email": "a@b", "email_verified": "yes"}, "oidc: parse 'email_verified' claim"),
        ({"groups": ClaimSource("g")}, {"sub": "a", "g": [1]}, 'oidc: parse groups claim "g"'),
        ({"groups": ClaimSource(expression="claims.n")}, {"sub": "a", "n": 1}, "expression must return a string or a list of strings"),
        ({"username": ClaimSource(expression="claims.n")}, {"n": 1}, "username claim expression must return a string"),
        ({"username": ClaimSource(expression="''")}, {}, "oidc: empty username via CEL expression is not allowed"),
        ({"username": ClaimSource(expression="claims.x")}, {}, "expression 'claims.x' resulted in error: no such key: x"),
        ({"required": {"hd": "x"}}, {"sub": "a"}, "oidc: required claim hd not present in ID token"),
        ({"required": {"hd": "x"}}, {"sub": "a", "hd": "y"}, "oidc: required claim hd value does not match. Got = y, want = x"),
        ({"user_rules": [Rule("user.username == ''", "m")]}, {"sub": "a"}, "oidc: error evaluating user info validation rule"),
    ],
)
def test_claims_that_make_no_user(fields: Object, claims: Object, message: str) -> None:
    with pytest.raises(ClaimsRefused) as refused:
        mapper(**fields).user(claims)
    assert message in str(refused.value)


def test_one_group_may_be_a_string() -> None:
    user = mapper(groups=ClaimSource("role", "r:")).user({"sub": "a", "role": "admin"})
    assert (user.name, user.groups) == ("p:a", ("r:admin",))
