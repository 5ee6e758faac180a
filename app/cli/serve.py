"""`facereco serve`: open the house, say how to reach it, answer until told to stop."""

import gc
import shlex
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import Data, UsageError
from app.cli.process import keep_freed_memory, open_files
from app.domain.values import IssuedKey
from app.settings import Settings
from app.telemetry import logs

if TYPE_CHECKING:
    from app.main.house import House

SAMPLE = Path(__file__).parents[2] / "tests" / "pictures" / "astronaut.jpg"
# Seconds a body that is too slow, or not wanted, may keep its connection after it was answered.
LATE = 5
# Seconds after which a thread that computes lets another have the interpreter. Python's own 0.005
# keep the event loop, and with it a core that has nothing else to do, waiting for that long.
SWITCH = 0.001


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    data: Data = None,
) -> None:
    """Start the server. On an empty data folder it makes a keyset and a first key."""
    settings = Settings.read(host=host, port=port, data=data)
    logs.configure(settings.log_level)
    open_files(settings.connections)
    keep_freed_memory()
    listener = _listen(settings.host, settings.port, "FACERECO_PORT")
    scraped = for_metrics(settings)
    # Until uvicorn heeds signals they are remembered. It raises them again when it has stopped; by
    # then the house still has to close.
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    import uvloop

    sys.setswitchinterval(SWITCH)
    uvloop.run(_run(settings, Listeners(listener, scraped), told))


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets: of clients, and of whoever scrapes metrics, if anybody may."""

    clients: socket.socket
    metrics: socket.socket | None


async def _run(settings: Settings, listeners: Listeners, told: threading.Event) -> None:
    from app.api.application import create_app
    from app.api.connections import ConnectionLimits
    from app.api.services import Services
    from app.api.serving import Door, Serving
    from app.api.serving import serve as answer
    from app.main.house import open_house

    listener = listeners.clients
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house(settings))
        door = Door()
        if listeners.metrics is not None:
            await stack.enter_async_context(_scraping(house, listeners.metrics))

        @asynccontextmanager
        async def services() -> AsyncIterator[Services]:
            yield replace(house.services, probes=(*house.services.probes, door))

        # Whoever reads "ready" may connect: until uvicorn takes over, connections wait in line.
        listener.listen()
        base = _address(listener)
        if house.first_key is not None:
            _introduce(house.first_key, settings, base)
        typer.echo(f"facereco is ready on {base} (model {house.model})")
        # What is here now stays: the collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        limits = ConnectionLimits(
            connections=settings.connections,
            head_seconds=settings.head_seconds,
            body_seconds=settings.body_seconds + LATE,
        )
        await answer(
            create_app(services, docs=settings.docs, console=settings.console),
            listener,
            door,
            Serving(limits, settings.drain, told),
        )


def _scraping(house: "House", listener: socket.socket) -> AbstractAsyncContextManager[None]:
    from app.api.metrics import create_metrics_app
    from app.api.serving import served_beside

    typer.echo(f"metrics are on {_address(listener)}/metrics")
    return served_beside(create_metrics_app(house.metrics, house.services), listener)


def for_metrics(settings: Settings) -> socket.socket | None:
    """Where they are told, if they are. Raises `UsageError` when the port is taken."""
    if not settings.metrics:
        return None
    return _listen(settings.metrics_host, settings.scraped_port, "FACERECO_METRICS_PORT")


def _listen(host: str, port: int, setting: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            stack.pop_all()
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror} ({setting})"
        ) from None
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared only
    return f"http://{f'[{shown}]' if ':' in shown and shown[0] != '[' else shown}:{port}"


def _introduce(key: IssuedKey, settings: Settings, base: str) -> None:
    typer.echo(
        f"""
A keyset and a first key were made. The key is shown this once.

  appKey     {key.app_key}
  secretKey  {key.secret_key}

Find a face:

  {_curl(key, base)}
{_console(settings, base)}
Back up {_keyset(settings)} now, apart from the database: without it no face can ever be read again.
Back up the database ({_where(settings)}) as well, and give neither away.
"""
    )


def _keyset(settings: Settings) -> str:
    return "the keyset" if settings.keyset_text is not None else str(settings.keyset)


def _console(settings: Settings, base: str) -> str:
    return f"\nOr open {base}/console in a browser.\n" if settings.console else ""


def _where(settings: Settings) -> str:
    if settings.database_url is not None:
        return "PostgreSQL"
    return str(settings.data / "database")


def _curl(key: IssuedKey, base: str) -> str:
    url = f"{base}/nhn-face-reco/v1.0/appkeys/{key.app_key}/detect"
    picture = shlex.quote(str(SAMPLE))
    body = f"""printf '{{"image":{{"bytes":"%s"}}}}' "$(base64 < {picture} | tr -d '\\n')\""""
    return f"{body} | curl -s -H 'Content-Type: application/json' --data-binary @- {url}"
