"""What of a request goes into the audit trail, and that it does before the answer leaves."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import DENIED, OPERATION
from app.api.schemas import GROUP_ID
from app.domain.ports import AuditTrail
from app.domain.stages import Stage, Timed
from app.domain.values import AuditEntry

AUDITED = frozenset(
    {
        "create_group",
        "delete_group",
        "register",
        "delete_face",
        "search_by_face",
        "search_by_image",
        "compare",
        "verify",
    }
)
"""Operations with a record each. Every other one has it only when its caller is turned away."""

_CONCERNED = "facereco.concerned"
# A client may make up an id; only what could be one is repeated.
_FACE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_FACES = 20


def concerns(request: Request, *, group: str | None = None, faces: Sequence[str] = ()) -> None:
    """Note whom a request turned out to be about."""
    shown, count = tuple(faces[:_MOST_FACES]), len(faces)
    request.scope[_CONCERNED] = {"group": group} if group else {"faces": shown, "count": count}


class Audit:
    """Around everything else, so that it knows how a request ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        recorded = False

        async def record_first(message: Message) -> None:
            nonlocal recorded
            if message["type"] == "http.response.start" and not recorded:
                recorded = True
                await _record(scope, scope.get("facereco.code", 0))
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, record_first)
        finally:
            # Nobody was answered, yet something may have been done.
            if not recorded:
                await _record(scope, None)


async def _record(scope: Scope, code: int | None) -> None:
    if scope.get(DENIED) or scope.get(OPERATION) in AUDITED:
        trail: AuditTrail = scope["app"].state.services.audit
        with Timed(Stage.AUDIT):
            await trail.write(_entry(scope, code))


def _entry(scope: Scope, code: int | None) -> AuditEntry:
    client = scope.get("client")
    ids: dict[str, Any] = _path_ids(scope.get("path_params", {})) | scope.get(_CONCERNED, {})
    return AuditEntry(
        scope[OPERATION],
        tenant=scope.get("facereco.tenant"),
        code=code,
        request=scope.get("facereco.request"),
        source=client[0] if client else None,
        **ids,
    )


def _path_ids(given: dict[str, Any]) -> dict[str, str]:
    possible = (("group", "groupId", GROUP_ID), ("face", "faceId", _FACE_ID))
    return {
        field: given[name] for field, name, form in possible if form.fullmatch(given.get(name, ""))
    }
