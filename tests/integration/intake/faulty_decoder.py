"""A decoder process with faults: the width of a picture says which; other widths are decoded."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from app.intake.decoder import Place, serve
from app.intake.pixels import Order, render

CRASH, LOOP, SLEEP, EAT, QUIT, CHATTER, OPEN, CONNECT, FORK, OVERFLOW = range(101, 111)
WHISPER, HANG_UP = range(111, 113)
EIGHT_GIB = 8 * 1024**3


def work(order: Order, essence: bytes) -> Iterator[bytes]:
    """What the real decoder does, unless the picture asks for worse."""
    if order.width in FAULTS:
        FAULTS[order.width]()
    yield from render(order, essence)


def loop():
    while True:
        pass


def overflow():
    raise RecursionError


def hang_up():
    os.close(1)
    time.sleep(60)


FAULTS = {
    CRASH: lambda: os.kill(os.getpid(), signal.SIGSEGV),
    LOOP: loop,
    SLEEP: lambda: time.sleep(60),
    EAT: lambda: bytearray(EIGHT_GIB),
    QUIT: lambda: os._exit(0),
    CHATTER: lambda: os.write(1, b"so much to tell"),
    WHISPER: lambda: os.write(1, b"pst"),
    HANG_UP: hang_up,
    OPEN: lambda: Path("/etc/hostname").read_bytes(),
    CONNECT: socket.socket,
    FORK: os.pipe,
    OVERFLOW: overflow,
}


def main():
    serve(Place(*map(int, sys.argv[1:])), work)
