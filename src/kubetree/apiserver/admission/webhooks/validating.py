"""ValidatingAdmissionWebhook: all hooks that want a request are asked at once; the first refusal is the answer.

Follows admission/plugin/webhook/validating/dispatcher.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from kubetree.api.errors import ApiError
from kubetree.apiserver.admission.matching.candidates import Candidates
from kubetree.apiserver.admission.matching.rules import exempt
from kubetree.apiserver.admission.matching.versions import Versions
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin
from kubetree.apiserver.admission.request import CONNECT, CREATE, DELETE, UPDATE, AdmissionRequest
from kubetree.apiserver.admission.webhooks.calls import Caller, CallingFailed, Denied, Invocation
from kubetree.apiserver.admission.webhooks.configurations import Configurations, Hook, interest

_STEP = "validating"
_FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/"


class ValidatingAdmissionWebhook(Plugin):
    name = "ValidatingAdmissionWebhook"
    operations = frozenset({CREATE, UPDATE, DELETE, CONNECT})
    subresources = ANY_SUBRESOURCE
    validates = True

    def __init__(self, configurations: Configurations, caller: Caller) -> None:
        self._configurations, self._caller = configurations, caller
        self._candidates = Candidates(caller.equivalents, interest)

    def validate(self, request: AdmissionRequest) -> Awaitable[None] | None:
        hooks = self._candidates.of(self._configurations.hooks(), request)
        return self._ask(hooks, request) if hooks and not exempt(request.kind.group, request.kind.plural) else None

    async def _ask(self, hooks: Sequence[tuple[int, Hook]], request: AdmissionRequest) -> None:
        versions = Versions(request, self._caller.convert)
        invocations: list[Invocation] = []
        for _, hook in hooks:
            invocation = await self._caller.wanted(hook, request, versions, _STEP)
            if invocation is not None:
                await versions.obj(invocation.target.kind)
                await versions.old(invocation.target.kind)
                invocations.append(invocation)
        if len(invocations) == 1:
            refused = await self._call(0, invocations[0], request, versions, self._caller.left())
            if refused is not None:
                raise refused
        elif invocations:
            await self._call_all(invocations, request, versions)

    async def _call_all(self, invocations: list[Invocation], request: AdmissionRequest, versions: Versions) -> None:
        refusals: list[ApiError] = []
        left = self._caller.left()

        async def call(index: int, invocation: Invocation) -> None:
            refused = await self._call(index, invocation, request, versions, left)
            if refused is not None:
                refusals.append(refused)

        async with asyncio.TaskGroup() as group:
            for index, invocation in enumerate(invocations):
                group.create_task(call(index, invocation))
        if refusals:
            raise refusals[0]

    async def _call(
        self, index: int, invocation: Invocation, request: AdmissionRequest, versions: Versions, left: float
    ) -> ApiError | None:
        """What refuses the request."""
        hook, kind, error = invocation.hook, invocation.target.kind, None
        started = self._caller.monotonic()
        try:
            obj, old = await versions.obj(kind), await versions.old(kind)
            await self._caller.ask(invocation, request, obj, old, left, mutating=False)
        except (CallingFailed, Denied, ApiError) as raised:
            error = raised
        refused = self._caller.observe(hook, request, _STEP, started, error)
        if refused is None and error is not None:
            request.annotate(f"{_FAILED_OPEN}round_0_index_{index}", hook.name)
        return refused
