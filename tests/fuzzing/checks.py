"""What has to hold for every answer, as checks of schemathesis.

Its own checks read HTTP statuses, and ours are all 200: some of them get the answer in the status
that another API would have chosen for the code. The others see it as it is.
"""

import copy
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

import schemathesis
from jsonschema_rs import Draft202012Validator
from schemathesis.checks import CheckContext
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.specs.openapi import checks as theirs

from app.domain.errors import ImageTooSmall, NoFaceFound, SpoofingUnavailable

Sent = Case[Any]
Check = Callable[[CheckContext, Response, Sent], bool | None]

NOT_FOUND = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
# InvalidParam that speaks of what a picture shows, not of how the request is written.
ABOUT_PICTURES = frozenset({NoFaceFound.detail, ImageTooSmall.detail})
STATUSES: Mapping[str, HTTPStatus] = MappingProxyType(
    {
        "InvalidParam": HTTPStatus.BAD_REQUEST,
        "InvalidGroupID": HTTPStatus.BAD_REQUEST,
        "UnauthorizedAppKey": HTTPStatus.UNAUTHORIZED,
        "UnauthorizedAppKeyOrSecretKey": HTTPStatus.UNAUTHORIZED,
        "InternalServerError": HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""What a token would be elsewhere; the other refusals speak of what there is: 409."""


def result_code(response: Response) -> int:
    """The code of an answer."""
    return int(_header(response)["resultCode"])


def _header(response: Response) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(response.content)["header"]
    return header


def as_elsewhere(response: Response) -> Response:
    """The same answer from an API that says it with statuses."""
    if response.status_code != HTTPStatus.OK:
        return response
    told = copy.copy(response)
    told.status_code = _status(response)
    return told


def _status(response: Response) -> HTTPStatus:
    header = _header(response)
    if header["isSuccessful"]:
        return HTTPStatus.OK
    detail = response.headers.get("x-error-detail", [""])[0]
    if detail in ABOUT_PICTURES:
        return HTTPStatus.CONFLICT
    return STATUSES.get(header["resultMessage"], HTTPStatus.CONFLICT)


@schemathesis.check
def answers_ok_or_knows_no_such_route(ctx: CheckContext, response: Response, case: Sent) -> None:
    """Every route answers 200; what is no route answers 404 or 405."""
    if response.status_code == HTTPStatus.OK or response.status_code in NOT_FOUND:
        return
    raise Failure(
        operation=case.operation.label,
        title="Another status than 200",
        message=f"HTTP {response.status_code}",
    )


@schemathesis.check
def a_route_is_found(ctx: CheckContext, response: Response, case: Sent) -> None:
    """A request that reaches a documented path with its method is not answered 404 or 405."""
    if response.status_code not in NOT_FOUND or not _is_route(response, case):
        return
    raise Failure(
        operation=case.operation.label,
        title="A documented route was not found",
        message=f"HTTP {response.status_code} for {response.request.method}",
    )


@schemathesis.check
def never_the_servers_fault(ctx: CheckContext, response: Response, case: Sent) -> None:
    """No request makes the server answer -50000, but for what its model pack does not have."""
    if response.status_code != HTTPStatus.OK or result_code(response) != -50000:
        return
    detail = response.headers.get("x-error-detail", [""])[0]
    if detail != SpoofingUnavailable.detail:
        raise Failure(operation=case.operation.label, title="InternalServerError", message=detail)


@schemathesis.check
def what_does_not_fit_the_document_is_refused(
    ctx: CheckContext, response: Response, case: Sent
) -> bool | None:
    """Their check of negative data."""
    return theirs.negative_data_rejection(ctx, as_elsewhere(response), case)


@schemathesis.check
def what_fits_the_document_is_not_invalid(
    ctx: CheckContext, response: Response, case: Sent
) -> bool | None:
    """Their check of positive data."""
    # Boundary values are put into forms without a look at what excludes each other there.
    if not body_fits(case):
        return None
    return theirs.positive_data_acceptance(ctx, as_elsewhere(response), case)


def body_fits(case: Sent) -> bool:
    """Whether a body is what its document says, files being any text."""
    document = case.operation.schema.raw_schema
    operation = document["paths"][case.operation.path][case.operation.method.lower()]
    content = operation.get("requestBody", {}).get("content", {})
    body: object = case.body
    if case.media_type not in content or not isinstance(body, dict):
        return True
    schema = {**content[case.media_type]["schema"], "components": document["components"]}
    plain = json.loads(json.dumps(body, default=str))
    return Draft202012Validator(schema).is_valid(plain)


OURS: tuple[Check, ...] = (
    answers_ok_or_knows_no_such_route,
    a_route_is_found,
    never_the_servers_fault,
    what_does_not_fit_the_document_is_refused,
    what_fits_the_document_is_not_invalid,
)


def _is_route(response: Response, case: Sent) -> bool:
    """Whether the request's path has the template's segments, each of them filled."""
    wanted = case.operation.path.split("/")
    sent = unquote(urlsplit(str(response.request.url)).path).split("/")
    same_method = response.request.method == case.operation.method.upper()
    return same_method and len(wanted) == len(sent) and all(sent[1:])
