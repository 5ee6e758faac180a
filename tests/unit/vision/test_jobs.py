"""Work in threads: whose it is decides what comes next."""

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


class Held:
    """One thread that is kept busy until `go`; what runs afterwards is in `order`."""

    def __init__(self, backlog: int = 9) -> None:
        self.jobs = Jobs(1, backlog, name="test")
        self.go = threading.Event()
        self.order: list[str] = []
        with calling(A):
            self.first = self.jobs.submit(lambda: self.go.wait(5))

    def submit(self, tenant: int, name: str):
        with calling(tenant):
            return self.jobs.submit(lambda: self.order.append(name))


@pytest.fixture
def held():
    held = Held()
    yield held
    held.go.set()
    held.jobs.close()


def test_a_newcomer_comes_before_what_another_had_waiting(held):
    jobs = [held.submit(A, "a1"), held.submit(A, "a2"), held.submit(B, "b1"), held.submit(B, "b2")]

    held.go.set()
    for job in jobs:
        job.result(5)

    assert held.order == ["b1", "a1", "b2", "a2"]


def test_a_failure_reaches_who_submitted_and_frees_the_thread(held):
    with calling(B):
        broken = held.jobs.submit(lambda: 1 / 0)
    sound = held.submit(B, "sound")

    held.go.set()

    with pytest.raises(ZeroDivisionError):
        broken.result(5)
    sound.result(5)
    assert held.order == ["sound"]


def test_what_nobody_waits_for_is_not_begun_and_makes_room():
    held = Held(backlog=1)
    leaving = held.submit(A, "left")
    with pytest.raises(Overloaded):
        held.submit(B, "too many")

    leaving.cancel()
    staying = held.submit(B, "stayed")
    held.go.set()
    staying.result(5)
    held.jobs.close()

    assert held.order == ["stayed"]


def test_what_waits_when_it_is_closed_is_cancelled(held):
    waiting = held.submit(B, "never")

    closing = threading.Thread(target=held.jobs.close)
    closing.start()
    held.go.set()
    closing.join(5)

    assert waiting.cancelled() or held.order == ["never"]


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling of threads is Linux's own")
def test_threads_that_stay_behind_leave_the_processor_to_others():
    behind, ordinary = Jobs(1, 1, name="behind", behind=True), Jobs(1, 1, name="ordinary")

    policies = [
        jobs.submit(lambda: os.sched_getscheduler(threading.get_native_id())).result(5)
        for jobs in (behind, ordinary)
    ]

    behind.close()
    ordinary.close()
    assert policies == [os.SCHED_IDLE, os.SCHED_OTHER]
