"""How each documented error is provoked from outside, and why some are better not."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from secrets import token_hex
from types import MappingProxyType

from app.conformance.cases import (
    ALIGNED,
    LONGEST,
    MAX_BYTES,
    Addresses,
    Case,
    Change,
    NotProvoked,
    changed,
    operation,
)
from app.conformance.documents import LIVENESS, Error, Route
from app.conformance.fields import Expected
from app.conformance.pictures import GIF, NOT_BASE64, UNKNOWN_HOST, base64, no_picture, padded
from app.conformance.requests import FACE, GROUP, Draft
from app.conformance.stage import ABSENT_FACE, Stage

NEEDS_SECRET = frozenset({"alpha", "v2.0", LIVENESS})
QUOTAS = frozenset({"ServiceQuotaExceededException", "ServiceQuotaExceededPartialSuccessException"})
FORMATS = frozenset({"InvalidImageFormatException"})
FAULTS = frozenset({"InternalServerError"})
GROUPS = frozenset({"NotFoundGroupError"})
ENCODED = frozenset({"InvalidImageBytesException", "InvalidImageParameterException"})
DECODED = frozenset({"InvalidImageFileException"})
SLOW = frozenset({"ImageTimeoutError"})
FETCHED = SLOW | {"InvalidImageURLException"}
NO_ADDRESS = "the form has no part for an address"
NO_SLOW_URL = "needs --slow-url, an address that takes connections and never answers"

Samples = Mapping[str, Change]
"""Changes of the documented request, each of which deserves the error."""


def errors_of(route: Route, addresses: Addresses) -> Iterator[Case | NotProvoked]:
    """A case or more for each documented error, or the reason why there is none."""
    for error in route.errors:
        found = _provoked(route, error, addresses)
        if isinstance(found, str):
            which = f" ({error.picture})" if error.picture and len(route.images) > 1 else ""
            yield NotProvoked(operation(route), error.code, error.message, found + which)
            continue
        for sample, change in found.items():
            yield changed(route, sample, change, Expected(error.code, error.message))


def _provoked(route: Route, error: Error, addresses: Addresses) -> Samples | str:
    if reason := _left_alone(route, error, addresses):
        return reason
    if error.token in _PLAIN:
        return _PLAIN[error.token](route)
    return _spoilt(route, error, addresses)


def _left_alone(route: Route, error: Error, addresses: Addresses) -> str | None:
    """Why this error is not provoked; None where it is."""
    token, form = error.token, route.parts is not None
    things = "faces as a group" if route.images else "groups as the appKey"
    reasons = (
        (token in FAULTS, "only a fault of the server answers so"),
        (token in QUOTAS, f"would take as many {things} may have"),
        (token in GROUPS and GROUP not in route.path, "no group is named"),
        (token in ENCODED and form, "a file in a form is no base64"),
        (token in FETCHED and form and error.picture not in route.addresses, NO_ADDRESS),
        (token in SLOW and addresses.slow is None, NO_SLOW_URL),
    )
    return next((reason for holds, reason in reasons if holds), None)


# --- Errors that are not about a picture


def _unauthorized(route: Route) -> Samples:
    def unknown_key(made: Draft, stage: Stage) -> None:
        made.credentials = replace(stage.server.credentials, app_key=f"unknown{token_hex(8)}")

    def wrong_secret(made: Draft, stage: Stage) -> None:
        made.credentials = replace(stage.server.credentials, secret_key="wrong")  # noqa: S106 - no secret of anyone

    def no_secret(made: Draft, stage: Stage) -> None:
        made.credentials = replace(stage.server.credentials, secret_key=None)

    samples: dict[str, Change] = {"unknown appKey": unknown_key}
    # Once is enough: a server may count failures against the caller.
    if route.revision in NEEDS_SECRET and (route.method, route.path) == ("GET", "/groups"):
        samples |= {"wrong secretKey": wrong_secret, "no Authorization": no_secret}
    return samples


def _invalid_parameter(route: Route) -> Samples:
    """What lies behind the path is left to each parameter's own cases."""

    def malformed(made: Draft, _: Stage) -> None:
        made.path = route.path.replace(GROUP, "My_Group").replace(FACE, ABSENT_FACE)

    return {"groupId My_Group": malformed} if GROUP in route.path else {}


def _invalid_group_id(_: Route) -> Samples:
    def body(group: str) -> Change:
        def change(made: Draft, _: Stage) -> None:
            made.body["groupId"] = group

        return change

    return {
        "groupId My_Group": body("My_Group"),
        "groupId empty": body(""),
        f"groupId of {LONGEST + 1} characters": body("a" * (LONGEST + 1)),
    }


def _duplicated(_: Route) -> Samples:
    def change(made: Draft, stage: Stage) -> None:
        made.body["groupId"] = stage.group

    return {"groupId of a group that is there": change}


def _absent_group(route: Route) -> Samples:
    def change(made: Draft, stage: Stage) -> None:
        path = route.path.replace(GROUP, stage.absent_group)
        made.path = path.replace(FACE, ABSENT_FACE)

    return {"group that is not there": change}


def _absent_face(route: Route) -> Samples:
    def naming(face: str) -> Change:
        def change(made: Draft, stage: Stage) -> None:
            made.path = route.path.replace(GROUP, stage.group).replace(FACE, face)

        return change

    return {"face that is not there": naming(ABSENT_FACE), "faceId no-uuid": naming("no-uuid")}


def _forged_token(_: Route) -> Samples:
    def change(made: Draft, _: Stage) -> None:
        made.query["next-token"] = "forged"

    return {"forged next-token": change}


def _of_another_size(_: Route) -> Samples:
    def change(made: Draft, _: Stage) -> None:
        made.body[ALIGNED] = True

    return {"aligned, of another size": change}


_PLAIN: Mapping[str, Callable[[Route], Samples]] = MappingProxyType(
    {
        "InvalidParam": _invalid_parameter,
        "InvalidGroupID": _invalid_group_id,
        "DuplicatedGroupID": _duplicated,
        "NotFoundGroupError": _absent_group,
        "NotFoundFaceIDError": _absent_face,
        "InvalidTokenError": _forged_token,
        "InvalidImageSizeException": _of_another_size,
        "UnauthorizedAppKey": _unauthorized,
        "UnauthorizedAppKeyOrSecretKey": _unauthorized,
    }
)


# --- Errors of one picture


def _spoilt(route: Route, error: Error, addresses: Addresses) -> Samples:
    size = MAX_BYTES[route.revision] + 1
    spoilt: dict[str, dict[str, dict[str, str]]] = {
        "ImageTooLargeException": {f"of {size:,} bytes": {"bytes": base64(padded(size))}},
        "InvalidImageBytesException": {"not base64": {"bytes": NOT_BASE64}},
        "InvalidImageParameterException": {"not base64": {"bytes": NOT_BASE64}},
        "InvalidImageFormatException": {"a GIF": {"bytes": base64(GIF)}},
        "InvalidImageFileException": {"a broken PNG": {"bytes": base64(no_picture())}},
        "InvalidImageURLException": {"of an unknown host": {"url": UNKNOWN_HOST}},
        "ImageTimeoutError": {"that never comes": {"url": addresses.slow or ""}},
    }
    if error.token in FORMATS:
        # The older revisions have one error for whatever is no readable picture.
        known = {other.token for other in route.errors}
        if not known & ENCODED:
            spoilt[error.token] |= spoilt["InvalidImageBytesException"]
        if not known & DECODED:
            spoilt[error.token] |= spoilt["InvalidImageFileException"]
    return {
        f"{error.picture} {sample}": _holding(str(error.picture), value)
        for sample, value in spoilt[error.token].items()
    }


def _holding(image: str, value: dict[str, str]) -> Change:
    def change(made: Draft, _: Stage) -> None:
        made.body[image] = value

    return change
