"""Plugins and steps are timed under upstream's names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubetree.api.errors import ApiError
from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.chain import AdmissionChain
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, AdmissionRequest
from kubetree.apiserver.authentication.user import User


class Taking(Plugin):
    """Takes `seconds` of the clock that it shares with the chain, and then refuses pods that are named so."""

    operations = frozenset({CREATE})
    mutates = validates = True

    def __init__(self, name: str, clock: Clock, seconds: float) -> None:
        self.name, self._clock, self._seconds = name, clock, seconds

    async def admit(self, request: AdmissionRequest) -> None:
        self._clock.now += self._seconds

    async def validate(self, request: AdmissionRequest) -> None:
        self._clock.now += self._seconds
        if request.name == self.name:
            raise refusal(request, "no")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def values(chain: AdmissionChain, metric: str) -> Iterator[str]:
    prefix = f"apiserver_admission_{metric}_duration_seconds"
    return (line.removeprefix(prefix) for line in chain.metrics.render() if line.startswith(prefix))


async def test_each_plugin_is_timed_and_refusals_are_told_apart() -> None:
    clock = Clock()
    chain = AdmissionChain([Taking("Quick", clock, 0.25), Taking("Slow", clock, 2)], clock=clock)
    for name in ("a", "b", "Slow"):
        request = AdmissionRequest(CREATE, kind("v1", "Pod"), "", "default", name, {}, None, User("someone"))
        await chain.admit(request)
        if name == "Slow":
            with pytest.raises(ApiError):
                await chain.validate(request)
        else:
            await chain.validate(request)
    plugins = list(values(chain, "controller_admission"))
    assert '_count{name="Quick",operation="CREATE",rejected="false",type="admit"} 3' in plugins
    assert '_sum{name="Quick",operation="CREATE",rejected="false",type="admit"} 0.75' in plugins
    assert '_sum{name="Slow",operation="CREATE",rejected="false",type="validate"} 4' in plugins
    assert '_count{name="Slow",operation="CREATE",rejected="true",type="validate"} 1' in plugins
    assert '_sum{name="Slow",operation="CREATE",rejected="true",type="validate"} 2' in plugins
    assert '_bucket{name="Slow",operation="CREATE",rejected="false",type="admit",le="1"} 0' in plugins
    assert '_bucket{name="Slow",operation="CREATE",rejected="false",type="admit",le="2.5"} 3' in plugins
    steps = list(values(chain, "step_admission"))
    assert '_sum{operation="CREATE",rejected="false",type="admit"} 6.75' in steps
    assert '_count{operation="CREATE",rejected="true",type="validate"} 1' in steps


async def test_quick_plugins_are_in_the_first_bucket() -> None:
    clock = Clock()
    chain = AdmissionChain([Taking("Quick", clock, 0.001)], clock=clock)
    request = AdmissionRequest(CREATE, kind("v1", "Pod"), "", "default", "a", {}, None, User("someone"))
    assert list(values(chain, "controller_admission")) == []
    await chain.admit(request)
    assert (
        next(iter(values(chain, "controller_admission")))
        == '_bucket{name="Quick",operation="CREATE",rejected="false",type="admit",le="0.005"} 1'
    )
    assert not [line for line in values(chain, "controller_admission") if 'type="validate"' in line]
