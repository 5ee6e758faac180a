"""A server on loopback that answers as badly as it is told to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PORTS = range(11_000, 11_400)


@dataclass
class PictureServer:
    """Answers each path with what `answers` says; `requests` are the heads it was sent."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            path = head.split(" ")[1].split("?")[0]
            await self.answers.get(path, plain(b"nothing here", status="404 Not Found"))(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[PictureServer]:
    """A `PictureServer` on a port pictures may come from."""
    pictures = PictureServer()
    async with listening(pictures.serve, host, tls) as pictures.port:
        yield pictures


@asynccontextmanager
async def listening(
    serve: Serve, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The first free port pictures may come from, where `serve` answers."""
    server = await _first_free(serve, host, tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _first_free(serve: Serve, host: str, tls: ssl.SSLContext | None) -> asyncio.Server:
    for port in PORTS:
        try:
            return await asyncio.start_server(serve, host, port, ssl=tls)
        except OSError:
            continue
    raise OSError("no port is free")


def raw(*parts: bytes, pause: float = 0.0) -> Answer:
    """Sends `parts` as they are, resting `pause` seconds behind each."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


def plain(body: bytes, status: str = "200 OK", headers: tuple[str, ...] = ()) -> Answer:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return raw("\r\n".join(lines).encode() + body)


def redirect(location: str, status: int = 302) -> Answer:
    return plain(b"", f"{status} Moved", (f"Location: {location}",))


def endless(head: bytes, part: bytes, pause: float = 0.0) -> Answer:
    """Sends `head` once and `part` for ever."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


async def reset(writer: asyncio.StreamWriter) -> None:
    """Promises a body and tears the connection down."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()
    writer.transport.abort()
