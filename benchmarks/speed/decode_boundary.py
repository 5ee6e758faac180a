"""What it costs that pictures are decoded in a process of their own.

    python -m benchmarks.speed.decode_boundary [--turns 400] [--json]
    chrt -f 5 python -m benchmarks.speed.decode_boundary    # on a busy machine, as root

A 640x480 JPEG is decoded by turns in this process and in a decoder process, gate included, so
that whatever else the machine does falls on both alike. The cost of the border is the difference;
the bar is 1.5 ms. The median is of a quiet machine; on a busy one it is mostly the wait for a
core, and the quickest tenth and the processor's time (of both processes) tell more.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as Pictures

from app.domain.values import Image, ImageLimits
from app.intake.decoders import Decoders
from app.intake.decoding import Decoder, decode
from app.intake.pixels import Order, render
from benchmarks.hostile.machine import started_by as processes
from benchmarks.speed.detect import photo

LIMITS = ImageLimits()
SETTLING = 10
IN_A_ROW = 4


class Here:
    """Decodes where it is called."""

    def decode(self, order: Order, essence: bytes) -> Image:
        pixels = b"".join(render(order, essence))
        return np.frombuffer(pixels, np.uint8).reshape(order.shape).copy()


@dataclass
class Spent:
    """Milliseconds of each run on the clock, and of the processor in all."""

    clock: list[float] = field(default_factory=list)
    processor: float = 0.0

    @property
    def row(self) -> dict[str, float]:
        return {
            "median": statistics.median(self.clock),
            "quickest_tenth": statistics.quantiles(self.clock, n=10)[0],
            "processor": self.processor / len(self.clock),
        }


def processor_time(pids: Sequence[int | str]) -> float:
    """Milliseconds that all threads of these processes have used."""
    tasks = (file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(file.read_text().split()[0]) for file in tasks) / 1e6


def several(step: Callable[[], object], pids: Sequence[int | str], spent: Spent | None) -> None:
    worked = processor_time(pids)
    for _ in range(IN_A_ROW):
        begin = time.perf_counter()
        step()
        if spent:
            spent.clock.append(1000.0 * (time.perf_counter() - begin))
    if spent:
        spent.processor += processor_time(pids) - worked


def measure(file: bytes, decoders: Decoders, turns: int) -> dict[str, Spent]:
    decoders.check()
    pids: list[int | str] = ["self", *processes("self")]
    ways: dict[str, Decoder] = {"here": Here(), "process": decoders}
    spent = {name: Spent() for name in ways}
    for turn in range(SETTLING + turns // IN_A_ROW):
        for name, way in ways.items():
            noted = spent[name] if turn >= SETTLING else None
            several(lambda way=way: decode(file, LIMITS, way), pids, noted)  # type: ignore[misc]
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    file = io.BytesIO()
    Pictures.fromarray(photo()).save(file, "JPEG", quality=90)
    decoders = Decoders(1)
    spent = measure(file.getvalue(), decoders, options.turns)
    decoders.close()
    rows = {name: times.row for name, times in spent.items()}
    rows["border"] = {name: rows["process"][name] - rows["here"][name] for name in rows["here"]}
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'ms':8}" + "".join(f"{name:>16}" for name in rows["here"]))
    for name, row in rows.items():
        print(f"{name:8}" + "".join(f"{value:16.2f}" for value in row.values()))


if __name__ == "__main__":
    main()
