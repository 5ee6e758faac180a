"""What the operating system is told about this process."""

import asyncio
import ctypes
import os
import resource
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

INTERRUPTED = 130  # 128 and SIGINT, as a shell tells it

# Beside its connections a server has files, databases, pipes and downloads open.
OTHER_FILES = 1024
_NICENESS = 5

# mallopt(3): the numbers of two of glibc's parameters, and what they are set to, bytes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 32 * 1024 * 1024


def leave_no_core() -> None:
    """No core dump: it would hold keys, vectors and pictures in clear."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def step_back() -> None:
    """Let whoever else uses the processors go first, a server above all."""
    os.nice(_NICENESS)


def open_files(connections: int) -> None:
    """Allow as many open files as so many connections need, or as many as the system grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))


def keep_freed_memory() -> None:
    """Have up to 32 MiB that were freed ready for what comes next, where the C library is glibc.

    The body of a large picture exists two or three times for some milliseconds. Giving its pages
    back each time, to be cleared and handed out again, takes longer than all copying.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        adjust(_TRIM_THRESHOLD, _KEPT)
        adjust(_MMAP_THRESHOLD, _KEPT)


@contextmanager
def interruption() -> Iterator[asyncio.Event]:
    """Set by Ctrl-C or SIGTERM, so that what was begun can be finished and told."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    try:
        yield told
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def until(told: asyncio.Event, items: Iterable[Item]) -> Iterator[Item]:
    """The items, up to the moment that somebody tells to stop."""
    for item in items:
        if told.is_set():
            return
        yield item
