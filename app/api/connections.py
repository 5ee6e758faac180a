"""What uvicorn leaves open to a client that sends slowly, endlessly, or too often."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api.turnstile import Head, Turnstile

_OK = b"HTTP/1.1 200 OK\r\n"


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
    """HTTP/1.1 as uvicorn speaks it, within `limits`, past a `turnstile` if there is one."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    turnstile: ClassVar[Turnstile | None] = None
    _refused = False
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
        self._refused = self._is_refused()
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_time()
        if not self._refused:
            super().on_message_complete()
        elif not self.transport.is_closing():
            # As after every other answer.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        # Not `close`, which would wait for a client that never reads its answer.
        self.transport.abort()

    def _is_refused(self) -> bool:
        """Answer at once where the turnstile does, and the connection is in no particular state."""
        turnstile = self.turnstile
        if turnstile is None or not turnstile.is_watched or not self._is_plain():
            return False
        url = httptools.parse_url(self.url)
        path = unquote(url.path.decode("ascii"))
        method = self.parser.get_method().decode("ascii")
        answer = turnstile.refusal(Head(method, path, self.headers))
        if answer is None:
            return False
        self.server_state.total_requests += 1
        defaults = (b"%s: %s\r\n" % header for header in self.server_state.default_headers)
        self.transport.write(b"".join((_OK, *defaults, answer)))
        return True

    def _is_plain(self) -> bool:
        """Whether nothing is under way here, and nothing special is asked for."""
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        busy = cycle is not None and not cycle.response_complete
        if busy or self.pipeline or self.flow.write_paused or self.transport.is_closing():
            return False
        kept = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        return kept and not self.expect_100_continue and not self.parser.should_upgrade()

    def _within(self, seconds: float) -> None:
        self._in_time()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def guarded(within: ConnectionLimits, past: Turnstile | None = None) -> type[GuardedProtocol]:
    """The protocol, with limits and a turnstile of its own."""

    class Protocol(GuardedProtocol):
        limits = within
        turnstile = past

    return Protocol
