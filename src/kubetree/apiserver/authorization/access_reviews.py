"""May someone do something: the answers of the authorization.k8s.io reviews. Pure but for the authorizer that is asked.

Follows pkg/registry/authorization and pkg/apis/authorization/validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubetree.api.errors import BadRequest, Cause, invalid
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Authorizer, Decision
from kubetree.apiserver.authorization.rules import RuleSource
from kubetree.apiserver.authorization.selectors import field_selector_text, invalid_field, joined, label_selector_text, selector_causes

GROUP = "authorization.k8s.io"

Object = dict[str, Any]


def review_access(review: Object, asking: User, namespace: str, authorizer: Authorizer) -> Object:
    """A SubjectAccessReview, LocalSubjectAccessReview (`namespace` is the URL's) or SelfSubjectAccessReview with its status.

    Raises Invalid, which as upstream's does not name the kind, and BadRequest.
    """
    kind, spec = review["kind"], review.get("spec") or {}
    causes = _spec_causes(spec, names_user=kind != "SelfSubjectAccessReview") + _metadata_causes(review, local=kind.startswith("Local"))
    if kind == "LocalSubjectAccessReview":
        causes += _local_causes(spec, review["metadata"].get("namespace", ""))
    if causes:
        raise invalid("", GROUP, "", causes)
    if kind == "LocalSubjectAccessReview" and review["metadata"].get("namespace", "") != namespace:
        raise BadRequest(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
    user = asking if kind == "SelfSubjectAccessReview" else _user(spec)
    asked, complaints = question(user, spec)
    return review | {"status": _status(authorizer.authorize(asked), complaints)}


def review_rules(review: Object, asking: User, sources: Sequence[RuleSource]) -> Object:
    """A SelfSubjectRulesReview, of what each authorizer can tell. Raises BadRequest without a namespace."""
    namespace = (review.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise BadRequest("no namespace on request")
    told = [source.rules_of(asking, namespace) for source in sources]
    rules = [rule for part in told for rule in part.rules]
    errors = list(dict.fromkeys(part.error for part in told if part.error))
    resource_rules = [_resource_rule(rule.to_dict()) for rule in rules if rule.resources]
    other_rules = [{"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)} for rule in rules if rule.urls]
    incomplete = any(part.incomplete for part in told)
    status: Object = {"resourceRules": resource_rules, "nonResourceRules": other_rules, "incomplete": incomplete}
    if errors:
        status["evaluationError"] = errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"
    return {"kind": review["kind"], "apiVersion": review["apiVersion"], "metadata": {}, "spec": {}, "status": status}


def question(user: User, spec: Object) -> tuple[Attributes, str]:
    """What a review's spec asks of an authorizer, and what is to be said of selectors that could not be understood."""
    asked = spec.get("resourceAttributes")
    if asked is None:
        path = spec.get("nonResourceAttributes") or {}
        return Attributes(user, path.get("verb", ""), path=path.get("path", "")), ""
    fields, field_complaint = field_selector_text(asked.get("fieldSelector"))
    labels, label_complaint = label_selector_text(asked.get("labelSelector"))
    attributes = Attributes(
        user,
        asked.get("verb", ""),
        group=asked.get("group", ""),
        version=asked.get("version") or "*",
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
        field_selector=fields,
        label_selector=labels,
    )
    return attributes, joined((field_complaint, label_complaint))


def _status(answer: Answer, complaints: str) -> Object:
    status: Object = {"allowed": answer.decision is Decision.ALLOW}
    if answer.decision is Decision.DENY:
        status["denied"] = True
    if answer.reason:
        status["reason"] = answer.reason
    if error := joined((answer.error, complaints)):
        status["evaluationError"] = error
    return status


def _user(spec: Object) -> User:
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)


def _resource_rule(rule: Object) -> Object:
    fields = ("verbs", "apiGroups", "resources", "resourceNames")
    return {field: rule[field] for field in fields if field in rule}


def _spec_causes(spec: Object, *, names_user: bool) -> list[Cause]:
    causes = []
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        causes.append(
            invalid_field("spec.nonResourceAttributes", _go_struct(other), "cannot be specified in combination with resourceAttributes")
        )
    if resource is None and other is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(invalid_field("spec.resourceAttributes", None, detail))
    if names_user and not spec.get("user") and not spec.get("groups"):
        causes.append(invalid_field("spec.user", "", "at least one of user or group must be specified"))
    causes += selector_causes(resource or {})
    return causes


def _metadata_causes(review: Object, *, local: bool) -> list[Cause]:
    ignored = {"managedFields", "creationTimestamp", "namespace"} if local else {"managedFields", "creationTimestamp"}
    metadata = {key: value for key, value in (review.get("metadata") or {}).items() if key not in ignored and value}
    if not metadata:
        return []
    return [invalid_field("metadata", review["metadata"], "must be empty except for namespace" if local else "must be empty")]


def _local_causes(spec: Object, namespace: str) -> list[Cause]:
    causes = []
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and resource.get("namespace", "") != namespace:
        causes.append(invalid_field("spec.resourceAttributes.namespace", resource.get("namespace", ""), "must match metadata.namespace"))
    if other is not None:
        causes.append(invalid_field("spec.nonResourceAttributes", _go_struct(other), "disallowed on this kind of request"))
    return causes


def _go_struct(attributes: Object) -> Object:
    """As upstream shows a value of its internal type, which has no JSON names."""
    return {"Path": attributes.get("path", ""), "Verb": attributes.get("verb", "")}
