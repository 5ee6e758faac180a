"""Refuses at the head of a request what the line would refuse behind it, at a third of the cost.

A flood is mostly refusals. One that takes a task, a body and an answer of its own costs the server
half a millisecond, and those who are served wait for all of them. Here it costs a look-up: nothing
is made for the request, and its body is dropped as it arrives.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from app.api.answers import Answer, answer
from app.api.auditing import AUDITED
from app.api.calls import bare_secret, open_liveness, open_v1, open_v2
from app.api.codes import ResultCode
from app.api.dispatch import Application
from app.api.errors import OVERLOADED, told
from app.api.middleware import RequestIds, log_request
from app.api.revisions import LIVENESS, REVISIONS, V2, Revision
from app.api.routes.table import Open, OperationRoute
from app.api.services import Services
from app.domain.errors import LineFull
from app.domain.values import Outcome, Tenant
from app.telemetry import logs

_STATUS = 200
# What has a record in the audit trail is recorded before it is answered, which takes a while.
PICTURED = frozenset({"detect", "spoofing"}) - AUDITED


@dataclass(frozen=True, slots=True)
class Head:
    """What came before the body: names of `headers` in lower case."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]

    def only(self, name: bytes) -> str | None:
        """The header's value, None where there is none or more than one."""
        given = [value for key, value in self.headers if key == name]
        return given[0].decode("latin-1") if len(given) == 1 else None


class Turnstile:
    """Knows of a whole application whom it would refuse."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._ids = RequestIds()

    @property
    def is_watched(self) -> bool:
        """Whether anybody may be refused: until somebody was, there is nothing to look for."""
        services: Services | None = getattr(self._app.state, "services", None)
        return services is not None and services.line.crowded

    def refusal(self, head: Head) -> bytes | None:
        """The answer from behind its status line on; None where the request must be looked into.

        Whoever was not seen a moment ago is: only then the key is known here.
        """
        began = time.perf_counter()
        route = self._app.operation_at(head.method, head.path)
        if route is None or route.operation not in PICTURED:
            return None
        services: Services = self._app.state.services
        known = _remembered(services, head, route)
        if known is None:
            return None
        tenant, revision = known
        try:
            services.line.check(tenant.id)
        except LineFull as error:
            code = told(revision, route.operation, error)
            request_id = self._ids.of(head.only(b"x-request-id"))
            watch = services.observer.begin(head.only(b"traceparent"))
            seconds = time.perf_counter() - began
            outcome = Outcome(
                method=head.method,
                route=route.path_format,
                status=_STATUS,
                code=code.code,
                refusal=type(error).__name__,
                seconds=seconds,
                request=request_id,
            )
            watch.end(outcome)
            with logs.of_request(request_id):
                log_request(outcome, tenant.name)
            return _written(code, error.detail).replace(_ID, request_id.encode(), 1)
        return None


_ID = b"{id}"
_FIXED: Mapping[Open, Revision] = MappingProxyType({open_v2: V2, open_liveness: LIVENESS})


def _remembered(
    services: Services, head: Head, route: OperationRoute
) -> tuple[Tenant, Revision] | None:
    """Who calls, in which revision, as far as it was found out a moment ago."""
    app_key = head.path.split("/appkeys/", 1)[1].partition("/")[0]
    tenant = services.keys.remembered(app_key) if route.open_call is open_v1 else None
    revision = REVISIONS.get(tenant.revision) if tenant else _FIXED.get(route.open_call)
    if revision is None or route.operation in revision.absent:
        return None
    if revision.needs_secret:
        secret = head.only(b"authorization")
        tenant = services.keys.remembered(app_key, bare_secret(secret)) if secret else None
    return (tenant, revision) if tenant else None


@cache
def _written(code: ResultCode, detail: str) -> bytes:
    made = answer(Answer(code.code, code.message), {"X-Error-Detail": detail, **OVERLOADED})
    headers = [*made.raw_headers, (b"x-request-id", _ID)]
    return b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + bytes(made.body)
