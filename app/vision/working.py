"""What a process does that analyses pictures for a server: takes tasks, tells what it found."""

import mmap
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import structlog

from app.domain.callers import CALLER, Caller
from app.domain.contexts import During
from app.domain.errors import ConfigurationError, FaceError
from app.domain.ports import Picture
from app.domain.stages import StageTimes, heard_by
from app.domain.values import Embedding, Face
from app.telemetry import logs
from app.vision.jobs import Jobs
from app.vision.messages import (
    CALL,
    HEAD,
    SLOT,
    Analysis,
    Ended,
    Kind,
    Task,
    named,
    packed,
    read,
    unpacked,
)
from app.vision.models import Look, Models

log = structlog.get_logger(__name__)


class Channel:
    """The worker's end of the socket, and the memory it shares with the server.

    Raises `EOFError` when the server has gone.
    """

    def __init__(self, descriptor: int, shared: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._memory = mmap.mmap(shared, os.fstat(shared).st_size)
        os.close(shared)
        self._telling = threading.Lock()

    def config(self) -> dict[str, Any]:
        """What the server says first of all."""
        _, length, _ = CALL.unpack(self._exactly(CALL.size))
        told: dict[str, Any] = unpacked(self._exactly(length))
        return told

    def task(self) -> tuple[int, Task]:
        """The next task and its slot."""
        slot, plain, file = CALL.unpack(self._exactly(CALL.size))
        lying = memoryview(self._memory)[slot * SLOT :]
        return slot, read(lying[:plain], lying[plain : plain + file])

    def tell(self, slot: int, kind: Kind, plain: object = None) -> None:
        """Tell the server. One that has gone hears nothing; `task` notices."""
        data, vectors = packed(plain)
        head = HEAD.pack(slot, kind, len(data), len(vectors))
        with self._telling, suppress(OSError):
            self._socket.sendall(b"".join((head, data, vectors)))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data


@dataclass(frozen=True, slots=True, eq=False)
class TaskRunner:
    """What tasks are done with.

    `open` is for the picture of one; `replaced` tells how many decoders had to be.
    """

    channel: Channel
    open: Callable[[Task], Picture]
    models: Models
    jobs: Jobs
    behind: Jobs
    replaced: Callable[[], int]

    def work(self, check: Callable[[], None]) -> None:
        """Take tasks once `check` found all else in order, until the server has gone."""
        # Requests share the cores; OpenCV must not split one of them over all.
        cv2.setNumThreads(0)
        try:
            self.models.load_default()
            check()
        except ConfigurationError as error:
            self.channel.tell(0, Kind.REFUSED, str(error))
            return
        self.channel.tell(0, Kind.READY)
        while True:
            slot, task = self.channel.task()
            _begin(self, slot, task)


def serve_the_server() -> None:
    """Have this process be one whose end, by whomever, is never the server's."""
    # Whoever stops the server stops it gracefully: it still needs those who work for it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # where memory is short, a decoder goes first, then a worker
        Path("/proc/self/oom_score_adj").write_text("500")
    # No core dump: it would hold vectors and pictures in clear.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _begin(runner: TaskRunner, slot: int, task: Task) -> None:
    times = StageTimes()
    with (
        During(CALLER, Caller(task.tenant)),
        logs.of_request(task.request),
        heard_by(times if task.timed else None),
    ):
        jobs = runner.behind if task.behind else runner.jobs
        answers = _Answers(runner, slot, times, copy_context())
        picture, judgement = runner.open(task), task.judgement
        if task.analysis is not None:
            _analyse(jobs, picture, task.analysis, answers)
        elif judgement is not None:
            pipeline, condition = runner.models.pipeline, judgement.condition
            jobs.take(picture.whole, lambda crop: pipeline().is_spoof(crop, condition), answers)


def _analyse(jobs: Jobs, picture: Picture, asked: Analysis, answers: "_Answers") -> None:
    early = answers.tell_early if asked.early else None
    look = Look(lambda: answers.runner.models.pipeline(asked.model), asked.wanted, early)
    found = _Found(answers, lambda: jobs.take(picture.whole, look.at_all_of_it, found))
    if look.glances:
        jobs.take(picture.glance, look.at_a_glance, found)
    else:
        jobs.take(picture.whole, look.at_all_of_it, found)


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """Satisfies `app.vision.jobs.Ending`: tells the server, once, how a task ended."""

    runner: TaskRunner
    slot: int
    times: StageTimes
    context: Context

    @property
    def is_left(self) -> bool:
        return False  # the server knows, and sends nothing that nobody waits for

    def tell_early(self, embedding: Embedding) -> None:
        """Tell the first face's vector before the rest is known."""
        self.runner.channel.tell(self.slot, Kind.EARLY, embedding)

    def succeed(self, answer: object) -> None:
        self._tell(Kind.DONE, answer)

    def fail(self, error: BaseException) -> None:
        if not isinstance(error, FaceError):
            way = logs.way(error.__traceback__)
            kind, place = type(error).__name__, way[-1] if way else "unknown"
            # The type and the place tell enough; messages and locals may hold what was sent.
            self.context.run(log.error, "unexpected error", kind=kind, place=place)
        self._tell(Kind.FAILED, named(error))

    def cancel(self) -> None:
        """Nobody is told: the server has gone."""

    def _tell(self, kind: Kind, what: object) -> None:
        told = [(stage.value, began, ended) for stage, began, ended in self.times.told]
        self.runner.channel.tell(self.slot, kind, Ended(what, told, self.runner.replaced()))


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Satisfies `app.vision.jobs.Ending` with faces.

    `look_again` is for a glance that showed too little.
    """

    answers: _Answers
    look_again: Callable[[], None]

    @property
    def is_left(self) -> bool:
        return self.answers.is_left

    def succeed(self, faces: list[Face] | None) -> None:
        if faces is None:
            self.answers.context.run(self.look_again)
        else:
            self.answers.succeed(faces)

    def fail(self, error: BaseException) -> None:
        self.answers.fail(error)

    def cancel(self) -> None:
        self.answers.cancel()
