"""How a server is asked, and what came back, whatever it was."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Timer
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from app.conformance.forms import Form

JSON = "application/json;charset=UTF-8"
NOTHING: Mapping[str, Any] = MappingProxyType({})
UNREACHED = "nobody takes connections"
# Ten times the longest answer of the contract, a search with 4,096 matches.
MOST_BYTES = 16 * 1024 * 1024
_CONNECTED = "connection.connect_tcp.complete"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys of a request; never shown."""

    app_key: str = field(repr=False)
    secret_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the contract; `path` begins behind the appKey.

    `body` is what JSON carries, a finished form, or text sent as it stands. `credentials` stand in
    for the server's own, to be refused.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | Form | str | None = None
    credentials: Credentials | None = None

    @property
    def content(self) -> tuple[bytes | None, str]:
        """The bytes of the body and their type."""
        match self.body:
            case None:
                return None, JSON
            case Form(content, content_type):
                return content, content_type
            case str(text):
                return text.encode(), JSON
            case fields:
                return json.dumps(fields).encode(), JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `body` is its JSON, unless `problem` says why there is none."""

    status: int | None = None
    content_type: str = ""
    body: Any = None
    problem: str | None = None

    @property
    def header(self) -> Mapping[str, Any]:
        """The envelope's header; empty where there is none."""
        header = self.body.get("header") if isinstance(self.body, dict) else None
        return header if isinstance(header, dict) else NOTHING

    @property
    def code(self) -> object:
        """The result code, if there is one."""
        return self.header.get("resultCode")

    def text(self, *steps: str | int) -> str | None:
        """The text in `data` behind these names and positions; None where there is none."""
        place: Any = self.body
        for step in ("data", *steps):
            try:
                place = place[step]
            except (KeyError, IndexError, TypeError):
                return None
        return place if isinstance(place, str) else None


class _Deadline:
    """Ends the one connection of a client when a request has taken its time.

    The client's own limit starts anew with every byte, so a server could hold it for days.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self.passed = False

    @contextmanager
    def running(self) -> Iterator[None]:
        self.passed = False
        timer = Timer(self._seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def heard(self, event: str, told: Mapping[str, Any]) -> None:
        """Learn from the client, as its `trace`, which connection it uses from now on."""
        if event == _CONNECTED:
            self._socket = told["return_value"].get_extra_info("socket")

    def _end(self) -> None:
        self.passed = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class Server:
    """A server under a base URL, asked with one pair of keys under one prefix."""

    def __init__(
        self,
        base: str,
        prefix: str,
        credentials: Credentials,
        *,
        timeout: float,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout` is for one request, in seconds; `transport` stands in for the network."""
        self._base = base.rstrip("/") + prefix
        self.credentials = credentials
        self._timeout = timeout
        # Redirects are no part of the contract: they are shown, not followed.
        limits = httpx.Limits(max_connections=1)
        self._client = httpx.Client(timeout=timeout, transport=transport, limits=limits)
        self._deadline = _Deadline(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def ask(self, request: Request) -> Answer:
        """Send a request; what goes wrong with it is an answer too."""
        with self._deadline.running():
            answer = self._tried(request)
        if self._deadline.passed and answer.problem != UNREACHED:
            return self._late
        return answer

    @property
    def _late(self) -> Answer:
        return Answer(problem=f"no answer within {self._timeout:g} s")

    def _tried(self, request: Request) -> Answer:
        try:
            return self._answer(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Answer(problem=UNREACHED)
        except httpx.TimeoutException:
            return self._late
        except httpx.HTTPError:
            return Answer(problem="the connection broke off")

    def _answer(self, request: Request) -> Answer:
        keys = request.credentials or self.credentials
        content, content_type = request.content
        # No encoding: a few bytes that unfold to gigabytes are no answer either.
        headers = {"Content-Type": content_type, "Accept-Encoding": "identity"}
        if keys.secret_key is not None:
            headers["Authorization"] = keys.secret_key
        url = f"{self._base}/{quote(keys.app_key, safe='')}{request.path}"
        with self._client.stream(
            request.method,
            url,
            params=request.query or None,
            content=content,
            headers=headers,
            extensions={"trace": self._deadline.heard},
        ) as response:
            return _read(response)


def origin(url: str) -> str:
    """Scheme, host and port of a URL: what may be shown of it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _read(response: httpx.Response) -> Answer:
    """Raises what the client raises."""
    kind, content = response.headers.get("content-type", ""), bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > MOST_BYTES:
            problem = f"an answer of more than {MOST_BYTES:,} bytes"
            return Answer(response.status_code, kind, problem=problem)
    try:
        body = json.loads(bytes(content))
    except (ValueError, RecursionError):
        return Answer(response.status_code, kind, problem="not JSON")
    return Answer(response.status_code, kind, body)
