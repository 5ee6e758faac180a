"""A server that is told to stop stops, whenever it is told."""

import signal
import subprocess
import time
from pathlib import Path

from tests.integration.server.processes import COMMAND, START, environment


def test_a_signal_that_comes_while_the_server_opens_ends_it(tmp_path):
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--data", str(tmp_path / "data")],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        while not heeds(server.pid, signal.SIGTERM):
            time.sleep(0.005)

        server.send_signal(signal.SIGTERM)

        assert server.wait(START) == 0


def heeds(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)
