"""The webhook authorizer: a SubjectAccessReview posted to a server that a kubeconfig file names, its answers kept for a while.

Follows plugin/pkg/authorizer/webhook.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import orjson

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.attributes import Answer, AskElsewhere, Attributes, Decision, found
from kubetree.apiserver.authorization.rules import Rules
from kubetree.apiserver.authorization.selectors import field_requirements, label_requirements
from kubetree.apiserver.expiring import Expiring
from kubetree.apiserver.webhooks import CallFailed, Destination, WebhookClient, retried

log = logging.getLogger(__name__)
Object = dict[str, Any]
_GROUP = "authorization.k8s.io"
_LONGEST_CACHED = 10_000
"""Characters of what the requestor chose: longer questions are not remembered."""

NO_OPINION = Answer(Decision.NO_OPINION)


class Conditions(Protocol):
    """matchConditions."""

    def matches(self, spec: Object) -> bool:
        """Raises ValueError when none says no and one cannot be evaluated."""
        ...


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Times are seconds; 0 keeps no answer of that kind. `on_error` is the decision when there is no answer."""

    name: str
    destination: Destination
    version: str
    timeout: float
    authorized_ttl: float
    unauthorized_ttl: float
    on_error: Decision = Decision.NO_OPINION
    conditions: Conditions | None = None


class WebhookAuthorizer:
    """Answers from what the webhook said a while ago, else raises AskElsewhere. Long questions are not kept."""

    def __init__(self, settings: WebhookSettings, client: WebhookClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._client = settings, client
        self._known: Expiring[Answer] = Expiring(clock)

    def authorize(self, attributes: Attributes) -> Answer:
        spec = review_spec(attributes)
        settings = self._settings
        if settings.conditions is not None:
            try:
                if not settings.conditions.matches(spec):
                    return NO_OPINION
            except ValueError as error:
                return Answer(settings.on_error, "", str(error))
        key = orjson.dumps(spec)
        known = self._known.find(key)
        if known is not None:
            return known[0]
        answered = found((id(self), key))
        if answered is None:
            raise AskElsewhere((id(self), key), partial(self._ask, key, spec, cached=_is_short(attributes)))
        return answered

    def rules_of(self, user: User, namespace: str) -> Rules:
        return Rules(incomplete=True, error="webhook authorizer does not support user rule resolution")

    async def _ask(self, key: bytes, spec: Object, *, cached: bool) -> Answer:
        settings = self._settings
        api_version, sent = f"{_GROUP}/{settings.version}", spec if settings.version == "v1" else _in_v1beta1(spec)
        body: Object = {
            "kind": "SubjectAccessReview",
            "apiVersion": api_version,
            "metadata": {},
            "spec": sent,
            "status": {"allowed": False},
        }
        try:
            answer = await retried(partial(self._client.post, settings.destination, body, timeout=settings.timeout))
            status = _status(answer, api_version)
        except (CallFailed, ValueError) as error:
            log.error("Failed to make webhook authorizer request: %s", error)
            return Answer(settings.on_error, "", str(error))
        ttl = settings.authorized_ttl if status.get("allowed") else settings.unauthorized_ttl
        decided = _decided(status)
        if ttl and cached:
            self._known.keep(key, decided, ttl)
        return decided


def review_spec(asked: Attributes) -> Object:
    """SubjectAccessReviewSpec of authorization.k8s.io/v1; empty fields left out."""
    user = asked.user
    spec: Object = {}
    if asked.is_resource:
        fields = {
            "namespace": asked.namespace,
            "verb": asked.verb,
            "group": asked.group,
            "version": asked.version,
            "resource": asked.resource,
            "subresource": asked.subresource,
            "name": asked.name,
        }
        resource: Object = {key: value for key, value in fields.items() if value}
        if requirements := field_requirements(asked.field_selector):
            resource["fieldSelector"] = {"requirements": requirements}
        if requirements := label_requirements(asked.label_selector):
            resource["labelSelector"] = {"requirements": requirements}
        spec["resourceAttributes"] = resource
    else:
        spec["nonResourceAttributes"] = {key: value for key, value in (("path", asked.path), ("verb", asked.verb)) if value}
    who = {"user": user.name, "groups": list(user.groups), "extra": {k: list(v) for k, v in user.extra.items()}, "uid": user.uid}
    return spec | {key: value for key, value in who.items() if value}


def _in_v1beta1(spec: Object) -> Object:
    return {"group" if key == "groups" else key: value for key, value in spec.items()}


def _status(answer: Object, api_version: str) -> Object:
    """Raises ValueError for what is no answered review."""
    if answer.get("kind") not in (None, "SubjectAccessReview") or answer.get("apiVersion") not in (None, api_version):
        raise ValueError(
            f"the webhook answered {answer.get('apiVersion')} {answer.get('kind')}, not a SubjectAccessReview of {api_version}"
        )
    status = answer.get("status") or {}
    return status if isinstance(status, dict) else {}


def _decided(status: Object) -> Answer:
    reason = str(status.get("reason") or "")
    if status.get("denied"):
        both = "webhook subject access review returned both allow and deny response" if status.get("allowed") else ""
        return Answer(Decision.DENY, reason, both)
    return Answer(Decision.ALLOW if status.get("allowed") else Decision.NO_OPINION, reason)


def _is_short(asked: Attributes) -> bool:
    chosen = (asked.namespace, asked.verb, asked.group, asked.version, asked.resource, asked.subresource, asked.name, asked.path)
    return sum(map(len, chosen)) < _LONGEST_CACHED
