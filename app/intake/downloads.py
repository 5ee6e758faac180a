"""Fetch a picture from an address a stranger chose, connecting only where that is allowed.

Each name is resolved once, every answer is checked, and the connection goes to a checked answer:
a name that changes its mind in between gains nothing. This stands on httpcore, the engine of
httpx, because httpx's client would keep cookies, read proxies and passwords from the environment
and leave no place to check an address between resolving and connecting.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpcore

from app.domain.callers import CALLER
from app.domain.errors import ImageTimeout, ImageTooLarge, InvalidImageUrl
from app.intake.addresses import Address, AddressRules, Destination, checked

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host for a port, as text. Raises OSError when there are none."""

_OK = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# A name that never resolves holds its thread for longer than the download it was for lives.
_RESOLVING_THREADS = 64
_MAX_ADDRESSES = 3  # how many of a name's addresses are tried


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """How long a download may take (seconds), how far it may lead, how many run at once.

    `connect` is for one host, and again for its TLS handshake; `total` is for everything,
    waiting for a turn too. Of those `concurrent` in all, a tenant has `each` at most.
    """

    connect: float = 2.0
    total: float = 5.0
    redirects: int = 3
    concurrent: int = 64
    each: int = 8


class Downloader:
    """Fetches pictures under `rules` and `limits`. Close it when done.

    `tls` and `resolve` default to the public certificate authorities and the system's resolver.
    """

    def __init__(
        self,
        rules: AddressRules,
        *,
        limits: DownloadLimits | None = None,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._rules = rules
        self._limits = limits or DownloadLimits()
        # Threads of its own: names that never resolve must not block the loop's default pool.
        self._threads = ThreadPoolExecutor(_RESOLVING_THREADS, thread_name_prefix="resolve")
        self._slots = asyncio.Semaphore(self._limits.concurrent)
        self._shares = _Shares(self._limits.each)
        self._tls = tls or httpcore.default_ssl_context()
        self._resolve = resolve or self._ask_system
        self.running = 0

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """What lies at `url`.

        Raises:
            InvalidImageUrl: the address is not allowed, not reachable, or gives nothing.
            ImageTimeout: it answers too slowly.
            ImageTooLarge: it gives more than `max_bytes`.
        """
        destination = self._rules.read(url)
        try:
            # A tenant's share first: who waits for that keeps nobody else from a turn.
            async with (
                asyncio.timeout(self._limits.total),
                self._shares.one_of(CALLER.get().tenant),
                self._slots,
            ):
                return await self._counted(self._follow(destination, max_bytes))
        except (TimeoutError, httpcore.TimeoutException):
            raise ImageTimeout from None
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError):
            raise InvalidImageUrl from None

    async def aclose(self) -> None:
        """Free the threads; a name still being looked up is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _counted(self, download: Awaitable[bytes]) -> bytes:
        self.running += 1
        try:
            return await download
        finally:
            self.running -= 1

    async def _follow(self, destination: Destination, max_bytes: int) -> bytes:
        for _ in range(self._limits.redirects + 1):
            async with self._answer(destination) as response:
                if response.status not in _REDIRECTS:
                    return await _read(response, max_bytes)
                location = _header(response, b"location")
            destination = self._rules.follow(destination, location)
        raise InvalidImageUrl("the image URL redirects too often")

    @asynccontextmanager
    async def _answer(self, destination: Destination) -> AsyncIterator[httpcore.Response]:
        found = await self._resolve(destination.host, destination.port)
        network = _Network(checked(found, self._rules))
        request = self._request(destination)
        # One connection for one request: no answer outlives the check of its address.
        connection = httpcore.AsyncHTTPConnection(
            request.url.origin, self._tls, network_backend=network
        )
        try:
            yield await connection.handle_async_request(request)
        finally:
            await network.aclose()

    def _request(self, destination: Destination) -> httpcore.Request:
        url = httpcore.URL(
            scheme=destination.scheme.encode(),
            host=destination.host.encode(),
            port=destination.port,
            target=destination.target.encode(),
        )
        headers = [
            (b"Host", destination.authority.encode()),
            (b"User-Agent", b"facereco"),
            (b"Accept", b"image/png, image/jpeg, */*;q=0.1"),
            (b"Accept-Encoding", b"identity"),
        ]
        timeouts = {"connect": self._limits.connect}
        return httpcore.Request("GET", url, headers=headers, extensions={"timeout": timeouts})

    async def _ask_system(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _look_up, host, port)


class _Shares:
    """`each` turns at a time for every tenant; of one that has none, nothing is kept."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._turns: dict[int, asyncio.Semaphore] = {}
        self._users: Counter[int] = Counter()

    @asynccontextmanager
    async def one_of(self, tenant: int) -> AsyncIterator[None]:
        turns = self._turns.setdefault(tenant, asyncio.Semaphore(self._each))
        self._users[tenant] += 1
        try:
            async with turns:
                yield
        finally:
            self._users[tenant] -= 1
            if not self._users[tenant]:
                del self._users[tenant], self._turns[tenant]


class _Network(httpcore.AsyncNetworkBackend):
    """Leads to the first of `addresses` that takes a connection, whatever host is asked for.

    It closes what it opened also where httpcore does not: when a request goes away in the middle
    of a TLS handshake.
    """

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = list(map(str, addresses[:_MAX_ADDRESSES]))
        self._sockets = httpcore.AnyIOBackend()
        self._opened: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - resolved and checked already
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore names it so
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        patience = None if timeout is None else timeout / len(self._addresses)
        options = (port, patience, local_address, socket_options)
        *others, last = self._addresses
        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                self._opened = await self._sockets.connect_tcp(address, *options)
                return self._opened
        self._opened = await self._sockets.connect_tcp(last, *options)
        return self._opened

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()


def _look_up(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def _read(response: httpcore.Response, max_bytes: int) -> bytes:
    """The body of a 200, read no further than `max_bytes`."""
    encoding = _header(response, b"content-encoding").strip().lower()
    if response.status != _OK or encoding not in {"", "identity"}:
        raise InvalidImageUrl
    if _declares_more(response, max_bytes):
        raise ImageTooLarge
    body = bytearray()
    async for part in response.aiter_stream():
        body += part
        if len(body) > max_bytes:
            raise ImageTooLarge
    return bytes(body)


def _header(response: httpcore.Response, name: bytes) -> str:
    """The values of header `name` as one text; "" where there is none."""
    values = b", ".join(value for key, value in response.headers if key.lower() == name)
    try:
        return values.decode()
    except UnicodeDecodeError:
        return values.decode("latin-1")


def _declares_more(response: httpcore.Response, max_bytes: int) -> bool:
    """Whether the server says so itself; what it says may be anything, so it is only a hint."""
    digits = _header(response, b"content-length").lstrip("0")
    # Compared by length first: Python refuses to read numbers of thousands of digits.
    return digits.isdecimal() and (len(digits) > 18 or int(digits) > max_bytes)
