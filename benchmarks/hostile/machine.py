"""What a run against a server needs of the machine: the server's processes and their memory."""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


def started_by(process: int | str) -> list[int]:
    """The processes that one has started; "self" asks for those of this process."""
    found: list[int] = []
    with suppress(OSError):  # it has just ended
        for file in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, file.read_text().split())
    return found


def below(process: int | str) -> list[int]:
    """Those it started, with all that they started."""
    mine = started_by(process)
    return mine + [pid for child in mine for pid in below(child)]


def decoders(server: int) -> list[int]:
    """The decoders of a server: each of its workers starts some."""
    return [pid for worker in started_by(server) for pid in started_by(worker)]


def memory(server: int) -> float:
    """Megabytes of a server, its workers and its decoders, what they share counted once."""
    return sum(map(_proportional, [server, *below(server)]))


def _proportional(pid: int) -> float:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # a decoder that has just been replaced
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


@dataclass
class Times:
    """How long requests took, in milliseconds."""

    taken: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """The time that `share` (0..1) of the requests did not exceed."""
        ordered = sorted(self.taken)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def __str__(self) -> str:
        return f"p50 {self.at(0.5):.1f}  p99 {self.at(0.99):.1f}  max {self.at(1):.1f} ms"
