"""Work in threads: whose it is decides what comes next."""

import asyncio
import os
import sys
import threading
from contextlib import contextmanager

import pytest

from app.domain.callers import CALLER, Caller
from app.domain.errors import Overloaded
from app.vision.jobs import Jobs

A, B = 1, 2


@contextmanager
def calling(tenant: int):
    token = CALLER.set(Caller(tenant))
    yield
    CALLER.reset(token)


def nothing() -> None:
    """There is nothing to make ready."""


class Held:
    """One thread that is kept busy until `go`; what runs afterwards is in `order`."""

    def __init__(self, backlog: int = 9) -> None:
        self.jobs = Jobs(1, backlog, name="test")
        self.go = threading.Event()
        self.order: list[str] = []
        self.made = threading.Semaphore(0)
        self.busy = threading.Event()
        with calling(A):
            self.first: asyncio.Future[bool] = self.jobs.submit(nothing, self.keep_busy)

    def keep_busy(self, _: object) -> bool:
        self.busy.set()
        return self.go.wait(5)

    def submit(self, tenant: int, name: str) -> "asyncio.Future[None]":
        with calling(tenant):
            return self.jobs.submit(self.made.release, lambda _: self.order.append(name))

    async def until_made(self, count: int) -> None:
        for _ in range(count):
            assert await asyncio.to_thread(self.made.acquire, timeout=5)
        await asyncio.sleep(0.02)  # from made ready to waiting for the thread


@pytest.fixture
async def held():
    held = Held()
    assert await asyncio.to_thread(held.busy.wait, 5)
    yield held
    held.go.set()
    await asyncio.to_thread(held.jobs.close)


async def test_a_newcomer_comes_before_what_another_had_waiting(held):
    jobs = [held.submit(A, "a1"), held.submit(A, "a2"), held.submit(B, "b1"), held.submit(B, "b2")]
    await held.until_made(4)

    held.go.set()
    await asyncio.gather(*jobs)

    assert held.order == ["b1", "a1", "b2", "a2"]


async def test_what_comes_next_is_made_ready_while_the_thread_is_busy(held):
    job = held.submit(A, "next")

    await held.until_made(1)

    assert not job.done()
    assert held.order == []
    held.go.set()
    await job
    assert held.order == ["next"]


async def test_what_was_made_ready_is_what_is_worked_on(held):
    held.go.set()

    assert await held.jobs.submit(lambda: 20, lambda made: made + 1) == 21


@pytest.mark.parametrize(
    "steps",
    [(lambda: 1 / 0, lambda made: made), (nothing, lambda _: 1 / 0)],
    ids=["made ready", "worked on"],
)
async def test_a_failure_reaches_who_submitted_and_frees_the_thread(held, steps):
    with calling(B):
        broken = held.jobs.submit(*steps)
    sound = held.submit(B, "sound")

    held.go.set()

    with pytest.raises(ZeroDivisionError):
        await broken
    await sound
    assert held.order == ["sound"]


async def test_what_nobody_waits_for_is_not_begun_and_makes_room():
    held = Held(backlog=1)
    leaving = held.submit(A, "left")
    with pytest.raises(Overloaded):
        await held.submit(B, "too many")

    leaving.cancel()
    await asyncio.sleep(0)
    staying = held.submit(B, "stayed")
    held.go.set()
    await staying
    held.jobs.close()

    assert held.order == ["stayed"]


async def test_what_waits_when_it_is_closed_is_cancelled(held):
    waiting = held.submit(B, "never")
    await held.until_made(1)

    closing = asyncio.create_task(asyncio.to_thread(held.jobs.close))
    await asyncio.sleep(0.01)
    held.go.set()
    await closing
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    assert held.order == []


async def test_a_job_that_outlives_its_loop_harms_nobody():
    jobs, go = Jobs(1, 1, name="test"), threading.Event()

    async def submit() -> None:
        asyncio.get_running_loop().call_soon(jobs.submit, nothing, lambda _: go.wait(5))

    await asyncio.to_thread(lambda: asyncio.run(submit()))
    go.set()
    jobs.close()

    assert not [thread for thread in threading.enumerate() if thread.name == "test_0"]


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling of threads is Linux's own")
async def test_threads_that_stay_behind_leave_the_processor_to_others():
    def policy(_: object = None) -> int:
        return os.sched_getscheduler(threading.get_native_id())

    behind, ordinary = Jobs(1, 1, name="behind", behind=True), Jobs(1, 1, name="ordinary")

    policies = [
        await jobs.submit(policy, lambda made: (made, policy())) for jobs in (behind, ordinary)
    ]

    behind.close()
    ordinary.close()
    assert policies == [(os.SCHED_IDLE, os.SCHED_IDLE), (os.SCHED_OTHER, os.SCHED_OTHER)]
