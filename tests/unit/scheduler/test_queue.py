"""The queue: by priority and age, back-off after something happened, nothing lost."""

from typing import Any

from kubetree.scheduler.pod_info import PodInfo, pod_info
from kubetree.scheduler.queue import ALL, LONGEST_WAIT, SchedulingQueue

FIT = frozenset({"NodeResourcesFit"})


def info(name: str, priority: int = 0) -> PodInfo:
    pod: dict[str, Any] = {"metadata": {"name": name, "namespace": "d", "uid": name}, "spec": {"containers": [], "priority": priority}}
    return pod_info(pod)


def popped(queue: SchedulingQueue, now: float) -> str | None:
    queued = queue.pop(now)
    return queued.info.name if queued else None


def test_priority_then_age() -> None:
    queue = SchedulingQueue()
    for name, priority, now in (("old", 0, 1.0), ("young", 0, 2.0), ("important", 9, 3.0)):
        queue.add(info(name, priority), now)
    assert [popped(queue, 4) for _ in range(4)] == ["important", "old", "young", None]


def test_a_refused_pod_waits_for_what_concerns_it() -> None:
    queue = SchedulingQueue()
    queue.add(info("a"), 0)
    popped(queue, 0)
    queue.failed(info("a"), FIT, 0)
    queue.happened(frozenset({"NodeAffinity"}), 5)
    assert popped(queue, 5) is None
    queue.happened(FIT, 5)
    assert popped(queue, 5) == "a"


def test_back_off_doubles_to_ten_seconds() -> None:
    queue = SchedulingQueue()
    queue.add(info("a"), 0)
    now, waits = 0.0, []
    for _ in range(6):
        assert popped(queue, now) == "a"
        queue.failed(info("a"), FIT, now)
        queue.happened(frozenset({ALL}), now)
        due = queue.next_due()
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [1, 2, 4, 8, 10, 10]


def test_what_happens_while_a_pod_is_tried_is_not_missed() -> None:
    queue = SchedulingQueue()
    queue.add(info("a"), 0)
    popped(queue, 0)
    queue.happened(FIT, 0)
    queue.failed(info("a"), FIT, 0)
    assert queue.next_due() == 1
    assert popped(queue, 1) == "a"


def test_nobody_waits_for_ever() -> None:
    queue = SchedulingQueue()
    queue.add(info("a"), 0)
    popped(queue, 0)
    queue.failed(info("a"), FIT, 0)
    assert popped(queue, LONGEST_WAIT - 1) is None
    assert popped(queue, LONGEST_WAIT) == "a"


def test_a_removed_pod_is_not_tried_and_one_of_the_same_name_starts_anew() -> None:
    queue = SchedulingQueue()
    queue.add(info("a"), 0)
    queue.remove(("d", "a"))
    assert popped(queue, 0) is None
    queue.add(info("a"), 1)
    assert popped(queue, 1) == "a"
    queue.placed(info("a"))
    assert len(queue) == 0


def test_what_becomes_of_a_pod_does_not_touch_its_successor_of_the_same_name() -> None:
    queue = SchedulingQueue()
    first = info("a")
    queue.add(first, 0)
    popped(queue, 0)
    successor = pod_info({**first.pod, "metadata": {**first.pod["metadata"], "uid": "another"}})
    queue.add(successor, 1)
    queue.placed(first)
    queue.failed(first, FIT, 1)
    queued = queue.pop(1)
    assert queued is not None and queued.info.uid == "another"
