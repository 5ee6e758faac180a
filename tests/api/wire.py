"""Requests that no well-behaved client sends, handed to the application as uvicorn would."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """What came back. Header names are lower case; one that came twice is joined."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> int:
        """The result code."""
        header: dict[str, Any] = json.loads(self.body)["header"]
        assert header["isSuccessful"] is (header["resultCode"] >= 0)
        return int(header["resultCode"])

    @property
    def told(self) -> tuple[int, str]:
        """The result code and its token."""
        return self.code, json.loads(self.body)["header"]["resultMessage"]


async def send(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    headers: Headers = (),
    chunks: Iterable[bytes] = (b"",),
    query: bytes | None = None,
) -> WireAnswer:
    """Send `target` untouched; `query`, when given, is the raw bytes behind the question mark."""
    scope = _scope(method, target, headers, query)
    return await _exchange(app, scope, iter(chunks))


async def hang_up(app: ASGIApp, method: str, target: str, *, sent: bytes) -> list[Message]:
    """Send the first bytes of a body and go away; what the application answered to nobody."""
    answered: list[Message] = []
    incoming: list[Message] = [
        {"type": "http.request", "body": sent, "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return incoming.pop(0)

    async def answer(message: Message) -> None:
        answered.append(message)

    await app(_scope(method, target, (), None), receive, answer)
    return answered


class Leaving:
    """A client that sends its whole request, waits, and hangs up when it is told to."""

    def __init__(self, app: ASGIApp, method: str, target: str, body: bytes) -> None:
        self._answered: list[Message] = []
        self._gone = asyncio.Event()
        self._incoming: list[Message] = [{"type": "http.request", "body": body}]
        scope = _scope(method, target, (), None)
        self._task = asyncio.ensure_future(app(scope, self._receive, self._answer))

    def hang_up(self) -> None:
        self._gone.set()

    async def settled(self, state: Callable[[], bool]) -> None:
        """Wait until the server is in a state; fails after a second."""
        for _ in range(1000):
            if state():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("the server did not get there")

    async def answered(self) -> list[Message]:
        """What the application sent."""
        await self._task
        return self._answered

    async def _receive(self) -> Message:
        if self._incoming:
            return self._incoming.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _answer(self, message: Message) -> None:
        self._answered.append(message)


def _scope(method: str, target: str, headers: Headers, query: bytes | None) -> dict[str, Any]:
    path, _, asked = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": asked.encode() if query is None else query,
        "root_path": "",
        "headers": [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in headers],
        "client": ("192.0.2.1", 50000),
        "server": ("192.0.2.2", 8000),
        "state": {},
    }


async def _exchange(app: ASGIApp, scope: dict[str, Any], chunks: Iterator[bytes]) -> WireAnswer:
    sent: list[Message] = []

    async def receive() -> Message:
        body = next(chunks, None)
        return {"type": "http.request", "body": body or b"", "more_body": body is not None}

    async def answer(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, answer)
    start, *rest = sent
    headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return WireAnswer(start["status"], headers, b"".join(part["body"] for part in rest))
