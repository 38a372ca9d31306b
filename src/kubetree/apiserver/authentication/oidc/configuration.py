"""apiserver.config.k8s.io AuthenticationConfiguration: issuers of tokens and who may be anonymous. Reading and checking; pure.

Follows pkg/apis/apiserver/validation. The --oidc-* flags become a configuration of one issuer.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kubetree.api.validation.errors import Errors
from kubetree.api.validation.jobs import domain_path
from kubetree.apiserver.authentication.oidc.claims import ClaimMapper, ClaimSource, Rule
from kubetree.apiserver.options.configuration_files import parse_configuration

Object = dict[str, Any]
API_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1")
ALGORITHMS = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")
"""That tokens may be signed with: keys that only the issuer has."""
_MOST_ISSUERS = 64
_PREFIXED = {"claim": str, "prefix": str, "expression": str}
_ISSUER = {
    "url": str,
    "discoveryURL": str,
    "certificateAuthority": str,
    "audiences": [str],
    "audienceMatchPolicy": str,
    "egressSelectorType": str,
}
_JWT = {
    "issuer": _ISSUER,
    "claimValidationRules": [{"claim": str, "requiredValue": str, "expression": str, "message": str}],
    "claimMappings": {
        "username": _PREFIXED,
        "groups": _PREFIXED,
        "uid": {"claim": str, "expression": str},
        "extra": [{"key": str, "valueExpression": str}],
    },
    "userValidationRules": [{"expression": str, "message": str}],
}
_SHAPE = {"jwt": [_JWT], "anonymous": {"enabled": bool, "conditions": [{"path": str}]}}
_RESERVED = ("kubernetes.io", "k8s.io")


@dataclass(frozen=True, slots=True)
class Anonymous:
    """`paths`: where anonymous requests are allowed; empty: everywhere."""

    enabled: bool
    paths: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Issuer:
    """`authority` is PEM, empty for the machine's own."""

    url: str
    audiences: tuple[str, ...]
    mapper: ClaimMapper
    discovery_url: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class AuthenticationConfiguration:
    """The file of --authentication-config, checked. `anonymous` None: it says nothing of it."""

    issuers: tuple[Issuer, ...] = ()
    anonymous: Anonymous | None = field(default=None)


def parse_authentication(text: bytes, service_account_issuers: Sequence[str]) -> AuthenticationConfiguration:
    """Raises ValueError for what cannot be used."""
    found = parse_configuration(text, "AuthenticationConfiguration", API_VERSIONS, _SHAPE)
    return authentication_of(found, service_account_issuers)


def authentication_of(found: Object, service_account_issuers: Sequence[str]) -> AuthenticationConfiguration:
    """`found` has the fields of an AuthenticationConfiguration. Raises ValueError."""
    faults: list[str] = []
    entries = found.get("jwt") or []
    issuers = [_issuer(entry, f"jwt[{i}]", faults, service_account_issuers) for i, entry in enumerate(entries)]
    faults += _list_faults(entries)
    anonymous = found.get("anonymous")
    if anonymous is not None and anonymous.get("conditions") and not anonymous.get("enabled"):
        faults.append("anonymous.conditions: Invalid value: enabled should be set to true when conditions are defined")
    if faults:
        raise ValueError(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    allowed = None
    if anonymous is not None:
        allowed = Anonymous(bool(anonymous.get("enabled")), frozenset(c.get("path") or "" for c in anonymous.get("conditions") or ()))
    return AuthenticationConfiguration(tuple(issuers), allowed)


def of_flags(
    issuer: str,
    client_id: str,
    *,
    authority: str = "",
    username_claim: str = "sub",
    username_prefix: str = "",
    groups_claim: str = "",
    groups_prefix: str = "",
    required_claims: Sequence[str] = (),
) -> Object:
    """What the --oidc-* flags mean, as the fields of a configuration. `required_claims` are `key=value`. Raises ValueError."""
    if not (issuer and client_id):
        raise ValueError("oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set")
    if not username_prefix and username_claim != "email":
        username_prefix = f"{issuer}#"
    prefix = "" if username_prefix == "-" else username_prefix
    mappings: Object = {"username": {"claim": username_claim, "prefix": prefix}}
    if groups_claim:
        mappings["groups"] = {"claim": groups_claim, "prefix": groups_prefix}
    rules = []
    for required in required_claims:
        claim, equals, value = required.partition("=")
        if not equals:
            raise ValueError(f"malformed pair in --oidc-required-claim, expect string=string: {required!r}")
        rules.append({"claim": claim.strip(), "requiredValue": value.strip()})
    where = {"url": issuer, "audiences": [client_id], "certificateAuthority": authority}
    return {"jwt": [{"issuer": where, "claimMappings": mappings, "claimValidationRules": rules}]}


def _issuer(entry: Object, at: str, faults: list[str], disallowed: Sequence[str]) -> Issuer:
    issuer = entry.get("issuer") or {}
    faults += _issuer_faults(issuer, f"{at}.issuer", disallowed)
    mappings = entry.get("claimMappings") or {}
    rules = entry.get("claimValidationRules") or []
    faults += _rule_faults(rules, f"{at}.claimValidationRules")
    faults += _mapping_faults(mappings, f"{at}.claimMappings")
    users = entry.get("userValidationRules") or []
    faults += _user_rule_faults(users, f"{at}.userValidationRules")
    mapper, problems = ClaimMapper.build(
        username=_mapping(mappings.get("username")),
        groups=_mapping(mappings.get("groups")),
        uid=_mapping(mappings.get("uid")),
        extra=[(e.get("key") or "", e.get("valueExpression") or "") for e in mappings.get("extra") or ()],
        required={rule["claim"]: rule.get("requiredValue") or "" for rule in rules if rule.get("claim")},
        rules=[Rule(r["expression"], r.get("message") or "") for r in rules if r.get("expression")],
        user_rules=[Rule(r["expression"], r.get("message") or "") for r in users if r.get("expression")],
    )
    faults += [f"{at}.{problem}" for problem in problems]
    return Issuer(
        issuer.get("url") or "",
        tuple(issuer.get("audiences") or ()),
        mapper,
        issuer.get("discoveryURL") or "",
        issuer.get("certificateAuthority") or "",
    )


def _mapping(given: Object | None) -> ClaimSource:
    given = given or {}
    return ClaimSource(given.get("claim") or "", given.get("prefix") or "", given.get("expression") or "")


def _list_faults(entries: Sequence[Object]) -> Iterator[str]:
    if len(entries) > _MOST_ISSUERS:
        yield f"jwt: Too many: {len(entries)}: must have at most {_MOST_ISSUERS} items"
    for name in ("url", "discoveryURL"):
        seen: set[str] = set()
        for i, entry in enumerate(entries):
            url = (entry.get("issuer") or {}).get(name)
            if url and url in seen:
                yield f'jwt[{i}].issuer.{name}: Duplicate value: "{url}"'
            seen.add(url or "")


def _issuer_faults(issuer: Object, at: str, disallowed: Sequence[str]) -> Iterator[str]:
    url, discovery = issuer.get("url") or "", issuer.get("discoveryURL") or ""
    if not url:
        yield f"{at}.url: Required value"
    else:
        if url in disallowed:
            yield f'{at}.url: Invalid value: "{url}": URL must not overlap with disallowed issuers: [{" ".join(sorted(disallowed))}]'
        yield from _url_faults(url, f"{at}.url")
    if discovery:
        if url and url.rstrip("/") == discovery.rstrip("/"):
            yield f'{at}.discoveryURL: Invalid value: "{discovery}": discoveryURL must be different from URL'
        yield from _url_faults(discovery, f"{at}.discoveryURL")
    yield from _audience_faults(issuer.get("audiences") or [], issuer.get("audienceMatchPolicy") or "", at)
    if issuer.get("certificateAuthority") and not _is_pem(issuer["certificateAuthority"]):
        yield f'{at}.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates'
    egress = issuer.get("egressSelectorType")
    if egress:
        why = "egress selection is not supported by this server" if egress in ("controlplane", "cluster") else ""
        yield f'{at}.egressSelectorType: Invalid value: "{egress}": {why or "egress selector must be either controlplane or cluster"}'


def _url_faults(url: str, at: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield f'{at}: Invalid value: "{url}": {error}'
        return
    wrong = {
        "URL scheme must be https": parts.scheme != "https",
        "URL must not contain a username or password": "@" in parts.netloc,
        "URL must not contain a query": bool(parts.query),
        "URL must not contain a fragment": bool(parts.fragment),
    }
    yield from (f'{at}: Invalid value: "{url}": {why}' for why, is_so in wrong.items() if is_so)


def _audience_faults(audiences: Sequence[str], policy: str, at: str) -> Iterator[str]:
    if not audiences:
        yield f"{at}.audiences: Required value: at least one {at}.audiences is required"
        return
    for i, audience in enumerate(audiences):
        if not audience:
            yield f"{at}.audiences[{i}]: Required value"
        if audience in audiences[:i]:
            yield f'{at}.audiences[{i}]: Duplicate value: "{audience}"'
    if len(audiences) > 1 and policy != "MatchAny":
        yield f'{at}.audienceMatchPolicy: Invalid value: "{policy}": audienceMatchPolicy must be MatchAny for multiple audiences'
    if len(audiences) == 1 and policy not in ("", "MatchAny"):
        yield f'{at}.audienceMatchPolicy: Invalid value: "{policy}": audienceMatchPolicy must be empty or MatchAny for single audience'


def _rule_faults(rules: Sequence[Object], at: str) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for i, rule in enumerate(rules):
        here, claim, expression = f"{at}[{i}]", rule.get("claim") or "", rule.get("expression") or ""
        if claim and expression:
            yield f'{here}: Invalid value: "{claim}": claim and expression can\'t both be set'
        elif not claim and not expression:
            yield f"{here}: Required value: claim or expression is required"
        elif claim and rule.get("message"):
            yield f'{here}.message: Invalid value: "{rule["message"]}": may not be specified when claim is set'
        elif expression and rule.get("requiredValue"):
            yield f'{here}.requiredValue: Invalid value: "{rule["requiredValue"]}": may not be specified when expression is set'
        for kind, value in (("claim", claim), ("expression", expression)):
            if value and (kind, value) in seen:
                yield f'{here}.{kind}: Duplicate value: "{value}"'
            seen.add((kind, value))


def _mapping_faults(mappings: Object, at: str) -> Iterator[str]:
    for name in ("username", "groups"):
        given, here = mappings.get(name) or {}, f"{at}.{name}"
        claim, expression = given.get("claim") or "", given.get("expression") or ""
        if claim and expression:
            yield f'{here}: Invalid value: "": claim and expression can\'t both be set'
        elif not claim and not expression and name == "username":
            yield f"{here}: Required value: claim or expression is required"
        elif expression and given.get("prefix") is not None:
            yield f'{here}.prefix: Invalid value: "{given["prefix"]}": may not be specified when expression is set'
        elif claim and given.get("prefix") is None:
            why = "prefix is required when claim is set. It can be set to an empty string to disable prefixing"
            yield f"{here}.prefix: Required value: {why}"
    uid = mappings.get("uid") or {}
    if uid.get("claim") and uid.get("expression"):
        yield f'{at}.uid: Invalid value: "": claim and expression can\'t both be set'
    yield from _extra_faults(mappings.get("extra") or [], f"{at}.extra")


def _extra_faults(extra: Sequence[Object], at: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, entry in enumerate(extra):
        key, here = entry.get("key") or "", f"{at}[{i}]"
        errors: Errors = []
        domain_path(errors, key, f"{here}.key")
        yield from (str(error) for error in errors)
        if key != key.lower():
            yield f'{here}.key: Invalid value: "{key}": must be lowercase'
        domain = key.partition("/")[0] if "/" in key else ""
        if domain in _RESERVED or domain.endswith(tuple(f".{name}" for name in _RESERVED)):
            yield f'{here}.key: Invalid value: "{key}": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use'
        if key in seen:
            yield f'{here}.key: Duplicate value: "{key}"'
        elif not entry.get("valueExpression"):
            yield f"{here}.valueExpression: Required value"
        seen.add(key)


def _user_rule_faults(rules: Sequence[Object], at: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, rule in enumerate(rules):
        expression = rule.get("expression") or ""
        if not expression:
            yield f"{at}[{i}].expression: Required value"
        elif expression in seen:
            yield f'{at}[{i}].expression: Duplicate value: "{expression}"'
        seen.add(expression)


def _is_pem(text: str) -> bool:
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError):
        return False
    return True
