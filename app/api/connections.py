"""What uvicorn leaves open to a client that sends slowly, endlessly, or too often."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api.attention import GONE
from app.api.turnstile import Head, Turnstile

_OK = b"HTTP/1.1 200 OK\r\n"
_END_OF_HEAD = b"\r\n\r\n"


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


class Joined(asyncio.Transport):
    """A transport that sends a head together with what follows it.

    An answer's head and its body would be two calls of the system, and wake the client twice. A
    head that nothing follows goes when the loop comes round.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head = b""
        self.is_closing = transport.is_closing  # type: ignore[method-assign]  # asked for each answer

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        elif isinstance(data, bytes) and data.endswith(_END_OF_HEAD):
            self._head = data
            self._loop.call_soon(self._send)
        else:
            self._transport.write(data)

    def _send(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def abort(self) -> None:
        self._head = b""
        self._transport.abort()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, within `limits`, past a `turnstile` if there is one."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    turnstile: ClassVar[Turnstile | None] = None
    _refused = False
    _gone: asyncio.Future[None]
    _due: float | None = None  # when the connection ends, by the loop's clock
    _look: asyncio.TimerHandle | None = None  # when that is looked at next
    _head: int | None = 0  # bytes of the head so far; None while no head is expected

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.transport = Joined(transport, self.loop)
        self._gone = self.loop.create_future()
        if len(self.connections) > self.limits.connections:
            transport.abort()
        self._within(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        if self._look is not None:
            self._look.cancel()
        if not self._gone.done():
            self._gone.set_result(None)
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
        self.scope[GONE] = self._gone  # type: ignore[literal-required]  # an extension of ours
        if self._due is None:  # the first has had one since it connected
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
        self._due = self.loop.time() + seconds
        # Two timers for each request, nearly all of them for nothing, would cost more than one that
        # looks now and then.
        if self._look is not None and self._look.when() <= self._due:
            return
        if self._look is not None:
            self._look.cancel()
        self._look = self.loop.call_at(self._due, self._end_in_time)

    def _in_time(self) -> None:
        self._due = None

    def _end_in_time(self) -> None:
        self._look = None
        if self._due is None:
            return
        if self._due <= self.loop.time():
            self.transport.abort()
        else:
            self._look = self.loop.call_at(self._due, self._end_in_time)


def guarded(within: ConnectionLimits, past: Turnstile | None = None) -> type[GuardedProtocol]:
    """The protocol, with limits and a turnstile of its own."""

    class Protocol(GuardedProtocol):
        limits = within
        turnstile = past

    return Protocol
