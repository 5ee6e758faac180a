"""What uvicorn leaves open to a client that sends slowly, endlessly, or too often."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of one connection, and how many there may be.

    `head_bytes` and `head_seconds` are for the request line with all headers. A body that has not
    arrived after `body_seconds` ends the connection, whether or not somebody still wants it.
    """

    connections: int = 1024
    head_bytes: int = 32_768
    head_seconds: float = 10.0
    body_seconds: float = 35.0


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, within `limits`."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    _deadline: asyncio.TimerHandle | None = None
    _head: int | None = 0  # bytes of the head so far; None while no head is expected

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
        self._within(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        # Counted behind the parser: what came with the head may be its body.
        endless = self._head is not None and self._head > self.limits.head_bytes
        if endless and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:  # the first has had one since it connected
            self._within(self.limits.head_seconds)
            self._head = 0

    def on_headers_complete(self) -> None:
        length = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if length > self.limits.head_bytes:
            # The parser passes it on as what it is: a request that cannot be read.
            raise ValueError("the head of the request is too long")
        self._head = None
        self._within(self.limits.body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_time()
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        # Not `close`, which would wait for a client that never reads its answer.
        self.transport.abort()

    def _within(self, seconds: float) -> None:
        self._in_time()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def guarded(within: ConnectionLimits) -> type[GuardedProtocol]:
    """The protocol, with limits of its own."""

    class Protocol(GuardedProtocol):
        limits = within

    return Protocol
