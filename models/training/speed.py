"""Knows how long one crop takes in two networks on one core, asked in turn."""

import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

ROUNDS = 60
WARM_UP = 5


def milliseconds(files: list[Path]) -> dict[str, float]:
    """Median time of one input in each network, by file name.

    They take turns, so that whatever else the machine does slows all of them alike.
    """
    sessions = [_session(file) for file in files]
    inputs = [_noise(session) for session in sessions]
    times = np.array(
        [
            [_once(session, given) for session, given in zip(sessions, inputs, strict=True)]
            for _ in range(ROUNDS + WARM_UP)
        ]
    )
    medians = np.median(times[WARM_UP:], axis=0) * 1e3
    return {file.name: float(value) for file, value in zip(files, medians, strict=True)}


def _session(file: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(file), options, ["CPUExecutionProvider"])


def _noise(session: ort.InferenceSession) -> dict[str, np.ndarray]:
    """One input; free height and width are taken as 320."""
    entry = session.get_inputs()[0]
    _, *shape = [side if isinstance(side, int) else 320 for side in entry.shape]
    noise = np.random.default_rng(0).random((1, *shape))
    return {entry.name: noise.astype(np.float32)}


def _once(session: ort.InferenceSession, given: dict[str, np.ndarray]) -> float:
    start = time.perf_counter()
    session.run(None, given)
    return time.perf_counter() - start
