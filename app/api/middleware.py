"""Around every request: an id, whoever watches, one log line, an answer to the unforeseen."""

import re
import secrets
import time
from http import HTTPMethod

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.codes import INTERNAL
from app.api.errors import REFUSAL, internal_failure
from app.domain.ports import Observer
from app.domain.stages import heard_by
from app.domain.values import Outcome
from app.telemetry import logs

log = structlog.get_logger(__name__)

# nginx's code for a client that hung up: nobody receives it, the log tells it apart.
CLIENT_GONE = 499
# A client may make up a method; the log repeats none it does not know.
METHODS = frozenset(HTTPMethod)
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DRAWN = 512
UNFORESEEN = "Unforeseen"
"""The refusal of a request that broke something."""


class Observe:
    """Logs route templates and tenant names, never paths: a v1.0 path holds the appKey."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = self._ids.of(headers.get("x-request-id"))
        scope["facereco.request"] = request_id
        exchange = _Exchange(send, request_id)
        observer: Observer = scope["app"].state.services.observer
        watch = observer.begin(headers.get("traceparent"))
        with logs.of_request(request_id), heard_by(watch.stage):
            try:
                await self._answer(scope, receive, exchange)
            finally:
                outcome = exchange.outcome(scope)
                watch.end(outcome)
            log_request(outcome, scope.get("facereco.tenant"))

    async def _answer(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        try:
            await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - every client gets an answer, whatever broke
            # The type and the place tell enough; messages and locals may hold what was sent.
            log.error(  # noqa: TRY400 - the traceback is what must not be logged
                "unexpected error", kind=type(error).__name__, place=_place(error)
            )
            scope["facereco.code"] = INTERNAL.code
            scope[REFUSAL] = UNFORESEEN
            if not exchange.started:
                await internal_failure()(scope, receive, exchange.send)


class _Exchange:
    """One request on its way out: adds the id, remembers what was answered and when."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._began = time.perf_counter()
        self.started = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            named = (b"x-request-id", self._request_id.encode())
            message["headers"] = [*message["headers"], named]
        await self._send(message)

    def outcome(self, scope: Scope) -> Outcome:
        return Outcome(
            method=scope["method"] if scope["method"] in METHODS else None,
            route=getattr(scope.get("route"), "path_format", None),
            status=self.status,
            code=scope.get("facereco.code", 0),
            refusal=scope.get(REFUSAL),
            seconds=time.perf_counter() - self._began,
            request=self._request_id,
        )


def log_request(outcome: Outcome, tenant: str | None) -> None:
    """The one line of a request."""
    log.info(
        "request",
        method=outcome.method,
        route=outcome.route,
        status=outcome.status,
        code=outcome.code,
        refusal=outcome.refusal,
        tenant=tenant,
        ms=round(outcome.seconds * 1000, 2),
    )


class RequestIds:
    """Ids of requests, from random bytes drawn for many at once.

    The system's generator lets go of the interpreter, which a busy server gets back milliseconds
    later.
    """

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def of(self, given: str | None) -> str:
        """What the client gave, if it is one."""
        if given is not None and REQUEST_ID.fullmatch(given):
            return given
        if not self._drawn:
            digits = secrets.token_hex(8 * _DRAWN)
            self._drawn = [digits[at : at + 16] for at in range(0, len(digits), 16)]
        return self._drawn.pop()


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
