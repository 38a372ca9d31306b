"""What extends the API server: webhooks, policies, custom resource definitions, aggregated APIs."""

from __future__ import annotations

from typing import Any

from kubetree.api.objects import whole_numbers


def _selectors(parent: dict[str, Any]) -> None:
    if parent.get("matchPolicy") is None:
        parent["matchPolicy"] = "Equivalent"
    for name in ("namespaceSelector", "objectSelector"):
        if parent.get(name) is None:
            parent[name] = {}


def _scopes(rules: list[dict[str, Any]] | None) -> None:
    for rule in rules or ():
        if rule.get("scope") is None:
            rule["scope"] = "*"


def _service_port(client_config: dict[str, Any] | None) -> None:
    service = (client_config or {}).get("service")
    if service is not None and service.get("port") is None:
        service["port"] = 443


def validating_webhook_configuration(obj: dict[str, Any]) -> None:
    for webhook in obj.get("webhooks") or ():
        if webhook.get("failurePolicy") is None:
            webhook["failurePolicy"] = "Fail"
        _selectors(webhook)
        if webhook.get("timeoutSeconds") is None:
            webhook["timeoutSeconds"] = 10
        _scopes(webhook.get("rules"))
        _service_port(webhook.get("clientConfig"))


def mutating_webhook_configuration(obj: dict[str, Any]) -> None:
    validating_webhook_configuration(obj)
    for webhook in obj.get("webhooks") or ():
        if webhook.get("reinvocationPolicy") is None:
            webhook["reinvocationPolicy"] = "Never"


def _match_resources(match: dict[str, Any] | None) -> None:
    if match is not None:
        _selectors(match)
        _scopes(match.get("resourceRules"))
        _scopes(match.get("excludeResourceRules"))


def admission_policy(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("failurePolicy") is None:
        spec["failurePolicy"] = "Fail"
    _match_resources(spec.get("matchConstraints"))


def admission_policy_binding(obj: dict[str, Any]) -> None:
    _match_resources(obj.setdefault("spec", {}).get("matchResources"))


def alpha_mutating_policy_binding(obj: dict[str, Any]) -> None:
    """At v1alpha1, which says what becomes of a policy whose parameters are not found."""
    admission_policy_binding(obj)
    reference = obj["spec"].get("paramRef")
    if reference is not None and reference.get("parameterNotFoundAction") is None:
        reference["parameterNotFoundAction"] = "Deny"


def custom_resource_definition(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if not names.get("singular"):
        names["singular"] = (names.get("kind") or "").lower()
    if not names.get("listKind") and names.get("kind"):
        names["listKind"] = names["kind"] + "List"
    conversion = spec.get("conversion")
    if conversion is None:
        conversion = spec["conversion"] = {"strategy": "None"}
    _service_port((conversion.get("webhook") or {}).get("clientConfig"))
    for version in spec.get("versions") or ():
        whole_numbers(version.get("schema"))
    status = obj.setdefault("status", {})
    if not status.get("storedVersions"):
        stored = [v.get("name") or "" for v in spec.get("versions") or () if v.get("storage")]
        if stored:
            status["storedVersions"] = stored[:1]


def api_service(obj: dict[str, Any]) -> None:
    service = obj.setdefault("spec", {}).get("service")
    if service is not None and service.get("port") is None:
        service["port"] = 443
