"""How long one request takes while nobody else asks, beside the bare work it cannot do without."""

import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping

from benchmarks.speed.groups import vectors
from benchmarks.speed.pictures import camera_photo, jpeg, photo
from benchmarks.speed.stage import (
    DETECT,
    EMBED,
    SMALL,
    WIDE,
    BareGlance,
    BareIndex,
    BarePipeline,
    Groups,
    Packs,
    quick,
    request,
)
from benchmarks.speed.throughput import ADDED, ONE_FACE, ONE_MATCH, THREE_MATCHES, Pictures

# The first run of a turn finds the caches full of what ran before, and does not count.
SETTLING, IN_A_ROW = 1, 3
QUALITY = 85  # of the large photo, whose file may have 3 MB

Step = Callable[[], object]


class Asking:
    """One connection, asked one thing at a time by the thread that waits for the answer."""

    def __init__(self, base: str) -> None:
        place = urllib.parse.urlsplit(base)
        self._socket = socket.create_connection((place.hostname or "", place.port or 80), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def step(self, asked: bytes, expected: bytes) -> Step:
        return lambda: self.ask(asked, expected)

    def ask(self, asked: bytes, expected: bytes) -> None:
        self._socket.sendall(asked)
        received = b""
        while not _whole(received):
            received += self._socket.recv(65_536)
        if expected not in received:
            raise SystemExit(f"an unexpected answer: {received[:400]!r}")

    def close(self) -> None:
        self._socket.close()


def _whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def of_pictures(asking: Asking, groups: Groups, packs: Packs, bare: BareIndex) -> dict[str, Step]:
    """Detect and search by picture; `bare` holds the faces of the group that is searched."""
    file, large, pipeline = jpeg(photo()), jpeg(camera_photo(), QUALITY), packs.pipeline()
    asked = Pictures.of(groups, file, into="hundred", among="hundred")
    few = Pictures.of(groups, file, into="thousand", among="thousand")
    huge = Pictures.of(groups, large, into="hundred", among="hundred")
    return {
        "healthz": asking.step(request("GET", "/healthz"), b'"ok"'),
        "bare_detect": BarePipeline(pipeline, file, DETECT),
        "detect": asking.step(asked.detect, ONE_FACE),
        "bare_detect_12mp": BareGlance(pipeline, large, DETECT),
        "detect_12mp": asking.step(huge.detect, ONE_FACE),
        "bare_embed": BarePipeline(pipeline, file, EMBED),
        "bare_index": bare.search,
        "search_image_1k": asking.step(few.search, ONE_MATCH),
        "search_image_100k": asking.step(asked.search, ONE_MATCH),
    }


def enrol(asking: Asking, groups: Groups) -> None:
    """Register the photo in every group that is searched by picture: it shall be found there."""
    file = jpeg(photo())
    for name in ("thousand", "middle", "hundred"):
        asking.ask(Pictures.of(groups, file, into=name, among=name).register, ADDED)


def of_growth(asking: Asking, groups: Groups, bare: BareIndex) -> dict[str, Step]:
    """Searches by face and registrations in a small and a large group."""
    small = BareIndex(vectors(SMALL, dimension=WIDE))
    file = jpeg(photo())
    of_few = Pictures.of(groups, file, into="thousand", among="thousand")
    of_many = Pictures.of(groups, file, into="hundred", among="hundred")
    few, many = _endless(groups.small), _endless(groups.large)
    return {
        "bare_1k": small.search,
        "search_1k": lambda: asking.ask(next(few), THREE_MATCHES),
        "bare_100k": bare.search,
        "search_100k": lambda: asking.ask(next(many), THREE_MATCHES),
        "register_1k": asking.step(of_few.register, ADDED),
        "register_100k": asking.step(of_many.register, ADDED),
    }


def _endless(paths: list[str]) -> Iterator[bytes]:
    while True:
        for path in paths:
            yield request("GET", path)


def by_turns(steps: Mapping[str, Step], turns: int, tell: Callable[[], None]) -> dict[str, float]:
    """Milliseconds of each step, in the quickest quarter of its runs."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            taken[name] += several(step)
        tell()
    return {name: quick(times) for name, times in taken.items()}


def several(step: Step) -> list[float]:
    """Milliseconds of some runs in a row, those that only settle left out."""
    times = []
    for _ in range(SETTLING + IN_A_ROW):
        start = time.perf_counter()
        step()
        times.append(1000.0 * (time.perf_counter() - start))
    return times[SETTLING:]
