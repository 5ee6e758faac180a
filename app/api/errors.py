"""Answers every error in the contract's envelope, with the code of the caller's revision."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from app.api.answers import Answer, answer
from app.api.codes import INTERNAL, ResultCode, result_code
from app.api.revisions import DEFAULT_REVISION, REVISIONS, Revision
from app.domain import errors

log = structlog.get_logger(__name__)


# Under which a request keeps its revision and operation, so that an error is told as they do.
REVISION = "facereco.revision"
OPERATION = "facereco.operation"
# Whether its caller could not show a key.
DENIED = "facereco.denied"
# Which kind of error it was answered with.
REFUSAL = "facereco.refusal"
# With what is worth another try; in seconds.
OVERLOADED: Mapping[str, str] = MappingProxyType({"Retry-After": "1"})
DEFAULT = REVISIONS[DEFAULT_REVISION]


def install(app: FastAPI) -> None:
    """Answer every error in the contract's envelope."""
    app.add_exception_handler(errors.FaceError, _face_error)
    app.add_exception_handler(HTTPException, _no_route)


async def answered(request: Request, error: errors.FaceError | HTTPException) -> Response:
    """What the framework would have it answered with, for who does without."""
    if isinstance(error, HTTPException):
        return await _no_route(request, error)
    return await _face_error(request, error)


async def _face_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, errors.FaceError):
        raise error
    # Being full is no failure, and a second line for each refusal would be work of its own.
    if isinstance(error, errors.InternalError) and not isinstance(error, errors.Overloaded):
        log.warning("request failed", kind=type(error).__name__, detail=error.detail)
    if isinstance(error, errors.Unauthorized):
        request.scope[DENIED] = True
    request.scope[REFUSAL] = _kind(error).__name__
    revision: Revision = request.scope.get(REVISION, DEFAULT)
    code = told(revision, request.scope.get(OPERATION, ""), error)
    if isinstance(error, errors.Overloaded | errors.StoreUnavailable):
        return _failure(request, code, error.detail, OVERLOADED)
    return _failure(request, code, error.detail)


def _kind(error: errors.FaceError) -> type[errors.FaceError]:
    """What refusals are counted by: a v1.0 call without a key misses its secretKey as well."""
    return errors.Unauthorized if isinstance(error, errors.Unauthorized) else type(error)


def told(revision: Revision, operation: str, error: errors.FaceError) -> ResultCode:
    """The code and token of an error of an operation in a revision."""
    code = result_code(revision.codes_of(operation), error)
    if revision.names_picture and isinstance(error, errors.ImageError) and error.picture:
        # As the tables of those revisions print it: "Image", the plain token, which picture.
        return ResultCode(code.code, f"Image{code.message}:{error.picture.value}")
    return code


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    invalid = DEFAULT.codes[errors.InvalidParameter]
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
