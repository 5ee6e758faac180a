"""A server of our own on one core, and what it uses: memory, descriptors, processor time."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = (sys.executable, "-P", "-m", "app.cli")
ROOT = Path(__file__).parents[2]
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Key:
    """An appKey with its secretKey."""

    app_key: str
    secret_key: str = field(repr=False)

    @property
    def path(self) -> str:
        return f"/nhn-face-reco/v1.0/appkeys/{self.app_key}"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `first` is the key it made when it started."""

    base: str
    data: Path
    process: subprocess.Popen[bytes]
    first: Key

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    def new_key(self, name: str) -> Key:
        made = subprocess.run(  # noqa: S603 - our own program
            [*COMMAND, "keys", "create", "--data", str(self.data), "--name", name, "--json"],
            env=environment(),
            capture_output=True,
            check=True,
        )
        told = json.loads(made.stdout)
        return Key(told["appKey"], told["secretKey"])

    def family(self) -> list[int]:
        """The server's process and those it started."""
        return family(self.process.pid)

    def memory(self) -> float:
        """Megabytes that are this server's alone or its share of what is shared, all processes."""
        return sum(_proportional(pid) for pid in self.family())

    def anonymous(self) -> float:
        """Megabytes that all processes hold beside what they map from files.

        A process's share of a library changes with whoever else on the machine has it open.
        """
        return sum(map(_anonymous, self.family()))

    def resident(self) -> float:
        """Megabytes, see `resident`."""
        return resident(self.process.pid)

    def processor(self) -> float:
        """Seconds of processor time all of the server's processes have used."""
        return processor(self.process.pid)

    def descriptors(self) -> int:
        """Open files of the server's process."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


def family(pid: int) -> list[int]:
    """A process and those it started."""
    found, waiting = [], [pid]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                waiting += map(int, children.read_text().split())
    return found


def processor(pid: int) -> float:
    """Seconds of processor time a process and those it started have used."""
    return sum(map(_processor, family(pid)))


def resident(pid: int) -> float:
    """Megabytes of a process with all it shares with whomever, and of those it started their
    share."""
    first, *children = family(pid)
    return _kilobytes(first, "Rss") / 1024 + sum(map(_proportional, children))


def environment(**settings: str) -> dict[str, str]:
    """The environment with `settings` as FACERECO_…."""
    given = {f"FACERECO_{name.upper()}": value for name, value in settings.items()}
    return {**os.environ, "PYTHONPATH": str(ROOT), **given}  # noqa: TID251 - a child's environment


@contextlib.contextmanager
def serving(core: int | None, **settings: str) -> Iterator[Server]:
    """A server with fresh data on a free port; on one core when `core` is given."""
    with tempfile.TemporaryDirectory(prefix="facereco-load-") as folder:
        data = Path(folder) / "data"
        out = Path(folder) / "out"
        with out.open("wb") as standard, (Path(folder) / "err").open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [*COMMAND, "serve", "--port", "0", "--data", str(data)],
                env=environment(**settings),
                stdout=standard,
                stderr=errors,
            )
        if core is not None:
            os.sched_setaffinity(process.pid, {core})  # threads and processes to come inherit it
        try:
            yield _started(process, out, data)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def _started(process: subprocess.Popen[bytes], out: Path, data: Path) -> Server:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        told = out.read_text(encoding="utf-8")
        if base := re.search(r"ready on (http://\S+)", told):
            key = Key(_printed("appKey", told), _printed("secretKey", told))
            return Server(base[1], data, process, key)
        time.sleep(0.05)
    raise SystemExit(f"the server did not start: {out.with_name('err').read_text()}")


def _printed(name: str, told: str) -> str:
    found = re.search(rf"{name}\s+(\S+)", told)
    return found[1] if found else ""


def _processor(pid: int) -> float:
    with contextlib.suppress(OSError):
        # Behind the name in brackets, which may hold anything: fields 14 and 15 of proc(5).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _proportional(pid: int) -> float:
    return _kilobytes(pid, "Pss") / 1024


def _anonymous(pid: int) -> float:
    return (_kilobytes(pid, "Pss_Anon") + _kilobytes(pid, "Pss_Shmem")) / 1024


def _kilobytes(pid: int, field: str) -> float:
    with contextlib.suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        if found := re.search(rf"^{field}:\s+(\d+) kB", rollup, re.MULTILINE):
            return float(found[1])
    return 0.0
