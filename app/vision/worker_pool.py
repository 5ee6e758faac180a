"""Analyses pictures in processes of their own, one for each core.

Threads of one process share Python's lock: two of them do a twelfth less than two processes, eight
far less, and the event loop waits for all of them.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog

from app.domain.callers import BEHIND, CALLER
from app.domain.errors import (
    ConfigurationError,
    InternalError,
    ModelUnavailable,
    WorkersBusy,
)
from app.domain.ports import Early, Picture
from app.domain.stages import Listener, listener
from app.domain.values import Face, ModelVersion, SpoofingCondition, Wanted
from app.telemetry import logs
from app.vision.described import Described
from app.vision.jobs import Turns
from app.vision.messages import (
    Analysis,
    Ended,
    Judgement,
    Kind,
    Task,
    error_of,
    faces_of,
    tell,
)
from app.vision.packs import PackCatalog
from app.vision.workers import Message, Program, Worker, WorkerGone

log = structlog.get_logger(__name__)

_TRIES = 2  # of a task: a process that ends with it may have ended because of it
_PATIENCE = 5.0  # seconds from a start that failed to the next
_LONG = 0.5  # seconds after which a picture seems to stall who has it
_WATCHES = 4  # in the time a silent process is given


_Answer = tuple[Any, bytes]  # JSON, and the vectors that belong to it


@dataclass(slots=True, eq=False)
class _Job:
    """A task, and who waits for it."""

    task: Task
    answer: "asyncio.Future[_Answer]"
    early: Early | None
    listener: Listener | None
    tries: int = 0
    given: float = 0.0  # when, by the clock that only goes forward


@dataclass(slots=True, eq=False)
class _Seat:
    """A worker's place: who works there now, and what at. One is only started when it is needed."""

    slots: int  # for each of the two tiers
    worker: Worker | None = None
    jobs: dict[int, _Job] = field(default_factory=dict)  # by slot, in the order they were given
    replaced: int = 0  # of the worker's decoders
    heard: float = 0.0  # when the worker last told something, by the same clock

    def busy(self, *, behind: bool) -> int:
        """Tasks of a tier that are here."""
        return sum(job.task.behind is behind for job in self.jobs.values())

    def seems_stalled(self, now: float) -> bool:
        """Whether the oldest task takes so long that the next had better go elsewhere."""
        oldest = next(iter(self.jobs.values()), None)
        return oldest is not None and now - oldest.given > _LONG

    def silent(self, now: float) -> float:
        """Seconds in which it told nothing while it had something to do.

        What stays behind may wait for as long as others need the processor, and does not count.
        """
        given = [job.given for job in self.jobs.values() if not job.task.behind]
        return now - max(self.heard, min(given)) if given else 0.0

    @property
    def is_ready(self) -> bool:
        return self.worker is not None and self.worker.is_ready

    def free_slot(self, *, behind: bool) -> int:
        """A slot of a tier that has one."""
        first = self.slots if behind else 0
        return next(slot for slot in range(first, first + self.slots) if slot not in self.jobs)


class WorkerPool(Described):
    """Finds and describes faces with any installed pack; satisfies `app.domain.ports.Vision`.

    Up to `count` processes run `program`. Each works at one picture and has `making` more, which it
    makes ready meanwhile; `backlog` more pictures may wait beside the `count`. The same again for
    callers that come `BEHIND`, in threads of those processes that run when the others leave time.

    The first process starts with the pool. The others start when there is more to do than those
    that are there have hands for, and stay.
    """

    def __init__(
        self,
        catalog: PackCatalog,
        default: str,
        program: Program,
        *,
        count: int,
        backlog: int,
        making: int = 1,
    ) -> None:
        """Raises `ConfigurationError`: the pack is unknown."""
        super().__init__(catalog, default)
        self._program, self._room = program, count + backlog
        # One at work, `making` made ready, one of a tenant that shall not wait for those.
        self._seats = [_Seat(slots=making + 2) for _ in range(count)]
        self._turns: dict[bool, Turns[_Job]] = {False: Turns(), True: Turns()}
        self._held = {False: 0, True: 0}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deaths = 0
        self._past_replaced = 0  # decoders of processes that have ended
        self._failed_at = -_PATIENCE
        self._closed = False
        self._start(self._seats[0])

    def ready(self) -> None:
        """Wait until the first process can work.

        Raises:
            ConfigurationError: the default pack cannot be used, or no process can be started.
        """
        self.read_default_table()
        worker = self._seats[0].worker
        if worker is None:
            raise ConfigurationError("the system starts no process for the models")
        try:
            worker.wait_until_ready()
        except WorkerGone as gone:
            raise ConfigurationError(f"the process for the models ends: {gone}") from None

    def check(self) -> None:
        """Raises `ModelUnavailable` while no process is there, and has one start."""
        if not self.processes:
            self._start_another()
        if not self.processes:
            raise ModelUnavailable

    @property
    def processes(self) -> int:
        """How many have been started and are there."""
        return sum(seat.worker is not None for seat in self._seats)

    @property
    def deaths(self) -> int:
        """How many have ended by themselves, or hung."""
        return self._deaths

    @property
    def replaced_decoders(self) -> int:
        """How many decoders died, or were late, and have a successor."""
        return self._past_replaced + sum(seat.replaced for seat in self._seats)

    async def analyze(
        self,
        picture: Picture,
        wanted: Wanted,
        model: ModelVersion | None = None,
        *,
        early: Early | None = None,
    ) -> list[Face]:
        """Faces of `picture`, largest first; a caller that stops waiting leaves the queue."""
        self._catalog.by_version(model or self._default)  # raises what there is to raise
        asked = Analysis(wanted, model, early is not None)
        return faces_of(*await self._submit(picture, analysis=asked, early=early))

    async def is_spoof(self, crop: Picture, condition: SpoofingCondition) -> bool:
        """Whether an aligned crop is of no live face, as the default pack judges it."""
        told, _ = await self._submit(crop, judgement=Judgement(condition))
        return bool(told)

    def close(self) -> None:
        """End every process. What they are at is lost."""
        self._closed = True
        for seat in self._seats:
            if seat.worker is not None:
                self._unheard(seat.worker)
                seat.worker.end()
                seat.worker = None
        for turns in self._turns.values():
            for job in turns.drain():
                job.answer.cancel()

    async def _submit(
        self,
        picture: Picture,
        *,
        analysis: Analysis | None = None,
        judgement: Judgement | None = None,
        early: Early | None = None,
    ) -> _Answer:
        """What a worker answers. Raises `WorkersBusy` without room."""
        behind, unopened = BEHIND.get(), picture.unopened
        if unopened is None:
            raise InternalError("a picture that no other process can open")
        if self._held[behind] >= self._room:
            raise WorkersBusy
        loop = asyncio.get_running_loop()
        self._attach(loop)
        tenant, heard = CALLER.get().tenant, listener()
        task = Task(
            unopened, analysis, judgement, tenant, logs.named_request(), behind, heard is not None
        )
        job = _Job(task, loop.create_future(), early, heard)
        self._held[behind] += 1
        self._turns[behind].wait(tenant, job)
        try:
            self._hand_out(behind=behind)
            return await job.answer
        finally:
            self._held[behind] -= 1

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear the workers on this loop from now on."""
        if self._loop is loop:
            return
        self._loop = loop
        for seat in self._seats:
            if seat.worker is not None:
                loop.add_reader(seat.worker.fileno(), self._hear, seat, seat.worker)
        self._watch_later(loop)

    def _watch_later(self, loop: asyncio.AbstractEventLoop) -> None:
        tick = self._program.silence / _WATCHES
        loop.call_later(tick, self._watch, loop, time.monotonic() + 2 * tick)

    def _watch(self, loop: asyncio.AbstractEventLoop, late: float) -> None:
        """Replace who hangs: nobody would hear of what it has, and its core would idle for ever.

        After `late`, a reading of the clock, this process was held, and so may the others have been
        (a container that was paused): their silence counts from now.
        """
        if self._loop is not loop or self._closed:
            return
        self._watch_later(loop)
        now = time.monotonic()
        for seat in self._seats:
            worker = seat.worker
            if now > late:
                seat.heard = now
            elif worker is not None and seat.silent(now) > self._program.silence:
                self._hear(seat, worker)  # it may have told something this very moment
                if seat.silent(now) > self._program.silence:
                    self._lose(seat, worker, WorkerGone("it hangs"))

    def _unheard(self, worker: Worker) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(worker.fileno())

    def _hand_out(self, *, behind: bool) -> None:
        """Give what waits to those who have a hand for it."""
        turns = self._turns[behind]
        while (tenant := turns.next_tenant()) is not None:
            seat = self._freest(behind=behind, newcomer=turns.is_new(tenant))
            if seat is None or seat.busy(behind=behind):
                self._start_another()
            if seat is None:
                self._give_up(turns)
                return
            job = turns.following()
            if job is None or job.answer.done():  # nobody waits any more
                turns.end(tenant)
            else:
                self._give(seat, job)

    def _freest(self, *, behind: bool, newcomer: bool) -> _Seat | None:
        """The seat with the least to do that takes one more, for choice one that gets on."""
        now = time.monotonic()
        free = [
            (seat.seems_stalled(now), busy, place)
            for place, seat in enumerate(self._seats)
            if seat.is_ready and (busy := seat.busy(behind=behind)) < seat.slots - (not newcomer)
        ]
        return self._seats[min(free)[-1]] if free else None

    def _give(self, seat: _Seat, job: _Job) -> None:
        worker, slot = seat.worker, seat.free_slot(behind=job.task.behind)
        seat.jobs[slot] = job
        job.tries, job.given = job.tries + 1, time.monotonic()
        try:
            if worker is not None:
                worker.give(slot, job.task)
        except WorkerGone as gone:  # it never saw this picture, which must not suffer for it
            del seat.jobs[slot]
            self._again(job)
            self._lose(seat, worker, gone)
        except Exception as error:  # noqa: BLE001 - whatever it is, the slot must not stay taken
            self._finish(seat, slot, error=error)

    def _again(self, job: _Job) -> None:
        """Let it wait once more."""
        turns, tenant = self._turns[job.task.behind], job.task.tenant
        turns.end(tenant)
        if job.tries < _TRIES:
            turns.wait(tenant, job)
        else:
            _fail(job)

    def _hear(self, seat: _Seat, worker: Worker) -> None:
        try:
            for message in worker.heard():
                seat.heard = time.monotonic()
                self._obey(seat, worker, message)
        except WorkerGone as gone:
            self._lose(seat, worker, gone)
        except ConfigurationError as error:  # its files have changed since the first one started
            self._lose(seat, worker, WorkerGone(str(error)))

    def _obey(self, seat: _Seat, worker: Worker, message: Message) -> None:
        if message.kind is Kind.EARLY:
            job = seat.jobs.get(message.slot)
            if job is not None and job.early is not None and not job.answer.done():
                job.early(np.frombuffer(message.vectors, np.float32))
        elif message.kind in (Kind.DONE, Kind.FAILED):
            self._end(seat, message)
        else:
            worker.note(message)
            for behind in self._turns:
                self._hand_out(behind=behind)

    def _end(self, seat: _Seat, message: Message) -> None:
        ended, job = Ended(**message.told), seat.jobs[message.slot]
        seat.replaced = ended.replaced
        if job.listener is not None:
            tell(ended.told, job.listener)
        error = error_of(*ended.what) if message.kind is Kind.FAILED else None
        self._finish(seat, message.slot, (ended.what, message.vectors), error)
        self._hand_out(behind=job.task.behind)

    def _finish(
        self,
        seat: _Seat,
        slot: int,
        answer: _Answer = (None, b""),
        error: Exception | None = None,
    ) -> None:
        job = seat.jobs.pop(slot)
        if seat.worker is not None:
            seat.worker.free(slot)
        self._turns[job.task.behind].end(job.task.tenant)
        if job.answer.done():
            return
        if error is not None:
            job.answer.set_exception(error)
        else:
            job.answer.set_result(answer)

    def _lose(self, seat: _Seat, worker: Worker | None, gone: WorkerGone) -> None:
        """Another process takes the place of one that ended; what it had made ready is done there.

        What it was at is lost: it may have ended because of that.
        """
        if worker is None or seat.worker is not worker:
            return  # it was seen to be gone before
        seat.worker = None
        self._unheard(worker)
        worker.kill()
        self._deaths += 1
        self._past_replaced, seat.replaced = self._past_replaced + seat.replaced, 0
        log.warning("worker replaced", reason=str(gone))
        lost, seat.jobs = list(seat.jobs.values()), {}
        at_work = {job.task.behind: job for job in reversed(lost)}
        for job in lost:
            if job is at_work[job.task.behind]:
                job.tries = _TRIES
            self._again(job)
        if worker.is_ready:
            self._start(seat)
        else:
            self._failed_at = time.monotonic()
        for behind in self._turns:
            self._hand_out(behind=behind)

    def _start(self, seat: _Seat) -> None:
        try:
            seat.worker = Worker(self._program, 2 * seat.slots)
        except OSError as error:
            log.warning("no worker can be started", reason=error.strerror)
            self._failed_at = time.monotonic()
            return
        if self._loop is not None:
            self._loop.add_reader(seat.worker.fileno(), self._hear, seat, seat.worker)

    def _start_another(self) -> None:
        """Where there is room for one more process, and none failed to start a moment ago."""
        if time.monotonic() < self._failed_at + _PATIENCE:
            return
        seat = next((seat for seat in self._seats if seat.worker is None), None)
        if seat is not None:
            self._start(seat)

    def _give_up(self, turns: Turns[_Job]) -> None:
        """Where no process is there or to come, nobody shall wait for one."""
        if all(seat.worker is None for seat in self._seats):
            for job in turns.drain():
                _fail(job)


def _fail(job: _Job) -> None:
    if not job.answer.done():
        job.answer.set_exception(InternalError())
