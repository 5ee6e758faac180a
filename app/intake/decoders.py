"""The decoder processes of a server: hands each a picture, and replaces those that die.

A decoder gets one picture at a time through memory it shares with the server, and two short
messages over pipes. It has the server's keys, database and sockets as little as any other program
of the machine: it is a new interpreter, started with an empty environment and no other descriptor.
"""

import math
import mmap
import os
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from app.domain.errors import ConfigurationError, ImageTooLarge, InternalError, InvalidImageFile
from app.domain.sharing import sealed_memory
from app.domain.values import Image
from app.intake import decoder
from app.intake.decoder import FAILED, REPLY, Place
from app.intake.header import MAX_PIXELS
from app.intake.pixels import Order

log = structlog.get_logger(__name__)

_ROOT = Path(__file__).parents[2]
# -I: neither the environment nor the folder it starts in decides what is imported.
_START = "import importlib, sys; sys.path.append({!r}); importlib.import_module({!r}).main()"
# glibc: pictures of common size stay in a heap of at most 32 MiB, for fresh pages cost more than
# decoding; what larger ones took goes back to the system. The same holds for the shared pixels.
_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "33554432"}
_KEPT = 8 * 1024 * 1024
_FEW = 2
_GRACE = 0.25  # seconds after which the server ends what did not end itself
_PIXEL_BYTES = 3


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """What a decoder may take for one picture.

    `patience` is seconds on the clock. `memory` is bytes beside what is shared: the worst picture
    the gate lets through, 50 megapixels of turned RGBA, was seen to take 812 MiB. `inbox` is bytes
    of a file. `start` is how many seconds a new process may take until it can work.
    """

    patience: float = 2.0
    memory: int = 1024 * 1024 * 1024
    inbox: int = 16 * 1024 * 1024
    start: float = 20.0


class Decoders:
    """Satisfies `Decoder` with up to `count` processes; each caller waits for one of its own.

    `program` is the module a process runs. `few` of them start before anybody needs them, the
    others when they are needed. Close it when done.
    """

    def __init__(
        self,
        count: int,
        *,
        limits: DecoderLimits | None = None,
        program: str = decoder.__name__,
        few: int = _FEW,
    ) -> None:
        self.count, self._limits = count, limits or DecoderLimits()
        seats = [_Seat(program, self._limits) for _ in range(count)]
        for seat in seats[max(0, count - few) :]:
            seat.start()
        self._seats = tuple(seats)
        # Taken from the right: few pictures at a time keep few processes warm.
        self._free = deque(seats)
        self._available = threading.Semaphore(count)

    def check(self) -> None:
        """Wait until the first process can work. Raises `ConfigurationError`."""
        try:
            self._free[-1].ready()
        except InternalError:
            raise ConfigurationError("the picture decoder does not start") from None

    def decode(self, order: Order, essence: bytes) -> Image:
        """See `app.intake.decoding.Decoder`. Raises `InternalError` when no process starts."""
        if order.length > self._limits.inbox:
            raise ImageTooLarge
        with self._available:
            seat = self._free.pop()
            try:
                return seat.decode(order, essence)
            finally:
                if seat.warm:
                    self._free.append(seat)
                else:
                    self._free.appendleft(seat)  # it is still starting

    @property
    def replaced(self) -> int:
        """How many processes died, or were late, and have a successor."""
        return sum(seat.replaced for seat in self._seats)

    def close(self) -> None:
        """End every process. Nothing can be decoded afterwards."""
        while self._free:
            self._free.pop().end()


class _Lost(Exception):
    """A process ended, or was late, with the order it had; says why."""


class _Seat:
    """Where one process works, and its successor when it dies. One caller at a time."""

    def __init__(self, program: str, limits: DecoderLimits) -> None:
        self._program, self._limits = program, limits
        self.replaced = 0
        self._process: _Process | None = None

    @property
    def warm(self) -> bool:
        """Whether the next picture has to wait for no start."""
        return self._process is not None and self._process.is_ready

    def start(self) -> None:
        """Have a process start; it may not be ready yet. Where none can be, `ready` tells."""
        with suppress(OSError):
            self._process = _Process(self._program, self._limits)

    def ready(self, *, anew: bool = False) -> "_Process":
        """A process that takes orders, `anew` another one. Raises `InternalError`."""
        # Whether one that was ready still lives is told by its pipe: asking for each picture would
        # be one more call of the system.
        if self._process is None or anew or not (self._process.is_ready or self._process.alive):
            self.end()
            self.start()
        if self._process is None:
            raise InternalError("no decoder can be started")
        try:
            self._process.wait_until_ready()
        except _Lost:
            raise InternalError("no decoder can be started") from None
        return self._process

    def decode(self, order: Order, essence: bytes) -> Image:
        try:
            return self._decoded(order, essence)
        except (InvalidImageFile, InternalError):
            raise
        except BaseException as error:
            # Whatever broke off the exchange, this process would answer the next order late.
            self._replace(error)
            if isinstance(error, _Lost):
                raise InvalidImageFile from None
            raise

    def _decoded(self, order: Order, essence: bytes) -> Image:
        # One that had died before never saw this picture, which must not suffer for it.
        for anew in (False, True):
            with suppress(BrokenPipeError):
                return self.ready(anew=anew).decode(order, essence)
        raise InternalError("no decoder stays alive")

    def end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None

    def _replace(self, error: BaseException) -> None:
        self.end()
        self.start()
        self.replaced += 1
        reason = str(error) if isinstance(error, _Lost) else type(error).__name__
        log.warning("decoder replaced", reason=reason)


class _Process:
    """A decoder process with its memory and pipes. Raises OSError when it cannot be started."""

    def __init__(self, program: str, limits: DecoderLimits) -> None:
        self._limits = limits
        self._orders, self.is_ready = 0, False
        size = limits.inbox + _PIXEL_BYTES * MAX_PIXELS
        orders, self._to = os.pipe()
        self._from, replies = os.pipe()
        shared = sealed_memory("facereco-decoder", size)
        try:
            self._memory = mmap.mmap(shared, size)
            self._process = _spawn(program, limits, orders, replies, shared)
        except OSError:
            os.close(self._to)
            os.close(self._from)
            raise
        finally:
            for descriptor in (orders, replies, shared):
                os.close(descriptor)
        self._replies = select.poll()
        self._replies.register(self._from, select.POLLIN)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Raises `_Lost`."""
        if not self.is_ready:
            self._reply(self._limits.start)
            self.is_ready = True

    def decode(self, order: Order, essence: bytes) -> Image:
        """Raises `InvalidImageFile`, or `_Lost` when the process is of no use any more.

        `BrokenPipeError` says that there was none, and nothing was decoded.
        """
        self._memory[: len(essence)] = essence
        self._orders += 1
        os.write(self._to, order.pack())
        try:
            if self._reply(self._limits.patience + _GRACE) == FAILED:
                raise InvalidImageFile
            return self._pixels(order)
        finally:
            if math.prod(order.shape) > _KEPT:
                self._memory.madvise(mmap.MADV_REMOVE, self._limits.inbox + _KEPT)

    def end(self) -> None:
        """Kill the process, whatever it does, and free what it had."""
        os.close(self._to)
        os.close(self._from)
        self._process.kill()
        self._process.wait()
        self._memory.close()

    def _reply(self, patience: float) -> int:
        """What became of the last order. Raises `_Lost`."""
        if not self._replies.poll(1000 * patience):
            raise _Lost("too slow")
        reply = os.read(self._from, REPLY.size)
        if len(reply) < REPLY.size:
            raise _Lost(self._cause())
        number, outcome = REPLY.unpack(reply)
        if number != self._orders:
            raise _Lost("out of step")
        return int(outcome)

    def _cause(self) -> str:
        try:
            status = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return "silent"
        if status == -signal.SIGALRM:
            return "too slow"
        return f"exit {status}" if status >= 0 else f"signal {-status}"

    def _pixels(self, order: Order) -> Image:
        rows, columns, channels = order.shape
        flat = np.frombuffer(self._memory, np.uint8, rows * columns * channels, self._limits.inbox)
        return flat.reshape(order.shape).copy()


def _spawn(
    program: str, limits: DecoderLimits, orders: int, replies: int, shared: int
) -> subprocess.Popen[bytes]:
    pixels = _PIXEL_BYTES * MAX_PIXELS
    place = Place(shared, limits.inbox, pixels, limits.memory, int(1000 * limits.patience))
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, numbers as arguments
        [sys.executable, "-I", "-c", _START.format(str(_ROOT), program), *map(str, place)],
        stdin=orders,
        stdout=replies,
        stderr=subprocess.DEVNULL,  # libraries may write what they find in a file
        cwd="/",
        env=_ENVIRONMENT,
        pass_fds=(shared,),
        # What stops the server from a terminal does not stop its decoders. Its session is theirs:
        # Linux weighs sessions, and they would wait for what the server itself puts last.
        process_group=0,
    )
