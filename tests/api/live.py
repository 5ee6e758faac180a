"""A house of fakes behind the real web server, on a free port of the loopback interface."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from app.api.application import create_app
from app.api.bodies import Bodies
from app.api.connections import ConnectionLimits
from app.api.services import Services
from app.api.serving import Door, Serving, serve
from tests.api.scenes import furnish
from tests.fakes import House, fake_services


@dataclass
class Connection:
    """What a client sends, byte by byte, and what it gets."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes, pause: float = 0.0) -> None:
        with suppress(ConnectionError):
            for part in parts:
                self.writer.write(part)
                await self.writer.drain()
                await asyncio.sleep(pause)

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def answer(self) -> bytes:
        """One answer, its body included."""
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return head + await self.reader.readexactly(length)

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class Live:
    """A running server."""

    house: House
    app_key: str
    port: int
    ended: asyncio.Task[None]
    looked_into: bytes = b""  # an answer, kept by a test
    connections: list[Connection] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/nhn-face-reco/v1.0/appkeys/{self.app_key}"

    async def connect(self) -> Connection:
        self.connections.append(Connection(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.connections[-1]

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """The bytes of a request; `Content-Length` can be overruled."""
        given = {"Host": "x", "Content-Length": str(len(body)), **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in given.items() if v)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def stop(self) -> None:
        """As an operator would."""
        signal.raise_signal(signal.SIGTERM)


@asynccontextmanager
async def live(
    house: House | None = None,
    limits: ConnectionLimits | None = None,
    drain: float = 0.0,
    bodies: Bodies | None = None,
) -> AsyncIterator[Live]:
    """Serve until the block ends or the server was stopped in it."""
    house = house or House()
    furnish(house)
    key = await house.keys.create("shop", "v1.0")
    door = Door()

    @asynccontextmanager
    async def services() -> AsyncIterator[Services]:
        made = fake_services(house)
        yield replace(made, probes=(*made.probes, door), bodies=bodies or Bodies())

    listener = socket.create_server(("127.0.0.1", 0))
    serving = Serving(limits or ConnectionLimits(), drain)
    # uvicorn raises the signal again when it is done; that must not end the tests.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    port = listener.getsockname()[1]
    running = asyncio.create_task(serve(create_app(services), listener, door, serving))
    await asyncio.sleep(0.05)
    server = Live(house, key.app_key, port, running)
    try:
        yield server
    finally:
        for connection in server.connections:
            await connection.close()
        if not running.done():
            signal.raise_signal(signal.SIGTERM)
        await running
        signal.signal(signal.SIGTERM, before)
