"""How a server is asked, and what came back, whatever it was."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from app.conformance.forms import Form

JSON = "application/json;charset=UTF-8"
NOTHING: Mapping[str, Any] = MappingProxyType({})
UNREACHED = "nobody takes connections"


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
        self._client = httpx.Client(timeout=timeout, transport=transport)

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
        keys = request.credentials or self.credentials
        content, content_type = request.content
        headers = {"Content-Type": content_type}
        if keys.secret_key is not None:
            headers["Authorization"] = keys.secret_key
        url = f"{self._base}/{quote(keys.app_key, safe='')}{request.path}"
        try:
            return _read(
                self._client.request(
                    request.method,
                    url,
                    params=request.query or None,
                    content=content,
                    headers=headers,
                )
            )
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Answer(problem=UNREACHED)
        except httpx.TimeoutException:
            return Answer(problem=f"no answer within {self._timeout:g} s")
        except httpx.HTTPError:
            return Answer(problem="the connection broke off")


def origin(url: str) -> str:
    """Scheme, host and port of a URL: what may be shown of it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _read(response: httpx.Response) -> Answer:
    kind = response.headers.get("content-type", "")
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return Answer(response.status_code, kind, problem="not JSON")
    return Answer(response.status_code, kind, body)
