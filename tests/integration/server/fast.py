"""Orders servers from tests.integration.server.fast_server, and speaks to them."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.integration.server.processes import START, ServerProcess, environment


class Foundry:
    """The program that forks servers; `close` ends it, not the servers.

    `surroundings` are in its environment and in that of every server.
    """

    def __init__(self, surroundings: Mapping[str, str] | None = None) -> None:
        self._surroundings = dict(surroundings or {})
        self._program = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.integration.server.fast_server"],
            env={
                **environment(),
                **self._surroundings,
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def order(self, arguments: Sequence[str], out: Path, err: Path, **settings: str) -> int:
        """Start `facereco ARGUMENTS`; its process id."""
        order = {
            "env": {**environment(**settings), **self._surroundings},
            "arguments": list(arguments),
            "out": str(out),
            "err": str(err),
        }
        assert self._program.stdin is not None
        self._program.stdin.write(json.dumps(order) + "\n")
        self._program.stdin.flush()
        return int(self._answer())

    def close(self) -> None:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        self._program.stdout.close()
        self._program.wait(START)

    def _answer(self) -> str:
        assert self._program.stdout is not None
        return self._program.stdout.readline().strip()


def alive(pid: int) -> bool:
    """Whether a process of a foundry still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class FastServer(ServerProcess):
    """A server out of a foundry."""

    foundry: Foundry
    pid: int

    def start(self) -> Self:
        # A file of an earlier start says "ready" of another port.
        self._file("out").unlink(missing_ok=True)
        self._file("out").touch()
        arguments = ("serve", "--port", "0", "--data", str(self.data))
        settings = {"workers": "1", **self.settings}
        out, err = self._file("out"), self._file("err")
        self.pid = self.foundry.order(arguments, out, err, **settings)
        self.base = self._wait()
        return self

    def gone(self, seconds: float = START) -> bool:
        """Whether the process has ended within `seconds`."""
        deadline = time.monotonic() + seconds
        while alive(self.pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        self._signal(signal.SIGTERM)
        return 0

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        assert self.gone()

    def _ended(self) -> bool:
        return not alive(self.pid)


@contextlib.contextmanager
def fast(
    foundry: Foundry, data: Path, log: str = "server", **settings: str
) -> Iterator[FastServer]:
    """A server that is started and, at the end, stopped if it still runs."""
    server = FastServer(data, settings, log)
    server.foundry = foundry
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class Shell:
    """Runs `facereco …` as a process of its own."""

    foundry: Foundry
    folder: Path
    settings: dict[str, str]

    def run(self, *arguments: str, **settings: str) -> tuple[str, str]:
        """What it printed: to its output, and of errors."""
        out, err = self.folder / "command.out", self.folder / "command.err"
        err.unlink(missing_ok=True)
        given = {"data": str(self.folder / "data"), **self.settings, **settings}
        pid = self.foundry.order(arguments, out, err, **given)
        while alive(pid):
            time.sleep(0.01)
        return out.read_text(), err.read_text()


def people(*numbers: int) -> dict[str, str]:
    """A picture of these people, largest face first, as a request carries it."""
    data = b"".join(number.to_bytes(3, "big") for number in numbers)
    return {"bytes": base64.b64encode(data).decode()}
