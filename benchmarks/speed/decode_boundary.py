"""What it costs that pictures are decoded in a process of their own.

    python -m benchmarks.speed.decode_boundary [--turns 400] [--json]

A 640x480 JPEG is decoded by turns in this process and in a decoder process, gate included, so
that whatever else the machine does falls on both alike. The cost of the border is the difference
of the medians; the bar is 1.5 ms.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
from PIL import Image as Pictures

from app.domain.values import Image, ImageLimits
from app.intake.decoders import Decoders
from app.intake.decoding import Decoder, decode
from app.intake.pixels import Order, render
from benchmarks.speed.detect import photo

LIMITS = ImageLimits()


class Here:
    """Decodes where it is called."""

    def decode(self, order: Order, essence: bytes) -> Image:
        return np.frombuffer(b"".join(render(order, essence)), np.uint8).reshape(order.shape).copy()


def taken(step: Callable[[], object]) -> float:
    """Milliseconds."""
    begin = time.perf_counter()
    step()
    return 1000.0 * (time.perf_counter() - begin)


def measure(file: bytes, decoders: Decoders, turns: int) -> dict[str, list[float]]:
    ways: dict[str, Decoder] = {"here": Here(), "process": decoders}
    decoders.check()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 10):
        for name, way in ways.items():
            spent = taken(lambda way=way: decode(file, LIMITS, way))  # type: ignore[misc]
            if turn >= 10:
                times[name].append(spent)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    file = io.BytesIO()
    Pictures.fromarray(photo()).save(file, "JPEG", quality=90)
    decoders = Decoders(1)
    times = measure(file.getvalue(), decoders, options.turns)
    decoders.close()
    medians = {name: statistics.median(spent) for name, spent in times.items()}
    rows = {**medians, "border": medians["process"] - medians["here"]}
    if options.json:
        print(json.dumps(rows))
        return
    for name, spent in rows.items():
        print(f"{name:8} {spent:7.2f} ms")


if __name__ == "__main__":
    main()
