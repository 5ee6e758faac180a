"""A decoder process: takes orders on standard input, leaves pixels in shared memory, knows nothing.

It is started from a bare interpreter and imports Pillow and the standard library alone. Before the
first order it gives up what a decoder has no use for: files, sockets, children, more memory. An
order that takes too long, or breaks Pillow, ends the process and nothing else.
"""

import io
import mmap
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from PIL import Image as Pillow

from app.intake.pixels import ORDER_BYTES, Order, render

READY, DONE, FAILED = 0, 1, 2
Render = Callable[[Order, bytes], Iterator[bytes]]
REPLY = struct.Struct("<II")  # how many orders there were, and what became of the last
ORDERS, REPLIES = 0, 1  # the descriptors of the two pipes


class Place(NamedTuple):
    """Where a decoder works: the shared memory's descriptor, its parts and bounds.

    `inbox` and `outbox` are the bytes for a file and, behind it, for pixels; `memory` is the bytes
    of address space the process may have on top, `patience` the milliseconds an order may take.
    """

    descriptor: int
    inbox: int
    outbox: int
    memory: int
    patience: int


def main() -> None:
    """Serve until standard input ends; the place is told on the command line."""
    serve(Place(*map(int, sys.argv[1:])), render)


def serve(place: Place, work: Render) -> None:
    """Take orders at `place` until standard input ends."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # Whoever stops the server stops it gracefully: it still needs its decoders, and closes their
    # standard input when it is done, or gone.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    shared = mmap.mmap(place.descriptor, place.inbox + place.outbox)
    os.close(place.descriptor)
    _warm_up()
    _confine(place)
    os.write(REPLIES, REPLY.pack(0, READY))
    _take_orders(shared, place, work)


def _take_orders(shared: mmap.mmap, place: Place, work: Render) -> None:
    count = 0
    while len(order := os.read(ORDERS, ORDER_BYTES)) == ORDER_BYTES:
        count += 1
        signal.setitimer(signal.ITIMER_REAL, place.patience / 1000)
        done = _fulfil(Order.unpack(order), shared, place, work)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(REPLIES, REPLY.pack(count, DONE if done else FAILED))


def _fulfil(order: Order, shared: mmap.mmap, place: Place, work: Render) -> bool:
    try:
        at = place.inbox
        for band in work(order, shared[: order.length]):
            shared[at : at + len(band)] = band
            at += len(band)
    except Exception:  # noqa: BLE001 - Pillow raises ValueError, SyntaxError, MemoryError and more
        return False
    return True


def _warm_up() -> None:
    """Have Pillow import what it imports late: afterwards no file can be opened."""
    for mode, kind in (("P", "PNG"), ("LA", "PNG"), ("I;16", "PNG"), ("CMYK", "JPEG")):
        file = io.BytesIO()
        Pillow.new("L", (8, 8)).convert(mode).save(file, kind)
        list(render(Order(kind, 8, 8, 4, 4, 8, 0), file.getvalue()))


def _confine(place: Place) -> None:
    with suppress(OSError):  # where memory is short, a decoder goes before the server
        Path("/proc/self/oom_score_adj").write_text("1000")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    bounds = {
        resource.RLIMIT_AS: used + place.memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,  # what is open stays open; nothing else, sockets neither
    }
    for kind, bound in bounds.items():
        resource.setrlimit(kind, (bound, bound))
