"""What it gains that networks are written for the processor's kernels (app/vision/graphs.py).

    python -m benchmarks.speed.networks [--model-path DIR] [--json]

Every network of every installed pack that changes is run as it came and as it is written, by turns,
on noise. Milliseconds of processor time of one thread, in the quickest quarter of the runs.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from app.settings import Settings
from app.vision.graphs import in_blocks
from app.vision.packs import MODELS, FileState, PackCatalog
from benchmarks.speed.stage import quick

SETTLING, TURNS, IN_A_ROW = 2, 8, 3
USUAL = {2: 480, 3: 640}  # rows and columns of a network that takes any


def run_of(content: bytes) -> Callable[[], NDArray[np.float32]]:
    """One run of a network; its first answer, flat."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    shape = [
        side if isinstance(side, int) else USUAL.get(axis, 1)
        for axis, side in enumerate(entry.shape)
    ]
    noise = np.random.default_rng(0).random(shape, dtype=np.float32) * np.float32(255)
    return lambda: np.asarray(session.run(None, {entry.name: noise})[0]).reshape(-1)


def several(run: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(SETTLING + IN_A_ROW):
        start = time.thread_time()
        run()
        times.append(1000.0 * (time.thread_time() - start))
    return times[SETTLING:]


def gain(content: bytes, written: bytes) -> dict[str, float]:
    before, after = run_of(content), run_of(written)
    old, new = before(), after()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for run, taken in zip((before, after), times, strict=True):
            taken.extend(several(run))
    return {
        "as_it_came_ms": quick(times[0]),
        "written_ms": quick(times[1]),
        "largest_difference": float(np.abs(old - new).max() / np.abs(old).max()),
    }


def networks(catalog: PackCatalog) -> dict[str, tuple[bytes, bytes]]:
    """Those that change, by their files' names."""
    found = {}
    for pack in catalog.packs():
        for weights in pack.weights():
            if catalog.find(pack, weights).state is FileState.OK:
                _, content = catalog.read(pack, weights)
                if (written := in_blocks(content)) is not content:
                    found[f"{pack.name}/{weights.file}"] = (content, written)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model-path", type=Path, action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    catalog = PackCatalog(MODELS, options.model_path or Settings.read().model_path)
    rows = {name: gain(*pair) for name, pair in networks(catalog).items()}
    if options.json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        before, after, difference = row.values()
        print(f"{name:55} {before:7.2f} ms {after:7.2f} ms  differs by {difference:.0e}")


if __name__ == "__main__":
    main()
