"""What the lifecycle decides, from spec and runtime state alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.kubelet import lifecycle, specs
from kubetree.kubelet.lifecycle import Cause, Kill, KillReason, ProbeResults, Role, Stage, Start, decide
from kubetree.kubelet.runtime_state import ContainerRecord, PodRuntime, SandboxRecord, State, newest_first

Object = dict[str, Any]
NO_PROBES = ProbeResults()
SANDBOX = SandboxRecord("s1", True, 0, 1, ("10.0.0.1",))


def pod(*containers: Object, init: tuple[Object, ...] = (), policy: str = "Always", **spec: Any) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "spec": {"containers": list(containers), "initContainers": list(init), "restartPolicy": policy, **spec},
    }


def container(name: str, **fields: Any) -> Object:
    return {"name": name, "image": "image", **fields}


def record(name: str, state: State, code: int = 0, *, number: int = 1, sandbox: str = "s1", spec: Object | None = None) -> ContainerRecord:
    digest = specs.container_hash(spec or container(name))
    return ContainerRecord(f"{name}-{number}", name, state, exit_code=code, created_at=number, hash=digest, sandbox_id=sandbox)


def runtime(*records: ContainerRecord, sandboxes: tuple[SandboxRecord, ...] = (SANDBOX,)) -> PodRuntime:
    return newest_first(sandboxes, records)


A, B = container("a"), container("b")


def test_a_new_pod_gets_a_sandbox_and_all_containers() -> None:
    plan = decide(pod(A, B), runtime(sandboxes=()), NO_PROBES)
    assert plan.create_sandbox and plan.attempt == 0
    assert plan.start == (Start("a", Role.MAIN), Start("b", Role.MAIN))


def test_a_new_pod_with_init_containers_starts_the_first_alone() -> None:
    plan = decide(pod(A, init=(container("i"), container("j"))), runtime(sandboxes=()), NO_PROBES)
    assert plan.start == (Start("i", Role.INIT),)


def test_nothing_to_do_when_everything_runs() -> None:
    plan = decide(pod(A), runtime(record("a", State.RUNNING)), NO_PROBES)
    assert plan == lifecycle.Plan()


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 0, False), ("Never", 1, False)],
)
def test_restart_policy(policy: str, code: int, restarts: bool) -> None:
    plan = decide(pod(A, policy=policy), runtime(record("a", State.EXITED, code)), NO_PROBES)
    assert plan.start == ((Start("a", Role.MAIN),) if restarts else ())
    assert plan.kill_pod is not restarts, "a pod of which nothing is left to run is ended"


def test_a_container_rule_outranks_the_policy() -> None:
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    retried = container("a", restartPolicy="Never", restartPolicyRules=rules)
    assert decide(pod(retried), runtime(record("a", State.EXITED, 42)), NO_PROBES).start
    assert not decide(pod(retried), runtime(record("a", State.EXITED, 41)), NO_PROBES).start


def test_a_lost_sandbox_is_made_again_with_the_next_attempt() -> None:
    gone = SandboxRecord("s1", False, 0, 1)
    plan = decide(pod(A), runtime(record("a", State.EXITED, 137), sandboxes=(gone,)), NO_PROBES)
    assert plan.create_sandbox and plan.kill_pod and plan.attempt == 1 and plan.start == (Start("a", Role.MAIN),)


def test_a_lost_sandbox_of_a_pod_that_never_restarts_ends_it() -> None:
    gone = SandboxRecord("s1", False, 0, 1)
    plan = decide(pod(A, policy="Never"), runtime(record("a", State.EXITED, 0), sandboxes=(gone,)), NO_PROBES)
    assert plan.kill_pod and not plan.create_sandbox


def test_an_on_failure_container_that_succeeded_is_not_run_again_in_a_new_sandbox() -> None:
    gone = SandboxRecord("s1", False, 0, 1)
    state = runtime(record("a", State.EXITED, 0), record("b", State.EXITED, 1), sandboxes=(gone,))
    assert decide(pod(A, B, policy="OnFailure"), state, NO_PROBES).start == (Start("b", Role.MAIN),)


def test_a_host_network_pod_needs_no_address() -> None:
    own = SandboxRecord("s1", True, 0, 1, (), host_network=True)
    assert not lifecycle.sandbox_need(pod(A, hostNetwork=True), runtime(sandboxes=(own,))).new
    assert lifecycle.sandbox_need(pod(A), runtime(sandboxes=(own,))).new


def test_liveness_failure_kills_and_restarts() -> None:
    plan = decide(pod(A), runtime(record("a", State.RUNNING)), ProbeResults(liveness={"a-1": False}))
    assert plan.kill == (Kill("a-1", "a", "Container a failed liveness probe, will be restarted", KillReason.LIVENESS_PROBE),)
    assert plan.start == (Start("a", Role.MAIN),)


def test_startup_failure_of_a_pod_that_never_restarts_only_kills() -> None:
    plan = decide(
        pod(A, B, policy="Never"), runtime(record("a", State.RUNNING), record("b", State.RUNNING)), ProbeResults(startup={"a-1": False})
    )
    assert plan.kill == (Kill("a-1", "a", "Container a failed startup probe", KillReason.STARTUP_PROBE),) and not plan.start


def test_a_new_image_replaces_the_container() -> None:
    plan = decide(pod({**A, "image": "newer"}), runtime(record("a", State.RUNNING)), NO_PROBES)
    assert plan.kill[0].message == "Container a definition changed, will be restarted"


def test_ephemeral_containers_start_once() -> None:
    made = pod(A, ephemeralContainers=[container("debug")])
    assert Start("debug", Role.EPHEMERAL) in decide(made, runtime(record("a", State.RUNNING)), NO_PROBES).start
    ended = runtime(record("a", State.RUNNING), record("debug", State.EXITED))
    assert not decide(made, ended, NO_PROBES).start


class TestInitContainers:
    def test_one_after_the_other(self) -> None:
        made = pod(A, init=(container("i"), container("j")))
        assert not decide(made, runtime(record("i", State.RUNNING)), NO_PROBES).start
        assert decide(made, runtime(record("i", State.EXITED)), NO_PROBES).start == (Start("j", Role.INIT),)
        done = runtime(record("i", State.EXITED), record("j", State.EXITED))
        assert decide(made, done, NO_PROBES).start == (Start("a", Role.MAIN),)

    def test_a_failed_one_is_tried_again_or_ends_the_pod(self) -> None:
        failed = runtime(record("i", State.EXITED, 1))
        assert decide(pod(A, init=(container("i"),)), failed, NO_PROBES).start == (Start("i", Role.INIT),)
        assert decide(pod(A, init=(container("i"),), policy="Never"), failed, NO_PROBES).kill_pod

    def test_they_do_not_run_again_once_a_main_container_runs(self) -> None:
        assert decide(pod(A, init=(container("i"),)), runtime(record("a", State.RUNNING)), NO_PROBES) == lifecycle.Plan()


class TestSidecars:
    SIDE = container("side", restartPolicy="Always")

    def test_the_next_waits_only_for_its_start(self) -> None:
        made = pod(A, init=(self.SIDE, container("j")))
        assert decide(made, runtime(record("side", State.RUNNING)), NO_PROBES).start == (Start("j", Role.INIT),)

    def test_a_startup_probe_holds_the_next_back(self) -> None:
        side = {**self.SIDE, "startupProbe": {"periodSeconds": 1}}
        state = runtime(record("side", State.RUNNING))
        assert not decide(pod(A, init=(side,)), state, NO_PROBES).start
        assert decide(pod(A, init=(side,)), state, ProbeResults(startup={"side-1": True})).start == (Start("a", Role.MAIN),)

    def test_it_is_restarted_beside_running_containers(self) -> None:
        state = runtime(record("side", State.EXITED), record("a", State.RUNNING))
        assert decide(pod(A, init=(self.SIDE,)), state, NO_PROBES).start == (Start("side", Role.INIT),)

    def test_it_does_not_keep_a_pod_alive(self) -> None:
        state = runtime(record("side", State.RUNNING), record("a", State.EXITED))
        assert decide(pod(A, init=(self.SIDE,), policy="Never"), state, NO_PROBES).kill_pod

    def test_sidecars_end_last_in_reverse(self) -> None:
        made = pod(A, init=(self.SIDE, container("j"), container("side2", restartPolicy="Always")))
        assert lifecycle.termination_order(made) == [["j", "a"], ["side2"], ["side"]]


def test_a_probe_may_have_its_own_grace() -> None:
    made = container("a", livenessProbe={"terminationGracePeriodSeconds": 3})
    assert lifecycle.kill_grace_period(pod(made), made, KillReason.LIVENESS_PROBE) == 3
    assert lifecycle.kill_grace_period(pod(made), made, KillReason.UNKNOWN) == 30


def test_stages_only_move_forward() -> None:
    order = list(Stage)
    for (stage, _), following in lifecycle.TRANSITIONS.items():
        assert order.index(following) >= order.index(stage)
    assert lifecycle.advance(Stage.SYNC, Cause.DELETED) is Stage.TERMINATING
    with pytest.raises(KeyError):
        lifecycle.advance(Stage.SYNC, Cause.CLEANED)


STATES = st.sampled_from([None, (State.RUNNING, 0), (State.EXITED, 0), (State.EXITED, 1), (State.CREATED, 0), (State.UNKNOWN, 0)])


@given(st.lists(STATES, min_size=1, max_size=4), st.lists(STATES, max_size=3), st.sampled_from(["Always", "OnFailure", "Never"]))
def test_a_plan_never_starts_what_runs_and_never_forgets_a_container(main: list[Any], inits: list[Any], policy: str) -> None:
    names, init_names = [f"m{i}" for i in range(len(main))], [f"i{i}" for i in range(len(inits))]
    made = pod(*map(container, names), init=tuple(map(container, init_names)), policy=policy)
    records = [record(n, *s) for n, s in zip(names + init_names, main + inits, strict=True) if s]
    state = runtime(*records)
    plan = decide(made, state, NO_PROBES)
    killed = {kill.container for kill in plan.kill}
    for start in plan.start:
        latest = state.latest(start.container)
        assert latest is None or latest.state is not State.RUNNING or start.container in killed
    started = {start.container for start in plan.start}
    if not plan.kill_pod and not inits:
        for name, now in zip(names, main, strict=True):
            assert name in started or (now is not None and now[0] in (State.RUNNING, State.EXITED))
