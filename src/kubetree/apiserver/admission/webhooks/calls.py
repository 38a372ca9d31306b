"""Asking one webhook, and what its answer or its silence means for the request. Shared by both plugins."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubetree.api.errors import ApiError, BadRequest, forbidden, from_status
from kubetree.apiserver.admission.internal_errors import internal_error
from kubetree.apiserver.admission.matching.activations import Activations
from kubetree.apiserver.admission.matching.selectors import Namespaces, selects_object
from kubetree.apiserver.admission.matching.targets import Equivalents, Target, chosen
from kubetree.apiserver.admission.matching.versions import Convert, Versions
from kubetree.apiserver.admission.metrics import AdmissionMetrics
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.admission.reviews import InvalidResponse, Response, response, review
from kubetree.apiserver.admission.webhooks.configurations import Hook
from kubetree.apiserver.authorization.attributes import Authorizer, settled
from kubetree.apiserver.webhooks import CallFailed, WebhookClient

Object = dict[str, Any]


class CallingFailed(Exception):
    """ErrCallingWebhook: the webhook could not be asked, or gave no answer that counts. `code` is the HTTP status that metrics show."""

    def __init__(self, hook: Hook, why: str, code: int) -> None:
        super().__init__(f'failed calling webhook "{hook.name}": {why}')
        self.code = code


class Denied(Exception):
    """ErrWebhookRejection: the webhook has answered, and said no."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Invocation:
    """A hook that is to be asked, at the version of `target`."""

    hook: Hook
    target: Target


@dataclass(frozen=True, slots=True)
class Caller:
    """What both plugins are made of. `step` is what metrics call the plugin's phase."""

    client: WebhookClient
    equivalents: Equivalents
    namespaces: Namespaces
    convert: Convert
    authorizer: Authorizer
    metrics: AdmissionMetrics
    new_uid: Callable[[], str]
    left: Callable[[], float]
    """The seconds that the request of this task still has."""
    monotonic: Callable[[], float] = time.monotonic

    async def wanted(self, hook: Hook, request: AdmissionRequest, versions: Versions, step: str) -> Invocation | None:
        """Whether and at which version the hook is to be asked: upstream's ShouldCallHook. Raises ApiError."""
        in_namespace = await self.namespaces.selects_or_error(hook.namespaces, request)
        if in_namespace is False or not selects_object(hook.objects, request):
            return None
        found = chosen(hook.rules, request, self.equivalents, equivalent=hook.equivalent)
        if found is None:
            return None
        if isinstance(in_namespace, ApiError):
            raise in_namespace
        if hook.conditions is not None:
            activations = Activations(request, versions, self.authorizer)
            activation = await activations.at(found)
            conditions = hook.conditions
            matched = await settled(lambda: conditions.matched(activation, request.operation, self.metrics, self.monotonic))
            if matched.error:
                raise forbidden(request.kind.plural, request.kind.group, request.name, matched.error)
            if not matched.matches:
                self.metrics.excluded(hook.name, "webhook", step, request.operation)
                return None
        return Invocation(hook, found)

    async def ask(
        self, invocation: Invocation, request: AdmissionRequest, obj: Object | None, old: Object | None, left: float, *, mutating: bool
    ) -> Response:
        """The answer, its warnings and annotations taken over. `left` is how many seconds the request has. Raises CallingFailed, Denied,
        BadRequest."""
        hook = invocation.hook
        if request.dry_run and not hook.dry_run:
            raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
        if not hook.review_version:
            why = "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)"
            raise CallingFailed(hook, why, 400)
        uid = self.new_uid()
        asked = review(hook.review_version, uid, request, invocation.target, obj, old)
        answer = await self._post(hook, asked, left)
        try:
            found = response(answer, hook.review_version, uid, mutating=mutating)
        except ValueError as error:
            raise CallingFailed(hook, f"failed to call webhook: {error}", 503) from None
        except InvalidResponse as error:
            raise CallingFailed(hook, f"received invalid webhook response: {error}", 503) from None
        for key, value in found.annotations.items():
            request.annotate(f"{hook.name}/{key}", value)
        request.warnings.extend(found.warnings)
        if not found.allowed:
            raise Denied(denial(hook.name, found.result))
        return found

    async def _post(self, hook: Hook, asked: Object, left: float) -> Object:
        if hook.destination is None:
            raise CallingFailed(hook, f"could not get REST client: {hook.unusable}", 500)
        try:
            self.client.trusts.context(hook.destination.trust)
        except ValueError as error:
            raise CallingFailed(hook, f"could not get REST client: {error}", 500) from None
        try:
            return await self.client.post(hook.destination, asked, timeout=hook.timeout, left=left)
        except CallFailed as error:
            code = error.status.status_code if error.status is not None else 503
            raise CallingFailed(hook, f"failed to call webhook: {error.message}", code) from None

    def observe(self, hook: Hook, request: AdmissionRequest, step: str, started: float, error: Exception | None) -> ApiError | None:
        """Counts a call, and gives what refuses the request because of it: None when it was allowed or its failure does not matter."""
        name, operation, elapsed = hook.name, request.operation, self.monotonic() - started
        layer = _LAYERS[step]  # mutating ones are asked one after the other, validating ones all at once
        before = request.waits.get(layer, 0.0)
        request.waits[layer] = before + elapsed if step == "admit" else max(before, elapsed)
        match error:
            case None:
                self.metrics.called(name, step, operation, 200, False, elapsed)
                return None
            case CallingFailed():
                ignored = hook.ignores_failures
                if ignored:
                    self.metrics.failed_open(name, step)
                else:
                    self.metrics.rejected(name, step, operation, "calling_webhook_error", error.code)
                self.metrics.called(name, step, operation, error.code, not ignored, elapsed)
                return None if ignored else internal_error(str(error))
            case Denied():
                code = error.error.status_code
                self.metrics.rejected(name, step, operation, "no_error", code)
                self.metrics.called(name, step, operation, code, True, elapsed)
                return error.error
            case ApiError():
                self.metrics.rejected(name, step, operation, "apiserver_internal_error", 0)
                self.metrics.called(name, step, operation, 0, True, elapsed)
                return error
        raise error


_LAYERS = {"admit": "mutating-webhook", "validating": "validating-webhook"}


def denial(name: str, result: Object | None) -> ApiError:
    """What the client is told when a webhook says no: its own Status, marked as the webhook's."""
    status = dict(result or {})
    told = f'admission webhook "{name}" denied the request'
    explained = status.get("message") or status.get("reason")
    status["message"] = f"{told}: {explained}" if explained else f"{told} without explanation"
    status["code"] = max(int(status.get("code") or 0), 400)
    return from_status(status)
