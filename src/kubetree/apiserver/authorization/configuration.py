"""apiserver.config.k8s.io AuthorizationConfiguration: which authorizers, in which order. Reading and checking; pure but for looking
whether the kubeconfig files are there.

Follows pkg/apis/apiserver/validation and pkg/kubeapiserver/authorizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubetree.api.times import format_duration, parse_duration
from kubetree.api.validation.names import dns_subdomain
from kubetree.apiserver.options.configuration_files import parse_configuration

Object = dict[str, Any]
API_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1")
MODES = ("ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook")
WEBHOOK = "Webhook"
_MOST_CONDITIONS = 64
_LONGEST_TIMEOUT = 30.0
_TTLS = {"authorizedTTL": "5m", "unauthorizedTTL": "30s"}
_WEBHOOK = {
    "authorizedTTL": str,
    "cacheAuthorizedRequests": bool,
    "unauthorizedTTL": str,
    "cacheUnauthorizedRequests": bool,
    "timeout": str,
    "subjectAccessReviewVersion": str,
    "matchConditionSubjectAccessReviewVersion": str,
    "failurePolicy": str,
    "connectionInfo": {"type": str, "kubeConfigFile": str},
    "matchConditions": [{"expression": str}],
}
_SHAPE = {"authorizers": [{"type": str, "name": str, "webhook": _WEBHOOK}]}


@dataclass(frozen=True, slots=True)
class WebhookConfiguration:
    """Times are seconds; a TTL of 0 keeps no answers of that kind."""

    kubeconfig: Path
    version: str
    timeout: float
    authorized_ttl: float
    unauthorized_ttl: float
    denies_on_error: bool = False
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizerConfiguration:
    type: str
    name: str
    webhook: WebhookConfiguration | None = None


def parse_authorization(text: bytes, required: Sequence[str] = ()) -> list[AuthorizerConfiguration]:
    """`required` are the types that must be there besides webhooks. Raises ValueError for what cannot be used."""
    try:
        entries = parse_configuration(text, "AuthorizationConfiguration", API_VERSIONS, _SHAPE).get("authorizers") or []
    except ValueError as error:
        raise ValueError(f"failed to load AuthorizationConfiguration from file: {error}") from error
    faults = list(_faults(entries)) or list(_house_faults(entries, required))
    if faults:
        raise ValueError(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    return [AuthorizerConfiguration(entry["type"], entry["name"], _webhook(entry.get("webhook"))) for entry in entries]


def _webhook(config: Object | None) -> WebhookConfiguration | None:
    if config is None:
        return None
    authorized, unauthorized = (_ttl(config, field) for field in _TTLS)
    return WebhookConfiguration(
        Path(config["connectionInfo"]["kubeConfigFile"]),
        config["subjectAccessReviewVersion"],
        parse_duration(config["timeout"]),
        authorized if config.get("cacheAuthorizedRequests", True) else 0.0,
        unauthorized if config.get("cacheUnauthorizedRequests", True) else 0.0,
        config["failurePolicy"] == "Deny",
        tuple(condition["expression"] for condition in config.get("matchConditions") or ()),
    )


def _ttl(config: Object, field: str) -> float:
    """Unset and zero both mean the default."""
    given = config.get(field)
    return (parse_duration(given) if given else 0.0) or parse_duration(_TTLS[field])


def _faults(entries: Sequence[Object]) -> Iterator[str]:
    if not entries:
        yield "authorizers: Required value: at least one authorization mode must be defined"
    types: set[str] = set()
    names: set[str] = set()
    for i, entry in enumerate(entries):
        at, type_, name = f"authorizers[{i}]", entry.get("type") or "", entry.get("name") or ""
        if not type_:
            yield f"{at}.type: Required value"
            continue
        if type_ not in MODES:
            yield f'{at}.type: Unsupported value: "{type_}": supported values: {_listed(MODES)}'
            continue
        if type_ in types and type_ != WEBHOOK:
            yield f'{at}.type: Duplicate value: "{type_}"'
            continue
        types.add(type_)
        if not name:
            yield f"{at}.name: Required value"
        elif name in names:
            yield f'{at}.name: Duplicate value: "{name}"'
        elif problems := dns_subdomain(name):
            yield f'{at}.name: Invalid value: "{name}": authorizer name is invalid: {", ".join(problems)}'
        names.add(name)
        webhook = entry.get("webhook")
        if type_ == WEBHOOK:
            missing = [f"{at}.webhook: Required value: required when type=Webhook"]
            yield from _webhook_faults(webhook, at) if webhook is not None else missing
        elif webhook is not None:
            yield f'{at}.webhook: Invalid value: "non-null": may only be specified when type=Webhook'


def _webhook_faults(config: Object, at: str) -> Iterator[str]:
    yield from _time_faults(config, at)
    yield from _one_of(config.get("subjectAccessReviewVersion"), ("v1", "v1beta1"), f"{at}.subjectAccessReviewVersion")
    conditions = config.get("matchConditions") or ()
    version, where = config.get("matchConditionSubjectAccessReviewVersion"), f"{at}.matchConditionSubjectAccessReviewVersion"
    if not version and conditions:
        yield f"{where}: Required value: required if match conditions are specified"
    elif version:
        yield from _one_of(version, ("v1",), where)
    yield from _one_of(config.get("failurePolicy"), ("NoOpinion", "Deny"), f"{at}.failurePolicy")
    yield from _connection_faults(config.get("connectionInfo") or {}, f"{at}.connectionInfo")
    if len(conditions) > _MOST_CONDITIONS:
        yield f"{at}.matchConditions: Too many: {len(conditions)}: must have at most {_MOST_CONDITIONS} items"
        return
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        expression = condition.get("expression") or ""
        if not expression.strip():
            yield f"{at}.matchConditions[{i}].expression: Required value"
        elif expression in seen:
            yield f'{at}.matchConditions[{i}].expression: Duplicate value: "{expression}"'
        seen.add(expression)


def _time_faults(config: Object, at: str) -> Iterator[str]:
    for field in ("timeout", *_TTLS):
        text = config.get(field) or ""
        try:
            seconds = parse_duration(text) if text else 0.0
        except ValueError as error:
            yield f'{at}.{field}: Invalid value: "{text}": {error}'
            continue
        if field == "timeout" and not seconds:
            yield f"{at}.timeout: Required value"
        elif field == "timeout" and not 0 < seconds <= _LONGEST_TIMEOUT:
            yield f'{at}.timeout: Invalid value: "{format_duration(seconds)}": must be > 0s and <= 30s'
        elif seconds < 0:
            yield f'{at}.{field}: Invalid value: "{format_duration(seconds)}": must be > 0s'


def _connection_faults(info: Object, at: str) -> Iterator[str]:
    type_, file = info.get("type") or "", info.get("kubeConfigFile")
    if type_ == "InClusterConfig":
        if file is not None:
            yield f'{at}.kubeConfigFile: Invalid value: "{file}": can only be set when type=KubeConfigFile'
        else:
            yield f'{at}.type: Invalid value: "{type_}": the API server itself has no in-cluster configuration, use KubeConfigFile'
    elif type_ == "KubeConfigFile":
        if not file:
            yield f"{at}.kubeConfigFile: Required value"
        elif not file.startswith("/"):
            yield f'{at}.kubeConfigFile: Invalid value: "{file}": must be an absolute path'
        elif not Path(file).exists():
            yield f'{at}.kubeConfigFile: Invalid value: "{file}": error loading file: stat {file}: no such file or directory'
        elif not Path(file).is_file():
            yield f'{at}.kubeConfigFile: Invalid value: "{file}": must be a regular file'
    else:
        yield from _one_of(type_, ("InClusterConfig", "KubeConfigFile"), f"{at}.type")


def _one_of(value: Any, supported: Sequence[str], at: str) -> Iterator[str]:
    if not value:
        yield f"{at}: Required value"
    elif value not in supported:
        yield f'{at}: Unsupported value: "{value}": supported values: {_listed(supported)}'


def _house_faults(entries: Sequence[Object], required: Sequence[str]) -> Iterator[str]:
    """kube-apiserver's own rules: authorizers other than webhooks are named after their type, and may not go while it runs."""
    for entry in entries:
        expected = entry["type"].lower()
        if entry["type"] != WEBHOOK and entry["name"] != expected:
            yield f"expected name {expected} for authorizer {entry['type']} instead of {entry['name']}"
    missing = sorted(set(required) - {entry["type"] for entry in entries})
    if missing:
        yield f"missing required types: [{' '.join(missing)}]"


def _listed(values: Sequence[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)
