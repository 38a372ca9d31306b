"""MutatingAdmissionWebhook: hooks one after another, each on what the one before has made; those that ask for it once more at the end.

Follows admission/plugin/webhook/mutating/dispatcher.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import orjson

from kubetree.api.errors import ApiError, BadRequest
from kubetree.api.objects import semantic_equal
from kubetree.api.patches import PatchFailed, json_patch
from kubetree.api.schema.go_json import parse, plain
from kubetree.apiserver.admission.internal_errors import internal_error
from kubetree.apiserver.admission.matching.candidates import Candidates
from kubetree.apiserver.admission.matching.rules import exempt
from kubetree.apiserver.admission.matching.versions import Versions, settle
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin
from kubetree.apiserver.admission.reinvoked import Remembered, remembered
from kubetree.apiserver.admission.request import CONNECT, CREATE, DELETE, UPDATE, AdmissionRequest
from kubetree.apiserver.admission.reviews import JSON_PATCH, Response
from kubetree.apiserver.admission.webhooks.calls import Caller, CallingFailed, Denied, Invocation
from kubetree.apiserver.admission.webhooks.configurations import Configurations, Hook, interest
from kubetree.apiserver.audit.policy import PATCH_ANNOTATION

Object = dict[str, Any]
_STEP = "admit"
_MUTATION = "mutation.webhook.admission.k8s.io/"


class MutatingAdmissionWebhook(Plugin):
    name = "MutatingAdmissionWebhook"
    operations = frozenset({CREATE, UPDATE, DELETE, CONNECT})
    subresources = ANY_SUBRESOURCE
    mutates = True

    def __init__(self, configurations: Configurations, caller: Caller) -> None:
        self._configurations, self._caller = configurations, caller
        self._candidates = Candidates(caller.equivalents, interest)

    def admit(self, request: AdmissionRequest) -> Awaitable[None] | None:
        hooks = self._candidates.of(self._configurations.hooks(), request)
        return self._visit_all(hooks, request) if hooks and not exempt(request.kind.group, request.kind.plural) else None

    async def _visit_all(self, hooks: Sequence[tuple[int, Hook]], request: AdmissionRequest) -> None:
        versions = Versions(request, self._caller.convert)
        with remembered(self.name, request) as memory:
            for index, hook in hooks:
                await self._visit(index, hook, request, versions, memory)

    async def _visit(self, index: int, hook: Hook, request: AdmissionRequest, versions: Versions, memory: Remembered) -> None:
        invocation = await self._caller.wanted(hook, request, versions, _STEP)
        if invocation is None or memory.skips(hook.uid):
            return
        changed, error = False, None
        started = self._caller.monotonic()
        place = f"round_{int(memory.reinvocation.running)}_index_{index}"
        try:
            changed = await self._call(invocation, request, versions, place)
        except (CallingFailed, Denied, ApiError) as raised:
            error = raised
        told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed}
        request.annotate(f"{_MUTATION}{place}", orjson.dumps(told).decode())
        refused = self._caller.observe(hook, request, _STEP, started, error)
        memory.invoked(hook.uid, changed=changed, again=hook.reinvoked)
        if refused is not None:
            raise refused
        if error is not None:
            request.annotate(f"failed-open.{_MUTATION}{place}", hook.name)

    async def _call(self, invocation: Invocation, request: AdmissionRequest, versions: Versions, place: str) -> bool:
        """Whether the webhook has changed the object."""
        kind = invocation.target.kind
        obj = await versions.obj(kind)
        answer = await self._caller.ask(invocation, request, obj, await versions.old(kind), self._caller.left(), mutating=True)
        operations = _operations(invocation.hook, answer)
        if not operations:
            return False
        if obj is None:
            why = f'admission webhook "{invocation.hook.name}" attempted to modify the object, which is not supported for this operation'
            raise internal_error(why)
        new = _patched(obj, operations)
        try:
            settle(self._caller.equivalents.kinds, kind, new)
        except BadRequest as error:
            raise internal_error(error.message) from None
        changed = not semantic_equal(obj, new)
        request.annotate(f"{PATCH_ANNOTATION}{place}", _patch_annotation(invocation.hook, operations))
        await versions.replace(new)
        return changed


def _patch_annotation(hook: Hook, operations: list[Object]) -> str:
    told = {"configuration": hook.configuration, "webhook": hook.name, "patch": operations, "patchType": JSON_PATCH}
    return orjson.dumps(told).decode()


def _operations(hook: Hook, answer: Response) -> list[Object]:
    if not answer.patch:
        return []
    try:
        operations = plain(parse(answer.patch))
        if operations is not None and not (isinstance(operations, list) and all(isinstance(o, dict) for o in operations)):
            raise ValueError("json: cannot unmarshal the patch into Go value of type jsonpatch.Patch")
    except ValueError as error:
        raise CallingFailed(hook, f"received undecodable patch in webhook response: {error}", 503) from None
    if operations and answer.patch_type != JSON_PATCH:
        raise CallingFailed(hook, f'unsupported patch type "{answer.patch_type}"', 400)
    return operations or []


def _patched(obj: Object, operations: list[Object]) -> Object:
    try:
        return json_patch(obj, operations)
    except PatchFailed as error:
        raise internal_error(error.why) from None
