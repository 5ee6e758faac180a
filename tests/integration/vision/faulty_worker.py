"""A worker with faults: the width of a picture says which; other widths are analysed."""

import signal
import threading
import time

from app import worker
from app.vision.pipeline import Pipeline

CRASH, WAIT, HANG = 160, 192, 224
SECONDS = 0.4

_analyze = Pipeline.analyze


def _with_faults(pipeline, image, wanted, early=None):
    if image.shape[1] == CRASH:
        signal.raise_signal(signal.SIGSEGV)  # of this thread: it must not get any further
    if image.shape[1] == HANG:
        threading.Event().wait()
    if image.shape[1] == WAIT:
        time.sleep(SECONDS)
    return _analyze(pipeline, image, wanted, early)


def main():
    setattr(Pipeline, "analyze", _with_faults)  # noqa: B010 - a type checker would object
    worker.main()
