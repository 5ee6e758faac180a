"""Work for a few threads: whose it is decides what comes next, not only who came first."""

import asyncio
import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar, cast

from app.domain.callers import CALLER
from app.domain.errors import WorkersBusy

Answer = TypeVar("Answer")
Answers = TypeVar("Answers", contravariant=True)
Material = TypeVar("Material")
Thing = TypeVar("Thing")

# Threads that make ready wait for decoders most of the time: two of them keep one core busy.
FEWEST_MAKING = 2


class Turns(Generic[Thing]):
    """What tenants wait with. Its callers see to it that one thread is here at a time.

    Next comes the tenant with the fewest at work, among equals the one not served for longest.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, deque[Thing]] = {}
        self._working: Counter[int] = Counter()
        self._turns = 0
        self._last_turn: dict[int, int] = {}  # of the tenants that have something here

    def wait(self, tenant: int, thing: Thing) -> None:
        """Add to what waits."""
        self._waiting.setdefault(tenant, deque()).append(thing)

    def begin(self, tenant: int) -> None:
        """One more of this tenant's is at work."""
        self._working[tenant] += 1
        self._turns += 1
        self._last_turn[tenant] = self._turns

    def next_tenant(self) -> int | None:
        """Whose turn it is; None when nothing waits."""
        if not self._waiting:
            return None
        return min(self._waiting, key=lambda t: (self._working[t], self._last_turn.get(t, 0)))

    def is_new(self, tenant: int) -> bool:
        """Whether nothing of this tenant's is at work."""
        return not self._working[tenant]

    def following(self) -> Thing | None:
        """Whose turn it is, now at work; None when nothing waits."""
        tenant = self.next_tenant()
        if tenant is None:
            return None
        queue = self._waiting[tenant]
        thing = queue.popleft()
        if not queue:
            del self._waiting[tenant]
        self.begin(tenant)
        return thing

    def end(self, tenant: int) -> None:
        """One of this tenant's is at work no more."""
        self._working[tenant] -= 1
        if not self._working[tenant]:
            del self._working[tenant]
            if tenant not in self._waiting:
                del self._last_turn[tenant]

    def drain(self) -> list[Thing]:
        """All that waits, which is then forgotten."""
        left = [thing for queue in self._waiting.values() for thing in queue]
        self._waiting.clear()
        return left


class Ending(Protocol[Answers]):
    """Who waits for a job. Told in the thread that the job ends in."""

    @property
    def is_left(self) -> bool:
        """Whether nobody waits any more."""
        ...

    def succeed(self, answer: Answers) -> None: ...

    def fail(self, error: BaseException) -> None: ...

    def cancel(self) -> None:
        """Nobody will do it."""
        ...


@dataclass(slots=True, eq=False)
class _Job(Generic[Material, Answer]):
    """Something to do for a tenant, in two steps, in the context of its request."""

    tenant: int
    context: Context
    make_ready: Callable[[], Material]
    work: Callable[[Material], Answer]
    ending: Ending[Answer]
    material: Material | None = None

    def prepare(self) -> bool:
        """The first step. Whether the second is to follow."""
        if self.ending.is_left:
            return False
        try:
            self.material = self.context.run(self.make_ready)
        except BaseException as error:  # noqa: BLE001 - whoever waits hears of it, whatever it is
            self.ending.fail(error)
            return False
        return True

    def run(self) -> None:
        """The second step, with what the first one made."""
        material, self.material = cast("Material", self.material), None
        if self.ending.is_left:
            return
        try:
            answer = self.context.run(self.work, material)
        except BaseException as error:  # noqa: BLE001 - as above
            self.ending.fail(error)
        else:
            self.ending.succeed(answer)


@dataclass(frozen=True, slots=True, eq=False)
class _OnLoop(Generic[Answer]):
    """Satisfies `Ending` with a future of an event loop."""

    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Answer]"

    @property
    def is_left(self) -> bool:
        return self.answer.done()

    def succeed(self, answer: Answer) -> None:
        self._tell(self._set_result, answer)

    def fail(self, error: BaseException) -> None:
        self._tell(self._set_exception, error)

    def cancel(self) -> None:
        self._tell(lambda _: self.answer.cancel(), None)

    def _tell(self, how: Callable[[Any], object], what: object) -> None:
        with suppress(RuntimeError):  # the loop has ended: there is nobody to tell
            self.loop.call_soon_threadsafe(how, what)

    def _set_result(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def _set_exception(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class _Threads:
    """Up to `most` threads that `do` what waits, started as they are needed with `begin`.

    A thread that falls free finds the next job there when it is done: asking the event loop first
    would leave a core idle for as long as that is busy.
    """

    def __init__(
        self,
        most: int,
        do: Callable[[_Job[Any, Any]], None],
        begin: Callable[[], None],
        name: str,
    ) -> None:
        self._most, self._do, self._begin, self._name = most, do, begin, name
        self._started: list[threading.Thread] = []
        self._idle = 0
        self._choosing = threading.Lock()
        self._turns: Turns[_Job[Any, Any]] = Turns()
        # One for each job, by which a thread wakes up; what it finds to do is settled when it does.
        self._calls: SimpleQueue[_Job[Any, Any] | None] = SimpleQueue()

    def take(self, job: _Job[Any, Any]) -> None:
        """Do it in its turn."""
        with self._choosing:
            self._turns.wait(job.tenant, job)
            if self._idle:
                self._idle -= 1
            elif len(self._started) < self._most:
                self._start()
        self._calls.put(job)

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        with self._choosing:
            left = self._turns.drain()
        for job in left:
            job.ending.cancel()
        for _ in self._started:
            self._calls.put(None)
        for thread in self._started:
            thread.join()

    def _start(self) -> None:
        name = f"{self._name}_{len(self._started)}"
        thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._started.append(thread)
        thread.start()

    def _serve(self) -> None:
        self._begin()
        while self._calls.get() is not None:
            with self._choosing:
                job = self._turns.following()
            if job is not None:  # it is when what waited was dropped
                self._do(job)
            with self._choosing:
                self._idle += 1
                if job is not None:
                    self._turns.end(job.tenant)


class Jobs:
    """`count` threads work on what is submitted, and `making` make ready what comes next.

    A job that is ready goes straight from one to the other: the event loop, which may be busy, need
    not hear of it. `backlog` more may wait beside the `count`.

    Threads that stay `behind` run when nothing else of the server would, and let whatever wakes up
    go first at once: a mere lower priority would keep it waiting for the end of a slice.
    """

    def __init__(
        self,
        count: int,
        backlog: int,
        *,
        name: str,
        making: int = FEWEST_MAKING,
        behind: bool = False,
    ) -> None:
        self._room = threading.BoundedSemaphore(count + backlog)
        begin = _step_back if behind else _as_ever
        self._making = _Threads(making, self._prepare, begin, f"{name}_ahead")
        self._working = _Threads(count, _Job.run, begin, name)

    def submit(
        self, make_ready: Callable[[], Material], work: Callable[[Material], Answer]
    ) -> "asyncio.Future[Answer]":
        """What `work` will return of what `make_ready` does, for the caller.

        Raises `WorkersBusy` without room.
        """
        if not self._room.acquire(blocking=False):
            raise WorkersBusy
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        answer.add_done_callback(lambda _: self._room.release())
        self.take(make_ready, work, _OnLoop(loop, answer))
        return answer

    def take(
        self,
        make_ready: Callable[[], Material],
        work: Callable[[Material], Answer],
        ending: Ending[Answer],
    ) -> None:
        """The same without a bound and without an event loop: `ending` is told."""
        # The caller's context goes along, so that stages and log lines find their request.
        self._making.take(_Job(CALLER.get().tenant, copy_context(), make_ready, work, ending))

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._making.close()
        self._working.close()

    def _prepare(self, job: _Job[Any, Any]) -> None:
        if job.prepare():
            self._working.take(job)


def _as_ever() -> None:
    """A thread like any other."""


def _step_back() -> None:
    """Leave the processor to others, this thread alone: Linux takes its id for a process's."""
    if sys.platform == "linux":
        with suppress(OSError):  # where a sandbox forbids it, it is as everybody else
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
