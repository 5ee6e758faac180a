"""Requests that no well-behaved client sends, handed to the application as uvicorn would."""

import json
from collections.abc import Iterable, Iterator
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
