"""The leanest HTTP client: ready-made requests on kept connections, and how each was answered."""

import asyncio
import base64
import io
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import skimage.data
from PIL import Image as Pictures

WIDTH, HEIGHT = 640, 480
OVERLOADED = -50000
BROKEN = -1  # the connection ended before an answer came


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: seconds from when it was due to its answer, and the result code.

    `late` is how long after it was due this program came to send it.
    """

    began: float
    seconds: float
    code: int
    detail: str = ""
    late: float = 0.0

    @property
    def refused(self) -> bool:
        return self.code == OVERLOADED and self.detail == "overloaded"


@dataclass
class Outcomes:
    """What became of many requests."""

    all: list[Outcome] = field(default_factory=list)

    def accepted(self) -> list[float]:
        return sorted(o.seconds for o in self.all if o.code == 0)

    def refused(self) -> list[float]:
        return sorted(o.seconds for o in self.all if o.refused)

    def late(self) -> list[float]:
        return sorted(o.late for o in self.all)

    def failed(self) -> dict[str, int]:
        """Whatever is neither."""
        others = (o for o in self.all if o.code != 0 and not o.refused)
        return dict(Counter(f"{o.code} {o.detail}".strip() for o in others))


class _Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(rest) >= length and self._answer is not None and not self._answer.done():
            self._answer.set_result(bytes(self._received))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(b"")

    async def ask(self, request: bytes) -> bytes:
        self._received.clear()
        self._answer = asyncio.get_running_loop().create_future()
        if self.transport is None:
            return b""
        self.transport.write(request)
        return await self._answer


class Client:
    """Keeps connections to a server and opens more as they are needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []
        self.opened = 0

    async def ask(self, request: bytes, due: float | None = None) -> Outcome:
        """Send a request; the time counts from when it was `due`."""
        now = time.perf_counter()
        began = now if due is None else due
        try:
            connection = await self._connection()
        except OSError as error:
            return Outcome(began, time.perf_counter() - began, BROKEN, type(error).__name__)
        answer = await connection.ask(request)
        seconds = time.perf_counter() - began
        if connection.transport is not None:
            self._idle.append(connection)
        return Outcome(began, seconds, *_read(answer), now - began)

    async def answer(self, request: bytes) -> bytes:
        """The whole answer to one request."""
        connection = await self._connection()
        answer = await connection.ask(request)
        self._idle.append(connection)
        return answer

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.transport is not None:
                return connection
        self.opened += 1
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, "127.0.0.1", self._port))[1]

    def close(self) -> None:
        for connection in self._idle:
            if connection.transport is not None:
                connection.transport.abort()


def _read(answer: bytes) -> tuple[int, str]:
    code = answer.partition(b'"resultCode":')[2].partition(b",")[0]
    detail = answer.lower().partition(b"x-error-detail: ")[2].partition(b"\r\n")[0]
    return int(code) if code else BROKEN, detail.decode("latin-1")


def request(method: str, path: str, body: object = None, **headers: str) -> bytes:
    """A whole request as bytes."""
    content = b"" if body is None else json.dumps(body).encode()
    given = {"Host": "x", "Content-Type": "application/json", "Content-Length": len(content)}
    lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in {**given, **headers}.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def picture(seed: int = 0) -> dict[str, str]:
    """The astronaut on a 640x480 canvas, a little different for each seed."""
    canvas = np.full((HEIGHT, WIDTH, 3), 96 + seed % 64, dtype=np.uint8)
    canvas[:, 64:576] = skimage.data.astronaut()[:HEIGHT]  # type: ignore[no-untyped-call]
    file = io.BytesIO()
    Pictures.fromarray(canvas).save(file, "JPEG", quality=90)
    return {"bytes": base64.b64encode(file.getvalue()).decode()}


async def one_after_another(
    client: Client, sent: bytes | Iterator[bytes], seconds: float
) -> Outcomes:
    """A single patient client, who asks for the same or for whatever comes next."""
    outcomes, end = Outcomes(), time.perf_counter() + seconds
    following = itertools.repeat(sent) if isinstance(sent, bytes) else sent
    while time.perf_counter() < end:
        outcomes.all.append(await client.ask(next(following)))
    return outcomes


async def closed_loop(
    client: Client, sent: bytes | Iterator[bytes], clients: int, seconds: float
) -> Outcomes:
    """So many patient clients at once."""
    several = (one_after_another(client, sent, seconds) for _ in range(clients))
    parts = await asyncio.gather(*several)
    return Outcomes([outcome for part in parts for outcome in part.all])


async def open_loop(client: Client, sent: Sequence[bytes], rate: float, seconds: float) -> Outcomes:
    """`rate` requests a second come in, whatever became of those before."""
    outcomes, tasks, start = Outcomes(), set[asyncio.Task[None]](), time.perf_counter()

    async def ask(number: int, due: float) -> None:
        outcomes.all.append(await client.ask(sent[number % len(sent)], due))

    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(ask(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return outcomes


async def every(seconds: float, look: Callable[[], None], until: Awaitable[object]) -> None:
    """Call `look` again and again until something is done."""
    waiting = asyncio.ensure_future(until)
    while not waiting.done():
        look()
        await asyncio.wait([waiting], timeout=seconds)


def percentile(values: Sequence[float], percent: float) -> float:
    """Of sorted values, in milliseconds; 0 when there are none."""
    if not values:
        return 0.0
    return 1000 * values[min(len(values) - 1, int(len(values) * percent / 100))]
