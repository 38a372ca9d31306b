"""Custom resources between the version that is stored and the one that is asked for, where they differ: `registry.Codec`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from kubetree.api import errors
from kubetree.api.custom_resources import conversion_review as reviews
from kubetree.api.custom_resources.definition import Version
from kubetree.api.kinds import Kind
from kubetree.api.objects import copy
from kubetree.apiserver.metrics.counters import Counters
from kubetree.apiserver.registry import Codec
from kubetree.apiserver.webhooks import CallFailed, WebhookClient, of_client_config

Object = dict[str, Any]
_TIMEOUT = 30.0
_NOT_CALLED, _MALFORMED = "conversion_webhook_call_failure", "conversion_webhook_malformed_response_failure"
_KEPT = 512
"""Conversions of stored objects that are remembered: of one change, several watchers want the same."""


class Codecs:
    """Gives the codec of a row; None where objects are stored just as they are asked for."""

    def __init__(self, client: WebhookClient, new_uid: Callable[[], str], counters: Counters | None = None) -> None:
        self._client, self._new_uid, self._counters = client, new_uid, counters or Counters()

    def __call__(self, kind: Kind) -> Codec | None:
        version = kind.behaviour
        if not isinstance(version, Version):
            return None
        definition = version.definition
        at_home = version.name == definition.storage_version
        if definition.webhook is None:
            return None if at_home else PlainCodec(version)
        if at_home and definition.stored_versions == [definition.storage_version]:
            return None
        return WebhookCodec(version, definition.webhook, self._client, self._new_uid, self._counters)


class PlainCodec:
    """Strategy None: the same object under another apiVersion, as far as that version's schema knows its fields."""

    def __init__(self, version: Version) -> None:
        self._name, self._definition = version.name, version.definition

    async def shown(self, objs: Sequence[Object]) -> list[Object]:
        return [self._converted(obj, self._name) for obj in objs]

    async def stored(self, obj: Object) -> Object:
        return self._converted(obj, self._definition.storage_version)

    def _converted(self, obj: Object, version: str) -> Object:
        if obj.get("apiVersion") == f"{self._definition.group}/{version}":
            return obj
        return self._definition.convert_plainly(copy(obj), version)


class WebhookCodec:
    """Strategy Webhook: objects at another version are sent away, all that an answer needs at once."""

    def __init__(self, version: Version, webhook: Object, client: WebhookClient, new_uid: Callable[[], str], counters: Counters) -> None:
        self._version, self._definition, self._counters = version, version.definition, counters
        self._client, self._new_uid = client, new_uid
        self._config: Object = webhook.get("clientConfig") or {}
        self._review_versions: list[str] = webhook.get("conversionReviewVersions") or []
        self._remembered: OrderedDict[tuple[str, str], Object] = OrderedDict()

    async def shown(self, objs: Sequence[Object]) -> list[Object]:
        out: list[Object | None] = [self._known(obj) for obj in objs]
        missing = [i for i, found in enumerate(out) if found is None]
        if missing:
            for i, new in zip(missing, await self._convert([objs[i] for i in missing], self._version.name), strict=True):
                out[i] = new
                self._remember(new)
        return [obj for obj in out if obj is not None]

    async def stored(self, obj: Object) -> Object:
        storage = self._definition.storage_version
        if obj.get("apiVersion") == f"{self._definition.group}/{storage}":
            return obj
        return (await self._convert([obj], storage))[0]

    def _known(self, obj: Object) -> Object | None:
        if obj.get("apiVersion") == self._version.api_version:
            return obj
        return self._remembered.get(_identity(obj))

    def _remember(self, obj: Object) -> None:
        self._remembered[_identity(obj)] = obj
        if len(self._remembered) > _KEPT:
            self._remembered.popitem(last=False)

    async def _convert(self, objs: list[Object], version: str) -> list[Object]:
        """Raises ApiError 500 with what went wrong, as upstream does for whatever it cannot read."""
        started, failure = perf_counter(), _MALFORMED
        versions = (objs[0].get("apiVersion") or "").rpartition("/")[2], version
        try:
            review = reviews.review(self._review_versions, objs, f"{self._definition.group}/{version}", self._new_uid())
            try:
                answer = await self._client.post(of_client_config(self._config), review, timeout=_TIMEOUT)
            except (CallFailed, ValueError) as error:
                failure = _NOT_CALLED
                raise reviews.failed(objs[0], str(error)) from None
            found = reviews.converted(review, answer)
            failure = ""
        except reviews.ConversionError as error:
            raise errors.ApiError(str(error), status_code=500, status_reason="") from None
        finally:
            self._counters.converted(self._definition.name, versions, failure, perf_counter() - started)
        target = self._definition.versions[version]
        for obj in found:
            target.coerce(obj)
        return found


def _identity(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("uid") or "", metadata.get("resourceVersion") or ""
