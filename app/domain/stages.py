"""Where the time of a request goes: every room says how long its part took, to whoever listens.

Like `CALLER`, the listener goes with a request through every room and into its threads. Where
nobody listens, a stage costs a third of a microsecond.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum
from types import TracebackType

from app.domain.contexts import During

Listener = Callable[["Stage", float, float], None]
"""Told a stage and the readings of `time.perf_counter` when it began and ended; in any thread."""


class Stage(Enum):
    """A part of the way, in its order. Those from `DETECT` to `EMBED` are the networks' own.

    `SQL` may come several times, and its time includes the hop to another thread and back.
    """

    BODY = "body"  # until the body has arrived
    PARSE = "parse"  # JSON or form, without the pictures in it
    FETCH = "fetch"  # the file an image URL leads to
    LINE = "line"  # until a lane is free
    DECODE = "decode"  # base64, the gate and the decoder
    DETECT = "detect"
    LANDMARKS = "landmarks"
    POSE = "pose"  # angles and masks
    SPOOFING = "spoofing"
    EMBED = "embed"
    INDEX = "index"  # neighbours, with whatever the index had to catch up on
    SQL = "sql"
    AUDIT = "audit"  # until the audit trail has the request


_LISTENER: ContextVar[Listener | None] = ContextVar("stages", default=None)


class Timed:
    """`with Timed(Stage.DETECT):` tells the listener how long the block took, failed or not."""

    __slots__ = ("_began", "_stage")

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        listener = _LISTENER.get()
        if listener is not None:
            listener(self._stage, self._began, time.perf_counter())


def heard_by(listener: Listener | None) -> During[Listener | None]:
    """What this block does, and whatever it starts, tells its stages to `listener`."""
    return During(_LISTENER, listener)


def listener() -> Listener | None:
    """Who listens here, for whoever times a stage elsewhere."""
    return _LISTENER.get()


class StageTimes:
    """A `Listener` that remembers; several threads may tell it at a time."""

    def __init__(self) -> None:
        self.told: list[tuple[Stage, float, float]] = []

    def __call__(self, stage: Stage, began: float, ended: float) -> None:
        self.told.append((stage, began, ended))  # one step, so no lock is needed

    def seconds(self) -> dict[Stage, float]:
        """What each stage took, all of its times together."""
        sums: dict[Stage, float] = {}
        for stage, began, ended in self.told:
            sums[stage] = sums.get(stage, 0.0) + ended - began
        return sums
