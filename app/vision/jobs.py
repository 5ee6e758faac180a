"""Work for a few threads: whose it is decides what comes next, not only who came first."""

import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.domain.callers import CALLER
from app.domain.errors import WorkersBusy

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class _Job(Generic[Answer]):
    """Something to do for a tenant, in the context of its request."""

    tenant: int
    context: Context
    work: Callable[[], Answer]
    answer: "Future[Answer]"

    def run(self) -> None:
        """Do it, unless nobody waits any more."""
        if not self.answer.set_running_or_notify_cancel():
            return
        try:
            self.answer.set_result(self.context.run(self.work))
        except BaseException as error:  # noqa: BLE001 - whoever waits hears of it, whatever it is
            self.answer.set_exception(error)


class Jobs:
    """`threads` run what is submitted, and `backlog` more may wait.

    Threads that stay `behind` run when nothing else of the server would, and let whatever wakes up
    go first at once: a mere lower priority would keep it waiting for the end of a slice.

    A thread that falls free takes a job of the tenant with the fewest running, among equals of the
    one that was not served for longest. It finds the next one there when it is done: asking the
    event loop first would leave a core idle for as long as that is busy.
    """

    def __init__(self, threads: int, backlog: int, *, name: str, behind: bool = False) -> None:
        self._room = threading.BoundedSemaphore(threads + backlog)
        self._threads = ThreadPoolExecutor(
            threads, thread_name_prefix=name, initializer=_step_back if behind else None
        )
        self._choosing = threading.Lock()
        self._waiting: dict[int, deque[_Job[Any]]] = {}
        self._running: Counter[int] = Counter()
        self._turns = 0
        self._last_turn: dict[int, int] = {}  # of the tenants that have something here

    def submit(self, work: Callable[[], Answer]) -> "Future[Answer]":
        """What `work` will return, run for the caller. Raises `WorkersBusy` without room."""
        if not self._room.acquire(blocking=False):
            raise WorkersBusy
        # The caller's context goes along, so that stages and log lines find their request.
        job = _Job(CALLER.get().tenant, copy_context(), work, Future())
        job.answer.add_done_callback(lambda _: self._room.release())
        with self._choosing:
            self._waiting.setdefault(job.tenant, deque()).append(job)
        # One more thread is to look; what it finds to do is settled when it does.
        self._threads.submit(self._run_next)
        return job.answer

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for jobs in self._waiting.values():
            for job in jobs:
                job.answer.cancel()
        self._waiting.clear()

    def _run_next(self) -> None:
        if (job := self._take()) is not None:
            try:
                job.run()
            finally:
                self._finish(job.tenant)

    def _take(self) -> _Job[Any] | None:
        """The next job; None where those who submitted as many have stopped waiting."""
        with self._choosing:
            if not self._waiting:
                return None
            tenant = min(self._waiting, key=lambda t: (self._running[t], self._last_turn.get(t, 0)))
            queue = self._waiting[tenant]
            job = queue.popleft()
            if not queue:
                del self._waiting[tenant]
            self._running[tenant] += 1
            self._turns += 1
            self._last_turn[tenant] = self._turns
        return job

    def _finish(self, tenant: int) -> None:
        with self._choosing:
            self._running[tenant] -= 1
            if not self._running[tenant]:
                del self._running[tenant]
                if tenant not in self._waiting:
                    del self._last_turn[tenant]


def _step_back() -> None:
    """Leave the processor to others, this thread alone: Linux takes its id for a process's."""
    if sys.platform == "linux":
        with suppress(OSError):  # where a sandbox forbids it, it is as everybody else
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
