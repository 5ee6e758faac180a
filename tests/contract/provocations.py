"""How each documented error is provoked, by its token, and the few that nobody can provoke."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.conformance.documents import EDITIONS, Error, Route, read_forms, read_routes
from app.domain import errors
from tests.api.scenes import CROWD, SOLO, Scene, open_scene
from tests.contract.documents import plain_request
from tests.fakes import House

ROUTES = [route for revision in EDITIONS for route in read_routes(revision)]
FORMS = [route for revision in EDITIONS for route in read_forms(revision)]
EVERY_ROUTE = [*ROUTES, *FORMS]
PAIRS = [(route, error) for route in EVERY_ROUTE for error in route.errors]


def _unauthorized(scene, request, error):
    request.key = "unknown"


def _break_a_parameter(scene, request, error):
    if request.route.images:
        request.body.pop(request.route.images[0])
    elif request.query:
        request.query.clear()
    elif "{groupId}" in request.route.path:
        request.path = request.path.replace("/staff", "/Staff")
    else:
        request.body.clear()


def _malform_the_group_id(scene, request, error):
    request.body["groupId"] = "My_Group"


def _repeat_the_group_id(scene, request, error):
    request.body["groupId"] = "staff"


def _ask_for_an_absent_group(scene, request, error):
    request.path = request.path.replace("/staff", "/absent")


def _forge_a_token(scene, request, error):
    request.query["next-token"] = "forged"


def _ask_for_an_absent_face(scene, request, error):
    before, _, behind = request.path.partition("/faces/")
    absent = "9297db50-d4f2-c6b8-ea05-edf2013089fd"
    request.path = "/".join([f"{before}/faces", absent, *behind.split("/")[1:]])


def _exceed_the_quota(scene, request, error):
    if request.route.images:
        scene.register(SOLO)


def _nearly_exceed_the_quota(scene, request, error):
    request.body["image"] = {"bytes": CROWD}


def _break_the_server(scene, request, error):
    scene.house.database.down = True
    scene.house.vision.broken = errors.Overloaded()


def _spoil_the_file(kind):
    def provoke(scene, request, error):
        request.body[error.picture] = {"bytes": scene.house.spoil("c3BvaWxlZA==", kind())}

    return provoke


def _spoil_the_url(kind):
    def provoke(scene, request, error):
        request.body[error.picture] = {"url": scene.house.spoil("https://spoiled/", kind())}

    return provoke


def _call_a_picture_aligned(scene, request, error):
    request.body["aligned"] = True


# By token alone: it means the same on every route and in every revision.
PROVOCATIONS = {
    "ServiceQuotaExceededPartialSuccessException": _nearly_exceed_the_quota,
    "InvalidParam": _break_a_parameter,
    "InvalidGroupID": _malform_the_group_id,
    "DuplicatedGroupID": _repeat_the_group_id,
    "NotFoundGroupError": _ask_for_an_absent_group,
    "InvalidTokenError": _forge_a_token,
    "NotFoundFaceIDError": _ask_for_an_absent_face,
    "ServiceQuotaExceededException": _exceed_the_quota,
    "UnauthorizedAppKey": _unauthorized,
    "UnauthorizedAppKeyOrSecretKey": _unauthorized,
    "ImageTooLargeException": _spoil_the_file(errors.ImageTooLarge),
    "InvalidImageBytesException": _spoil_the_file(errors.InvalidImageBytes),
    "InvalidImageParameterException": _spoil_the_file(errors.InvalidImageBytes),
    "InvalidImageSizeException": _call_a_picture_aligned,
    "InvalidImageFormatException": _spoil_the_file(errors.InvalidImageFormat),
    "InvalidImageURLException": _spoil_the_url(errors.InvalidImageUrl),
    "ImageTimeoutError": _spoil_the_url(errors.ImageTimeout),
    "InvalidImageFileException": _spoil_the_file(errors.InvalidImageFile),
    "InternalServerError": _break_the_server,
}


def out_of_reach(route: Route, error: Error) -> str | None:
    """Why no request to `route` can be answered with `error`; None where one can."""
    if error.message == "NotFoundGroupError" and "{groupId}" not in route.path:
        return "compare names no group, so none can be missing"
    if route.parts is not None and error.code == -45030:
        return "a file in a form is no base64"
    return None


def provoke(route, error, scene, face_id):
    """The answer to a request that deserves `error`."""
    request = plain_request(route, scene, face_id)
    PROVOCATIONS[error.token](scene, request, error)
    return request.send(scene)


LEAVE_TRACES = {
    "ServiceQuotaExceededPartialSuccessException",
    "ServiceQuotaExceededException",
    "InternalServerError",
}


@contextmanager
def open_nearly_full(revision: str) -> Iterator[tuple[Scene, str]]:
    """One group of one allowed, with two faces of three allowed."""
    with open_scene(House(group_quota=1, face_quota=3), revision) as scene:
        yield scene, scene.register(CROWD)[0] if scene.surface.groups else ""
