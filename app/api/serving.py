"""Runs the application on uvicorn until a signal ends it, and ends without dropping a request."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from app.api.connections import ConnectionLimits, guarded
from app.api.dispatch import Application
from app.api.turnstile import Turnstile
from app.domain.errors import InternalError

# Seconds from the signal to the last answer at most; closing the house takes what is left of 20.
GRACE = 18
# Seconds an idle connection stays open: longer than the pools of common clients and proxies keep
# theirs (60), or they would now and then send a request into a connection just closed.
KEEP_ALIVE = 75
BESIDE = ConnectionLimits(connections=32, body_seconds=10.0)


class Door:
    """Whether new requests are welcome; satisfies `HealthProbe`."""

    name = "server"

    def __init__(self) -> None:
        self.closing = False

    async def check(self) -> None:
        """Raises `InternalError` once the server is about to stop."""
        if self.closing:
            raise InternalError("the server is stopping")


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve. `drain` is how many seconds `readyz` answers 503 before the port closes.

    `told` is set when a signal came before there was anybody here to heed it.
    """

    limits: ConnectionLimits
    drain: float = 0.0
    told: threading.Event = field(default_factory=threading.Event)


async def serve(app: Application, listener: socket.socket, door: Door, how: Serving) -> None:
    """Answer until SIGINT or SIGTERM, then finish what was begun."""
    config = uvicorn.Config(
        app,
        http=guarded(how.limits, Turnstile(app)),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, int(GRACE - how.drain)),
        timeout_keep_alive=KEEP_ALIVE,
    )
    await _Server(config, door, how).serve(sockets=[listener])


@asynccontextmanager
async def served_beside(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Answer on another port for as long as the block takes."""
    config = uvicorn.Config(
        app,
        http=guarded(BESIDE),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = _Beside(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Beside(uvicorn.Server):
    """uvicorn's, which leaves signals to the server that clients know."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Server(uvicorn.Server):
    """uvicorn's, with a while between the signal and the closed port."""

    def __init__(self, config: uvicorn.Config, door: Door, how: Serving) -> None:
        super().__init__(config)
        self._door = door
        self._drain = how.drain
        self._told = how.told
        self._leave_at = float("inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._told.is_set():  # from here on signals come to handle_exit
            super().handle_exit(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._door.closing or not self._drain:  # told twice: at once
            super().handle_exit(sig, frame)
        self._door.closing = True
        self._leave_at = min(self._leave_at, time.monotonic() + self._drain)

    async def on_tick(self, counter: int) -> bool:
        if time.monotonic() >= self._leave_at:
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)
