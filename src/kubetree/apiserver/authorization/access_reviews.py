"""May someone do something: the answers of the authorization.k8s.io reviews. Pure but for the authorizer that is asked.

Follows pkg/registry/authorization and pkg/apis/authorization/validation.
"""

from __future__ import annotations

import json
from typing import Any

from kubetree.api.errors import BadRequest, Cause, invalid
from kubetree.apiserver.authentication.user import User, node_name
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Authorizer, Decision
from kubetree.apiserver.authorization.rbac import RBAC

GROUP = "authorization.k8s.io"
_NODE_RULES = "node authorizer does not support user rule resolution"

Object = dict[str, Any]


def review_access(review: Object, asking: User, namespace: str, authorizer: Authorizer) -> Object:
    """A SubjectAccessReview, LocalSubjectAccessReview (`namespace` is the URL's) or SelfSubjectAccessReview with its status.

    Raises Invalid, BadRequest.
    """
    kind, spec = review["kind"], review.get("spec") or {}
    causes = _spec_causes(spec, names_user=kind != "SelfSubjectAccessReview") + _metadata_causes(review, local=kind.startswith("Local"))
    if kind == "LocalSubjectAccessReview":
        causes += _local_causes(spec, review["metadata"].get("namespace", ""))
    if causes:
        raise invalid(kind, GROUP, "", causes)
    if kind == "LocalSubjectAccessReview" and review["metadata"].get("namespace", "") != namespace:
        raise BadRequest(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
    user = asking if kind == "SelfSubjectAccessReview" else _user(spec)
    answer = authorizer.authorize(question(user, spec))
    return review | {"status": _status(answer)}


def review_rules(review: Object, asking: User, rbac: RBAC | None) -> Object:
    """A SelfSubjectRulesReview. Raises BadRequest without a namespace."""
    namespace = (review.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise BadRequest("no namespace on request")
    rules = [grant.rule for grant in rbac.grants(asking, namespace)] if rbac is not None else []
    errors = [rbac.errors(asking, namespace)] if rbac is not None else []
    is_node = node_name(asking) is not None
    errors = [error for error in [_NODE_RULES if is_node else "", *errors] if error]
    resource_rules = [_resource_rule(rule.to_dict()) for rule in rules if rule.resources]
    other_rules = [{"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)} for rule in rules if rule.urls]
    status: Object = {"resourceRules": resource_rules, "nonResourceRules": other_rules, "incomplete": is_node}
    if errors:
        status["evaluationError"] = errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"
    return {"kind": review["kind"], "apiVersion": review["apiVersion"], "metadata": {}, "spec": {}, "status": status}


def question(user: User, spec: Object) -> Attributes:
    """What a review's spec asks of an authorizer."""
    asked = spec.get("resourceAttributes")
    if asked is None:
        path = spec.get("nonResourceAttributes") or {}
        return Attributes(user, path.get("verb", ""), path=path.get("path", ""))
    return Attributes(
        user,
        asked.get("verb", ""),
        group=asked.get("group", ""),
        version=asked.get("version") or "*",
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
        field_selector=_selector(asked.get("fieldSelector")),
        label_selector=_selector(asked.get("labelSelector")),
    )


def _status(answer: Answer) -> Object:
    status: Object = {"allowed": answer.decision is Decision.ALLOW}
    if answer.decision is Decision.DENY:
        status["denied"] = True
    if answer.reason:
        status["reason"] = answer.reason
    return status


def _user(spec: Object) -> User:
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)


def _selector(stated: Object | None) -> str:
    """Requirements of one value become `key=value`; others are left out, which asks for more than was meant, never for less."""
    if not stated:
        return ""
    if stated.get("rawSelector"):
        return str(stated["rawSelector"])
    signs = {"In": "=", "NotIn": "!="}
    requirements = stated.get("requirements") or ()
    return ",".join(
        f"{found['key']}{signs[found['operator']]}{found['values'][0]}"
        for found in requirements
        if found.get("operator") in signs and len(found.get("values") or ()) == 1
    )


def _resource_rule(rule: Object) -> Object:
    fields = ("verbs", "apiGroups", "resources", "resourceNames")
    return {field: rule[field] for field in fields if field in rule}


def _spec_causes(spec: Object, *, names_user: bool) -> list[Cause]:
    causes = []
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        causes.append(_invalid("spec.nonResourceAttributes", other, "cannot be specified in combination with resourceAttributes"))
    if resource is None and other is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(_invalid("spec.resourceAttributes", None, detail))
    if names_user and not spec.get("user") and not spec.get("groups"):
        causes.append(_invalid("spec.user", "", "at least one of user or group must be specified"))
    for name in ("fieldSelector", "labelSelector"):
        selector, field = (resource or {}).get(name), f"spec.resourceAttributes.{name}"
        if selector is None:
            continue
        raw, requirements = selector.get("rawSelector"), selector.get("requirements")
        if raw and requirements:
            causes.append(_invalid(f"{field}.rawSelector", raw, "may not specified at the same time as requirements"))
        if not raw and not requirements:
            message = f"Required value: when {field} is specified, requirements or rawSelector is required"
            causes.append(Cause("FieldValueRequired", message, f"{field}.requirements"))
    return causes


def _metadata_causes(review: Object, *, local: bool) -> list[Cause]:
    ignored = {"managedFields", "creationTimestamp", "namespace"} if local else {"managedFields", "creationTimestamp"}
    metadata = {key: value for key, value in (review.get("metadata") or {}).items() if key not in ignored and value}
    if not metadata:
        return []
    return [_invalid("metadata", review["metadata"], "must be empty except for namespace" if local else "must be empty")]


def _local_causes(spec: Object, namespace: str) -> list[Cause]:
    causes = []
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and resource.get("namespace", "") != namespace:
        causes.append(_invalid("spec.resourceAttributes.namespace", resource.get("namespace", ""), "must match metadata.namespace"))
    if other is not None:
        causes.append(_invalid("spec.nonResourceAttributes", other, "disallowed on this kind of request"))
    return causes


def _invalid(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {json.dumps(value, separators=(',', ':'))}: {detail}", field)
