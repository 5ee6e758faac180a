"""Fetch a picture from an address a stranger chose, connecting only where that is allowed.

Each name is resolved once, every answer is checked, and the connection goes to a checked answer:
a name that changes its mind in between gains nothing. httpx's transport is used without its
client, which would follow redirects, keep cookies and read proxies from the environment.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from app.domain.errors import ImageTimeout, ImageTooLarge, InvalidImageUrl
from app.intake.addresses import Address, AddressRules, Destination, checked

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host for a port, as text. Raises OSError when there are none."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RESOLVING_THREADS = 16


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """How long a download may take (seconds), how far it may lead, how many run at once.

    `connect` is for one host, TLS included; `total` is for everything, waiting for a turn too.
    """

    connect: float = 2.0
    total: float = 5.0
    redirects: int = 3
    concurrent: int = 64
    addresses: int = 3


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
        self._resolve = resolve or self._ask_system
        self._slots = asyncio.Semaphore(self._limits.concurrent)
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls or httpx.create_ssl_context(trust_env=False),
            trust_env=False,
            # No connection is ever used twice: one address serves many names, and each name's
            # certificate must be checked.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """What lies at `url`.

        Raises:
            InvalidImageUrl: the address is not allowed, not reachable, or gives nothing.
            ImageTimeout: it answers too slowly.
            ImageTooLarge: it gives more than `max_bytes`.
        """
        destination = self._rules.read(url)
        try:
            async with asyncio.timeout(self._limits.total), self._slots:
                return await self._follow(destination, max_bytes)
        except (TimeoutError, httpx.TimeoutException):
            raise ImageTimeout from None
        except (OSError, httpx.TransportError, httpx.InvalidURL):
            raise InvalidImageUrl from None

    async def aclose(self) -> None:
        """Drop what is under way and free sockets and threads."""
        await self._transport.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _follow(self, destination: Destination, max_bytes: int) -> bytes:
        for _ in range(self._limits.redirects + 1):
            async with self._response(destination) as response:
                if response.status_code not in _REDIRECTS:
                    return await _read(response, max_bytes)
                location = response.headers.get("Location", "")
            destination = self._rules.follow(destination, location)
        raise InvalidImageUrl("the image URL redirects too often")

    @asynccontextmanager
    async def _response(self, destination: Destination) -> AsyncIterator[httpx.Response]:
        found = await self._resolve(destination.host, destination.port)
        addresses = checked(found, self._rules)[: self._limits.addresses]
        response = await self._ask_any(destination, addresses)
        try:
            yield response
        finally:
            await response.aclose()

    async def _ask_any(
        self, destination: Destination, addresses: Sequence[Address]
    ) -> httpx.Response:
        """The answer of the first of `addresses` that takes a connection."""
        patience = self._limits.connect / len(addresses)
        *others, last = (self._request(destination, address, patience) for address in addresses)
        for request in others:
            try:
                return await self._transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._transport.handle_async_request(last)

    def _request(
        self, destination: Destination, address: Address, patience: float
    ) -> httpx.Request:
        # The address in the URL is what the transport connects to; the name lives on in the Host
        # header and, for the certificate, in SNI.
        url = httpx.URL(
            scheme=destination.scheme,
            host=str(address),
            port=destination.port,
            raw_path=destination.target.encode(),
        )
        headers = {
            "Host": destination.authority,
            "User-Agent": "facereco",
            "Accept": "image/png, image/jpeg, */*;q=0.1",
            "Accept-Encoding": "identity",
        }
        return httpx.Request(
            "GET",
            url,
            headers=headers,
            extensions={
                "sni_hostname": destination.host,
                "timeout": {"connect": patience, "read": self._limits.total},
            },
        )

    async def _ask_system(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _look_up, host, port)


def _look_up(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """The body of a 200, read no further than `max_bytes`."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if response.status_code != httpx.codes.OK or encoding != "identity":
        raise InvalidImageUrl
    if _declares_more(response, max_bytes):
        raise ImageTooLarge
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > max_bytes:
            raise ImageTooLarge
    return bytes(body)


def _declares_more(response: httpx.Response, max_bytes: int) -> bool:
    """Whether the server says so itself; what it says may be anything, so it is only a hint."""
    declared = response.headers.get("Content-Length", "")
    digits = declared.lstrip("0")
    # Compared by length first: Python refuses to read numbers of thousands of digits.
    return digits.isdecimal() and (len(digits) > 18 or int(digits) > max_bytes)
