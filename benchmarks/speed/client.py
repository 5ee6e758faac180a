"""The leanest HTTP client there is, so that a benchmark measures the server and not its client."""

import asyncio
import itertools
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class Round:
    """What a closed loop of clients got: answers, seconds, and each answer's milliseconds."""

    seconds: float
    milliseconds: list[float]

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds


class Connection(asyncio.Protocol):
    """Asks for one path after the other on one connection, for as long as it is told."""

    def __init__(self, requests: Iterator[bytes], expected: bytes, until: float) -> None:
        self._requests = requests
        self._expected = expected
        self._until = until
        self._received = b""
        self.milliseconds: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return
        if self._expected not in self._received:
            self._fail(f"an unexpected answer: {self._received[:400]!r}")
            return
        now = time.perf_counter()
        self.milliseconds.append(1000.0 * (now - self._asked))
        self._received = b""
        if now < self._until:
            self._ask()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._fail(f"the server hung up: {error}")

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(next(self._requests))

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(SystemExit(why))
        self._transport.close()


def _length(head: bytes) -> int:
    at = head.lower().index(b"content-length:") + 15
    return int(head[at : head.index(b"\r\n", at)] if b"\r\n" in head[at:] else head[at:])


async def closed_loop(
    base: str, paths: Sequence[str], expected: bytes, *, clients: int, seconds: float
) -> Round:
    """Each client asks for the next of `paths`, over and over, as soon as it has its answer."""
    host = urllib.parse.urlsplit(base).netloc
    requests = [f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for path in paths]
    return await send(base, requests, expected, clients=clients, seconds=seconds)


async def send(
    base: str, requests: Sequence[bytes], expected: bytes, *, clients: int, seconds: float
) -> Round:
    """The same with whole requests; with `seconds` 0 each client sends one."""
    place = urllib.parse.urlsplit(base)
    following = itertools.cycle(requests)
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    connections = []
    for _ in range(clients):
        _, connection = await loop.create_connection(
            lambda: Connection(following, expected, start + seconds),
            place.hostname or "",
            place.port or 80,
        )
        connections.append(connection)
    await asyncio.gather(*(connection.done for connection in connections))
    taken = time.perf_counter() - start
    return Round(taken, [ms for connection in connections for ms in connection.milliseconds])
