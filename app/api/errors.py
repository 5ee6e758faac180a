"""The one table from what went wrong to the contract's codes, and the handlers that use it."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from app.api.answers import Answer, answer
from app.domain import errors

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ResultCode:
    """A code of the contract with its exact token."""

    code: int
    message: str


INTERNAL = ResultCode(-50000, "InternalServerError")
PARTIAL_QUOTA = ResultCode(40070, "ServiceQuotaExceededPartialSuccessException")

CODES: Mapping[type[errors.FaceError], ResultCode] = MappingProxyType(
    {
        errors.InvalidParameter: ResultCode(-40000, "InvalidParam"),
        errors.InvalidGroupId: ResultCode(-40010, "InvalidGroupID"),
        errors.GroupExists: ResultCode(-40020, "DuplicatedGroupID"),
        errors.GroupNotFound: ResultCode(-40030, "NotFoundGroupError"),
        errors.InvalidPageToken: ResultCode(-40040, "InvalidTokenError"),
        errors.FaceNotFound: ResultCode(-40050, "NotFoundFaceIDError"),
        errors.GroupQuotaExceeded: ResultCode(-40070, "ServiceQuotaExceededException"),
        errors.FaceQuotaExceeded: ResultCode(-40070, "ServiceQuotaExceededException"),
        errors.Unauthorized: ResultCode(-41000, "UnauthorizedAppKey"),
        errors.ImageTooLarge: ResultCode(-45020, "ImageTooLargeException"),
        errors.InvalidImageBytes: ResultCode(-45030, "InvalidImageBytesException"),
        errors.InvalidImageFormat: ResultCode(-45040, "InvalidImageFormatException"),
        errors.InvalidImageUrl: ResultCode(-45050, "InvalidImageURLException"),
        errors.ImageTimeout: ResultCode(-45060, "ImageTimeoutError"),
        errors.InvalidImageFile: ResultCode(-45080, "InvalidImageFileException"),
        errors.InternalError: INTERNAL,
    }
)


def result_code(error: errors.FaceError) -> ResultCode:
    """The entry of the nearest class in the table, as Starlette finds exception handlers."""
    for kind in type(error).__mro__:
        if kind in CODES:
            return CODES[kind]
    return INTERNAL


def install(app: FastAPI) -> None:
    """Answer every error in the contract's envelope."""
    app.add_exception_handler(errors.FaceError, _face_error)
    app.add_exception_handler(HTTPException, _no_route)


async def _face_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, errors.FaceError):
        raise error
    code = result_code(error)
    if isinstance(error, errors.InternalError):
        log.warning("request failed", kind=type(error).__name__, detail=error.detail)
    if isinstance(error, errors.Overloaded | errors.StoreUnavailable):
        return _failure(request, code, error.detail, {"Retry-After": "1"})
    return _failure(request, code, error.detail)


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    invalid = CODES[errors.InvalidParameter]
    response = _failure(request, invalid, HTTPStatus(status).phrase)
    response.status_code = status
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(sorted(_allowed(request)))
    return response


def _allowed(request: Request) -> set[str]:
    """Every method of the path; the framework itself tells those of the first route alone."""
    here = (
        route.methods or set()
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    )
    return set().union(*here)


def _failure(
    request: Request, code: ResultCode, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    request.scope["facereco.code"] = code.code
    return answer(
        Answer(code.code, code.message), headers={"X-Error-Detail": detail, **(headers or {})}
    )


def internal_failure() -> Response:
    """The answer to what nobody foresaw; says nothing of it."""
    return answer(
        Answer(INTERNAL.code, INTERNAL.message), headers={"X-Error-Detail": "internal error"}
    )
