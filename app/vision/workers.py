"""The server's end of a process that analyses pictures: its memory, its socket, its life."""

import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.domain.errors import ConfigurationError, ImageTooLarge
from app.domain.sharing import sealed_memory
from app.vision.messages import CALL, HEAD, SLOT, Kind, Task, packed, unpacked, written

_ROOT = Path(__file__).parents[2]
# -I: neither the environment nor the folder it starts in decides what is imported.
_START = "import importlib, sys; sys.path.append({!r}); importlib.import_module({!r}).main()"
# Our own threads share the cores; a pool of each library's would take them from another picture.
# glibc: as many heaps as there are threads would hold as much memory again.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_KEPT = 4 * 1024 * 1024
_READ = 256 * 1024
_GRACE = 2.0  # seconds after which a process is ended that does not end itself


@dataclass(frozen=True, slots=True)
class Program:
    """What a worker runs: the `main` of `module`, which is told its `config` as JSON first of all.

    `start` is how many seconds it may take until it can work, and `silence` after how many in which
    it has something to do and tells nothing it is taken for hung. The slowest picture takes 2 s to
    open and less than that to analyse, on a core of its own.
    """

    module: str
    config: object
    start: float = 60.0
    silence: float = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """What a worker tells of the task in a slot: JSON, and the vectors that belong to it."""

    slot: int
    kind: Kind
    told: Any
    vectors: bytes


class WorkerGone(Exception):
    """The process has ended; says how."""


class Worker:
    """One process, from its start to its end, and `slots` tasks it may have at a time.

    Raises OSError when it cannot be started.
    """

    def __init__(self, program: Program, slots: int) -> None:
        self._program = program
        self.is_ready = False
        self._received = bytearray()
        self._ours, theirs = socket.socketpair()
        shared = sealed_memory("facereco-worker", slots * SLOT)
        try:
            self._memory = mmap.mmap(shared, slots * SLOT)
            self._process = _spawn(program.module, theirs, shared)
        except OSError:
            self._ours.close()
            raise
        finally:
            theirs.close()
            os.close(shared)
        config, _ = packed(program.config)
        self._ours.sendall(CALL.pack(0, len(config), 0) + config)
        self._ours.settimeout(0.0)
        self._lengths = [0] * slots

    def fileno(self) -> int:
        """What an event loop waits for."""
        return self._ours.fileno()

    def wait_until_ready(self) -> None:
        """Block until it can work.

        Raises:
            ConfigurationError: it says why it cannot.
            WorkerGone: it ended, or takes too long.
        """
        until = time.monotonic() + self._program.start
        words = select.poll()
        words.register(self._ours, select.POLLIN)
        while not self.is_ready:
            if not words.poll(1000 * max(0.0, until - time.monotonic())):
                raise WorkerGone("it takes too long to start")
            for message in self.heard():
                self.note(message)

    def note(self, message: Message) -> None:
        """Take what it says of itself. Raises `ConfigurationError` with why it cannot work."""
        if message.kind is Kind.REFUSED:
            raise ConfigurationError(str(message.told))
        if message.kind is Kind.READY:
            self.is_ready = True

    def give(self, slot: int, task: Task) -> None:
        """Have it do something. Raises `ImageTooLarge`, `WorkerGone`."""
        plain, file = written(task)
        at, length = slot * SLOT, len(plain) + len(file)
        if length > SLOT:
            raise ImageTooLarge
        self._memory[at : at + len(plain)] = plain
        self._memory[at + len(plain) : at + length] = file
        self._lengths[slot] = length
        try:
            self._ours.sendall(CALL.pack(slot, len(plain), len(file)))
        except OSError:
            raise WorkerGone(self._how()) from None

    def free(self, slot: int) -> None:
        """Give back what a large task took."""
        if self._lengths[slot] > _KEPT:
            length = self._lengths[slot] - _KEPT
            self._memory.madvise(mmap.MADV_REMOVE, slot * SLOT + _KEPT, length)
        self._lengths[slot] = 0

    def heard(self) -> list[Message]:
        """What it has told since. Raises `WorkerGone`."""
        try:
            data = self._ours.recv(_READ)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            raise WorkerGone(self._how())
        self._received += data
        try:
            return self._messages()
        except ValueError:
            raise WorkerGone("it tells what nobody understands") from None

    def _messages(self) -> list[Message]:
        messages, at, received = list[Message](), 0, self._received
        while len(received) - at >= HEAD.size:
            slot, kind, plain, vectors = HEAD.unpack_from(received, at)
            begin = at + HEAD.size
            middle, end = begin + plain, begin + plain + vectors
            if len(received) < end:
                break
            told = unpacked(bytes(received[begin:middle]))
            messages.append(Message(slot, Kind(kind), told, bytes(received[middle:end])))
            at = end
        del received[:at]
        return messages

    def end(self) -> None:
        """Have it end, and free what it had."""
        self._ours.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self.kill()

    def kill(self) -> None:
        """End it, whatever it does, and free what it had."""
        self._ours.close()
        self._process.kill()
        self._process.wait()
        self._memory.close()

    def _how(self) -> str:
        try:
            status = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return "silent"
        return f"exit {status}" if status >= 0 else signal.Signals(-status).name


def _spawn(module: str, theirs: socket.socket, shared: int) -> subprocess.Popen[bytes]:
    numbers = map(str, (theirs.fileno(), shared))
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, numbers as arguments
        [sys.executable, "-I", "-c", _START.format(str(_ROOT), module), *numbers],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        env=_ENVIRONMENT,
        pass_fds=(theirs.fileno(), shared),
        # What stops the server from a terminal does not stop its workers. Its session is theirs:
        # Linux weighs sessions, and they would wait for what the server itself puts last.
        process_group=0,
    )
