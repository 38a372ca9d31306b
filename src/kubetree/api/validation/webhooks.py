"""Webhook configurations, and what they share with admission policies and conversion webhooks."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from kubetree.api.cel import BOOL, Environment, Type
from kubetree.api.policy_expressions import Scope, compiled, environment
from kubetree.api.validation.errors import Errors, Object, duplicate, each, internal, invalid, not_supported, required, too_many
from kubetree.api.validation.metadata import label_selector
from kubetree.api.validation.names import dns_1035_label, dns_subdomain, label_key, port_number
from kubetree.api.validation.rules import Check

Thing = dict[str, Any]
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_REVIEW_VERSIONS = ("v1", "v1beta1")
_PEM = re.compile(rb"-----BEGIN ([^\n]*?)-----\s([A-Za-z0-9+/=\s]*)-----END \1-----")
_URL_FORM = "desired format: https://host[/path]"


def fully_qualified_name(errs: Errors, name: str, path: str) -> None:
    """A domain of three segments at least."""
    bad = dns_subdomain(name) if name else ()
    if not name:
        errs.append(required(path))
    elif bad:
        errs.append(invalid(path, name, ",".join(bad)))
    elif name.count(".") < 2:
        errs.append(invalid(path, name, "should be a domain with at least three segments separated by dots"))


def webhook_url(errs: Errors, text: str, path: str) -> None:
    try:
        url = urlsplit(text)
    except ValueError as error:
        errs.append(required(path, f"url must be a valid URL: {error}; {_URL_FORM}"))
        return
    if url.scheme != "https":
        errs.append(invalid(path, url.scheme, f"'https' is the only allowed URL scheme; {_URL_FORM}"))
    if not url.netloc:
        errs.append(invalid(path, url.netloc, f"host must be specified; {_URL_FORM}"))
    if "@" in url.netloc:
        errs.append(invalid(path, url.netloc.rpartition("@")[0], "user information is not permitted in the URL"))
    if url.fragment:
        errs.append(invalid(path, url.fragment, "fragments are not permitted in the URL"))
    if url.query:
        errs.append(invalid(path, url.query, "query parameters are not permitted in the URL"))


def ca_bundle_problem(bundle: str) -> str:
    """Why clients could trust nobody by a `caBundle` (base64 of PEM), in Go's words; '' when they could, or when it is empty."""
    data = base64.b64decode(bundle)
    if not data:
        return ""
    blocks = [match.groups() for match in _PEM.finditer(data)]
    certificates = [body for label, body in blocks if label == b"CERTIFICATE"]
    if any(map(_is_certificate, certificates)):
        return ""
    problem = "no valid certificate authority data seen" if blocks else "unable to parse bytes as PEM block"
    if certificates:
        problem = "failed to parse certificate: x509: malformed certificate"
    return f"unable to load root certificates: {problem}"


def _is_certificate(body: bytes) -> bool:
    try:
        x509.load_der_x509_certificate(base64.b64decode(body))
    except ValueError:
        return False
    return True


def webhook_service(errs: Errors, service: Object, path: str) -> None:
    """A missing namespace is told of as the name and the other way round, as upstream does."""
    if not service.get("namespace"):
        errs.append(required(f"{path}.name"))
    if not service.get("name"):
        errs.append(required(f"{path}.namespace"))
    port = service.get("port") or 0
    bad = port_number(port)
    if bad:
        errs.append(invalid(f"{path}.port", port, f"port is not valid: {', '.join(bad)}"))
    if service.get("path"):
        _url_path(errs, service["path"], f"{path}.path")


def _url_path(errs: Errors, where: str, path: str) -> None:
    if where == "/":
        return
    if where == "//":
        errs.append(invalid(path, where, "segment[0] may not be empty"))
        return
    if not where.startswith("/"):
        errs.append(invalid(path, where, "must start with a '/'"))
    for i, step in enumerate(where[1:].removesuffix("/").split("/")):
        if not step:
            errs.append(invalid(path, where, f"segment[{i}] may not be empty"))
            continue
        for message in dns_subdomain(step):
            errs.append(invalid(path, where, f"segment[{i}]: {message}"))


def client_config(errs: Errors, config: Object, path: str) -> None:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        errs.append(required(path, "exactly one of url or service is required"))
    elif url is not None:
        webhook_url(errs, url, f"{path}.url")
    else:
        webhook_service(errs, service or {}, f"{path}.service")


def _resources(errs: Errors, resources: list[str], path: str) -> None:
    if not resources:
        errs.append(required(path))
    any_subresource: set[str] = set()
    any_resource: set[str] = set()
    plain = False
    for i, entry in enumerate(resources):
        if not entry:
            errs.append(required(f"{path}[{i}]"))
            continue
        resource, slash, sub = entry.partition("/")
        if not slash:
            plain = entry != "*"
            continue
        if resource in any_subresource:
            errs.append(invalid(f"{path}[{i}]", entry, f"if '{resource}/*' is present, must not specify {entry}"))
        if sub in any_resource:
            errs.append(invalid(f"{path}[{i}]", entry, f"if '*/{sub}' is present, must not specify {entry}"))
        if sub == "*":
            any_subresource.add(resource)
        if resource == "*":
            any_resource.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        errs.append(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and plain:
        errs.append(invalid(path, resources, "if '*' is present, must not specify other resources without subresources"))


def rule_with_operations(errs: Errors, rule: Object, path: str) -> None:
    operations = rule.get("operations") or []
    if not operations:
        errs.append(required(f"{path}.operations"))
    if len(operations) > 1 and "*" in operations:
        errs.append(invalid(f"{path}.operations", operations, "if '*' is present, must not specify other operations"))
    for i, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            errs.append(not_supported(f"{path}.operations[{i}]", operation, _OPERATIONS))
    for name, shown in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(name) or []
        if not values:
            errs.append(required(f"{path}.{name}"))
        if len(values) > 1 and "*" in values:
            errs.append(invalid(f"{path}.{name}", values, f"if '*' is present, must not specify other {shown}"))
    for i, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            errs.append(required(f"{path}.apiVersions[{i}]"))
    _resources(errs, rule.get("resources") or [], f"{path}.resources")
    scope = rule.get("scope")
    if scope is not None and scope not in ("*", "Cluster", "Namespaced"):
        errs.append(not_supported(f"{path}.scope", scope, ("*", "Cluster", "Namespaced")))


def match_conditions(errs: Errors, values: list[Object], path: str, *, params: bool = False) -> None:
    """`params`: the expressions belong to a policy that has parameters."""
    if len(values) > 64:
        errs.append(too_many(path, len(values), 64))
    names: set[str] = set()
    for i, condition in enumerate(values):
        name = condition.get("name") or ""
        expression = (condition.get("expression") or "").strip()
        if not expression:
            errs.append(required(f"{path}[{i}].expression"))
        else:
            compiles(errs, expression, f"{path}[{i}].expression", environment(Scope(params=params)), BOOL)
        if not name:
            errs.append(required(f"{path}[{i}].name"))
            continue
        each(errs, f"{path}[{i}].name", name, label_key(name))
        if name in names:
            errs.append(duplicate(f"{path}[{i}].name", name))
        names.add(name)


def compiles(errs: Errors, expression: str, path: str, scope: Environment, *expected: Type, shown: str = "") -> Type | None:
    """The type of an expression, which must be one of `expected`; None for one that does not compile. `shown` is the expression as
    it was written."""
    found = compiled(scope, expression, *expected)
    if found.error:
        errs.append(internal(path, found.error) if found.internal else invalid(path, shown or expression, found.error))
    return found.type


def _review_versions(errs: Errors, versions: list[str], path: str) -> None:
    accepted = ", ".join(_REVIEW_VERSIONS)
    if not versions:
        errs.append(required(path, f"must specify one of {accepted}"))
        return
    for i, version in enumerate(versions):
        if version in versions[:i]:
            errs.append(invalid(f"{path}[{i}]", version, "duplicate version"))
            continue
        each(errs, f"{path}[{i}]", version, dns_1035_label(version))
    if not set(versions) & set(_REVIEW_VERSIONS):
        errs.append(invalid(path, versions, f"must include at least one of {accepted}"))


def enum(errs: Errors, parent: Object, path: str, name: str, *allowed: str) -> None:
    """An optional field with fixed values, which are named in sorted order."""
    value = parent.get(name)
    if value is not None and value not in allowed:
        errs.append(not_supported(f"{path}.{name}", value, allowed))


def _webhook(errs: Errors, hook: Object, path: str, mutating: bool) -> None:
    fully_qualified_name(errs, hook.get("name") or "", f"{path}.name")
    for i, rule in enumerate(hook.get("rules") or ()):
        rule_with_operations(errs, rule, f"{path}.rules[{i}]")
    enum(errs, hook, path, "failurePolicy", "Fail", "Ignore")
    enum(errs, hook, path, "matchPolicy", "Equivalent", "Exact")
    if hook.get("sideEffects") is None:
        errs.append(required(f"{path}.sideEffects", f"must specify one of {', '.join(_SIDE_EFFECTS)}"))
    enum(errs, hook, path, "sideEffects", *_SIDE_EFFECTS)
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        errs.append(invalid(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds"))
    for name in ("namespaceSelector", "objectSelector"):
        label_selector(errs, hook.get(name), f"{path}.{name}")
    if mutating:
        enum(errs, hook, path, "reinvocationPolicy", "IfNeeded", "Never")
    client_config(errs, hook.get("clientConfig") or {}, f"{path}.clientConfig")
    match_conditions(errs, hook.get("matchConditions") or [], f"{path}.matchConditions")
    _review_versions(errs, hook.get("admissionReviewVersions") or [], f"{path}.admissionReviewVersions")


def configuration(mutating: bool) -> Check:
    def check(errs: Errors, obj: Thing) -> None:
        names: set[str] = set()
        for i, hook in enumerate(obj.get("webhooks") or ()):
            name = hook.get("name") or ""
            _webhook(errs, hook, f"webhooks[{i}]", mutating)
            if name and name in names:
                errs.append(duplicate(f"webhooks[{i}].name", name))
            names.add(name)

    return check
