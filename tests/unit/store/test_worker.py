"""The writer thread: jobs in their order, outcomes in the loop."""

from __future__ import annotations

import threading

import pytest

from kubetree.store.sqlite.worker import Worker


async def test_jobs_run_in_their_order_on_one_other_thread_and_are_done_before_it_stops() -> None:
    worker, ran, here = Worker("test"), list[tuple[int, int]](), threading.get_ident()
    for n in range(5):
        worker.do(lambda n=n: ran.append((n, threading.get_ident())), lambda error: None)
    worker.stop()
    assert [n for n, _ in ran] == list(range(5))
    assert here not in {thread for _, thread in ran} and len({thread for _, thread in ran}) == 1


async def test_what_a_job_raises_reaches_who_waits_for_it() -> None:
    worker = Worker("test")
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    await worker.run(lambda: None)
    worker.stop()
