"""The status that a pod shows, from spec and runtime state."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.kubelet import status
from kubetree.kubelet.runtime_state import ContainerRecord, PodRuntime, SandboxRecord, State, newest_first
from kubetree.kubelet.status import Inputs, Waiting, pod_status

Object = dict[str, Any]
NOW, EARLIER = "2026-01-01T00:00:10Z", "2026-01-01T00:00:00Z"
SECOND = 1_000_000_000


def pod(*names: str, init: tuple[Object, ...] = (), policy: str = "Always", **metadata: Any) -> Object:
    containers = [{"name": name, "image": f"{name}:1"} for name in names]
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", **metadata},
        "spec": {"containers": containers, "initContainers": list(init), "restartPolicy": policy},
    }


def record(name: str, state: State, code: int = 0, *, restarts: int = 0, number: int = 1, reason: str = "") -> ContainerRecord:
    return ContainerRecord(
        f"{name}{number}",
        name,
        state,
        restarts,
        number,
        SECOND,
        2 * SECOND if state is State.EXITED else 0,
        code,
        reason,
        "",
        f"{name}:1",
        "sha",
    )


def runtime(*records: ContainerRecord) -> PodRuntime:
    return newest_first([SandboxRecord("s", True, 0, 1, ("10.0.0.5",))], records)


def conditions(made: Object) -> dict[str, str]:
    return {c["type"]: c["status"] for c in made["conditions"]}


def made(given: Object, state: PodRuntime, **fields: Any) -> Object:
    return pod_status(given, state, Inputs(now=NOW, host_ips=("192.0.2.1",), **fields))


def test_a_pod_before_anything_happened() -> None:
    result = made(pod("a"), PodRuntime())
    assert result["phase"] == "Pending" and result["startTime"] == NOW and result["hostIP"] == "192.0.2.1" and "podIP" not in result
    assert result["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions(result) == {
        "PodReadyToStartContainers": "False", "Initialized": "True", "Ready": "False", "ContainersReady": "False", "PodScheduled": "True",
    }  # fmt: skip
    ready = next(c for c in result["conditions"] if c["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == ("ContainersNotReady", "containers with unready status: [a]")


def test_waiting_for_init_containers() -> None:
    result = made(pod("a", init=({"name": "i", "image": "i:1"},)), runtime(record("i", State.RUNNING)))
    assert result["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    initialized = next(c for c in result["conditions"] if c["type"] == "Initialized")
    assert (initialized["reason"], initialized["message"]) == ("ContainersNotInitialized", "containers with incomplete status: [i]")
    assert result["phase"] == "Pending"


def test_running() -> None:
    result = made(pod("a", generation=3), runtime(record("a", State.RUNNING)))
    assert result["phase"] == "Running" and result["podIP"] == "10.0.0.5" and result["podIPs"] == [{"ip": "10.0.0.5"}]
    assert result["observedGeneration"] == 3 and all(c["observedGeneration"] == 3 for c in result["conditions"])
    (entry,) = result["containerStatuses"]
    assert entry["state"] == {"running": {"startedAt": "1970-01-01T00:00:01Z"}} and entry["ready"] and entry["started"]
    assert entry["containerID"] == "containerd://a1" and entry["imageID"] == "sha"


def test_readiness_and_startup_gate_the_conditions() -> None:
    result = made(pod("a"), runtime(record("a", State.RUNNING)), ready=lambda r, c: False)
    assert conditions(result)["Ready"] == "False" and result["phase"] == "Running" and result["containerStatuses"][0]["started"]
    result = made(pod("a"), runtime(record("a", State.RUNNING)), started=lambda r, c: False)
    assert not result["containerStatuses"][0]["started"] and not result["containerStatuses"][0]["ready"]


def test_transition_times_are_kept_until_the_condition_changes() -> None:
    previous = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": EARLIER}]}
    steady = made(pod("a"), runtime(record("a", State.RUNNING)), previous=previous)
    assert next(c for c in steady["conditions"] if c["type"] == "Ready")["lastTransitionTime"] == EARLIER
    changed = made(pod("a"), runtime(record("a", State.EXITED, 1)), previous=previous)
    assert next(c for c in changed["conditions"] if c["type"] == "Ready")["lastTransitionTime"] == NOW


@pytest.mark.parametrize(
    ("policy", "codes", "phase"),
    [
        ("Never", (0, 0), "Succeeded"), ("Never", (0, 1), "Failed"), ("OnFailure", (0, 0), "Succeeded"),
        ("OnFailure", (0, 1), "Running"), ("Always", (0, 0), "Running"),
    ],
)  # fmt: skip
def test_phases_of_ended_containers(policy: str, codes: tuple[int, int], phase: str) -> None:
    state = runtime(record("a", State.EXITED, codes[0]), record("b", State.EXITED, codes[1]))
    assert made(pod("a", "b", policy=policy), state)["phase"] == phase


def test_an_ended_pod_of_any_policy_has_an_end_phase() -> None:
    assert made(pod("a"), runtime(record("a", State.EXITED, 0)), terminal=True)["phase"] == "Succeeded"
    assert made(pod("a"), runtime(record("a", State.EXITED, 137)), terminal=True)["phase"] == "Failed"


def test_a_phase_that_ended_stays() -> None:
    assert made(pod("a"), runtime(record("a", State.RUNNING)), previous={"phase": "Failed"})["phase"] == "Failed"


def test_a_failed_init_container_fails_a_pod_that_never_restarts() -> None:
    given = pod("a", init=({"name": "i", "image": "i:1"},), policy="Never")
    assert made(given, runtime(record("i", State.EXITED, 1)))["phase"] == "Failed"
    given["spec"]["restartPolicy"] = "Always"
    assert made(given, runtime(record("i", State.EXITED, 1)))["phase"] == "Pending"


def test_crash_loop() -> None:
    state = runtime(record("a", State.EXITED, 1, restarts=2, number=2, reason="Error"), record("a", State.EXITED, 7, restarts=1))
    result = made(pod("a"), state, waiting={"a": Waiting("CrashLoopBackOff", "back-off 20s")})
    (entry,) = result["containerStatuses"]
    assert entry["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}}
    assert entry["lastState"]["terminated"]["exitCode"] == 1 and entry["restartCount"] == 2 and result["phase"] == "Running"


def test_the_last_state_is_the_instance_before() -> None:
    state = runtime(record("a", State.RUNNING, restarts=1, number=2), record("a", State.EXITED, 7))
    assert made(pod("a"), state)["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 7


def test_readiness_gates() -> None:
    given = pod("a")
    given["spec"]["readinessGates"] = [{"conditionType": "example.com/up"}]
    ready = next(c for c in made(given, runtime(record("a", State.RUNNING)))["conditions"] if c["type"] == "Ready")
    assert ready["message"] == 'corresponding condition of pod readiness gate "example.com/up" does not exist.'
    given["status"] = {"conditions": [{"type": "example.com/up", "status": "True"}]}
    result = made(given, runtime(record("a", State.RUNNING)))
    assert conditions(result)["Ready"] == "True" and conditions(result)["example.com/up"] == "True"


def test_sidecars_do_not_decide_the_phase() -> None:
    side = {"name": "side", "image": "side:1", "restartPolicy": "Always"}
    state = runtime(record("side", State.EXITED, 137), record("a", State.EXITED, 0))
    assert made(pod("a", init=(side,), policy="Never"), state)["phase"] == "Succeeded"
    state = runtime(record("side", State.RUNNING))
    assert made(pod("a", init=(side,), policy="Never"), state)["phase"] == "Pending"


def test_an_end_on_record_outlives_the_runtimes_memory() -> None:
    before = made(pod("a", policy="Never"), runtime(record("a", State.EXITED, 3, reason="Error")))
    after = made(pod("a", policy="Never"), PodRuntime(), previous=before)
    assert after["phase"] == "Failed" and after["containerStatuses"] == before["containerStatuses"]


def test_a_running_container_that_vanished_counts_as_ended() -> None:
    before = made(pod("a"), runtime(record("a", State.RUNNING)))
    (entry,) = made(pod("a"), PodRuntime(), previous=before)["containerStatuses"]
    assert entry["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown" and entry["restartCount"] == 1


class TestPatch:
    OLD: Object = {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]}

    def test_nothing_changed(self) -> None:
        new = {**self.OLD, "conditions": [{**self.OLD["conditions"][0], "lastProbeTime": None}]}
        assert status.status_patch("u", self.OLD, new) is None

    def test_only_what_changed_with_the_uid(self) -> None:
        new: Object = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}, {"type": "other", "status": "True"}]}
        assert status.status_patch("u", self.OLD, new) == {
            "metadata": {"uid": "u"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "reason": None}]},
        }

    def test_an_address_that_went_is_taken_out(self) -> None:
        patch = status.status_patch("u", {"podIPs": [{"ip": "1"}]}, {"podIPs": [{"ip": "2"}]})
        assert patch is not None and patch["status"]["podIPs"] == [{"ip": "2"}, {"$patch": "delete", "ip": "1"}]
