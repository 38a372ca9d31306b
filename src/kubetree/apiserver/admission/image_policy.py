"""ImagePolicyWebhook: a server that says whether a pod's images may run. Follows plugin/pkg/admission/imagepolicy."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from kubetree.apiserver.admission.configuration import Configuration
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.webhooks import CallFailed, Destination, WebhookClient, of_kubeconfig, retried
from kubetree.client.config import ConfigError

Object = dict[str, Any]
_PREFIX = "imagepolicywebhook.image-policy.k8s.io/"
_FAILED_OPEN = "alpha.image-policy.k8s.io/failed-open"
_TIMEOUT = 30.0
_MOST_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds; 0 keeps nothing and waits for nothing."""

    destination: Destination
    allow_ttl: float
    deny_ttl: float
    backoff: float
    default_allow: bool


def settings(configuration: Configuration) -> Settings:
    """Raises ValueError for what the plugin cannot go by."""
    given = configuration.of(ImagePolicyWebhook.name).get("imagePolicy")
    if given is None:
        raise ValueError("ImagePolicyWebhook: no config specified")
    try:
        destination = of_kubeconfig(configuration.path(given.get("kubeConfigFile") or ""))
    except ConfigError as error:
        raise ValueError(f"ImagePolicyWebhook: {error}") from None
    return Settings(
        destination,
        _duration("allow cache", given.get("allowTTL"), 1, 1, 1800, 300),
        _duration("deny cache", given.get("denyTTL"), 1, 1, 1800, 30),
        _duration("backoff", given.get("retryBackoff"), 0.001, 0, 300, 0.5),
        bool(given.get("defaultAllow")),
    )


def _duration(what: str, given: int | None, scale: float, least: float, most: float, usual: float) -> float:
    if given == -1:
        return 0.0
    if not given:
        return usual
    if not least <= given * scale <= most:
        raise ValueError(f"ImagePolicyWebhook: {what}: valid value is between {least:g}s and {most:g}s, got {given * scale:g}s")
    return given * scale


class ImagePolicyWebhook(Plugin):
    """`clock` gives seconds that only grow."""

    name = "ImagePolicyWebhook"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"pods"})
    subresources = frozenset({"", "ephemeralcontainers"})
    validates = True

    def __init__(self, settings: Settings, client: WebhookClient, clock: Callable[[], float]) -> None:
        self._settings, self._client, self._clock = settings, client, clock
        self._kept: OrderedDict[bytes, tuple[float, Object]] = OrderedDict()

    async def validate(self, request: AdmissionRequest) -> None:
        pod = request.obj or {}
        spec = pod.get("spec") or {}
        fields = ("ephemeralContainers",) if request.subresource else ("containers", "initContainers")
        stated = {k: v for k, v in (pod["metadata"].get("annotations") or {}).items() if ".image-policy.k8s.io/" in k}
        asked: Object = {"containers": [{"image": c.get("image") or ""} for f in fields for c in spec.get(f) or ()]}
        if stated:
            asked["annotations"] = stated
        asked["namespace"] = request.namespace
        try:
            status = await self._status(asked)
        except CallFailed as error:
            if not self._settings.default_allow:
                raise refusal(request, error.message) from None
            request.annotate(f"{_PREFIX}failed-open", "true")
            pod["metadata"].setdefault("annotations", {})[_FAILED_OPEN] = "true"
            return
        for key, value in (status.get("auditAnnotations") or {}).items():
            request.annotate(f"{_PREFIX}{key}", str(value))
        if not status.get("allowed"):
            reason = status.get("reason")
            why = f"image policy webhook backend denied one or more images: {reason}"
            raise refusal(request, why if reason else "one or more images rejected by webhook backend")

    async def _status(self, asked: Object) -> Object:
        key, now = orjson.dumps(asked), self._clock()
        kept = self._kept.get(key)
        if kept is not None and kept[0] > now:
            return kept[1]
        review = {"kind": "ImageReview", "apiVersion": "imagepolicy.k8s.io/v1alpha1", "metadata": {}, "spec": asked, "status": {}}
        answer = await retried(
            lambda: self._client.post(self._settings.destination, review, timeout=_TIMEOUT), initial=self._settings.backoff
        )
        status: Object = answer.get("status") or {}
        ttl = self._settings.allow_ttl if status.get("allowed") else self._settings.deny_ttl
        self._kept[key] = (now + ttl, status)
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return status
