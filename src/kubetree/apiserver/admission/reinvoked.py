"""Who is asked a second time: webhooks and policies that want to see what came after them, where something did.

Follows the reinvocation contexts of plugin/webhook/mutating and plugin/policy/mutating.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kubetree.api.objects import copy, semantic_equal
from kubetree.apiserver.admission.request import AdmissionRequest, Reinvocation


@dataclass(slots=True)
class Remembered:
    """`output`: the object as the plugin left it the first time. `waiting`: those who want to be asked again should something change;
    `again`: those for whom it did."""

    reinvocation: Reinvocation
    output: dict[str, Any] | None = None
    waiting: set[Hashable] = field(default_factory=set)
    again: set[Hashable] = field(default_factory=set)

    def something_changed(self) -> None:
        self.again |= self.waiting
        self.waiting = set()

    def skips(self, who: Hashable) -> bool:
        return self.reinvocation.running and who not in self.again

    def invoked(self, who: Hashable, *, changed: bool, again: bool) -> None:
        """`who` has been asked, and has `changed` the object or not; `again`: it wants to be asked again."""
        if changed:
            self.something_changed()
            self.reinvocation.wanted = True
        if again:
            self.waiting.add(who)


@contextmanager
def remembered(plugin: str, request: AdmissionRequest) -> Iterator[Remembered]:
    """What a plugin remembers of a request, over one round of it."""
    reinvocation = request.reinvocable()
    memory = reinvocation.kept.setdefault(plugin, Remembered(reinvocation))
    assert isinstance(memory, Remembered)
    if reinvocation.running and not semantic_equal(memory.output, request.obj):
        memory.something_changed()
    try:
        yield memory
    finally:
        if not reinvocation.running:
            memory.output = copy(request.obj) if request.obj is not None else None
