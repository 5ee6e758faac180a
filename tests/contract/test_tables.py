"""The documented tables of every revision, held against the server: nothing missing, nothing more.

Where a body may also be a form, everything is asked once in JSON and once as a form.
"""

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache

import pytest

from app.domain import errors
from tests.api.scenes import CROWD, SOLO, code, open_scene, told
from tests.contract.documents import (
    EXTERNAL_ID,
    REVISIONS,
    Field,
    fill,
    plain_request,
    read_forms,
    read_routes,
    walk,
)
from tests.fakes import House

ROUTES = [route for revision in REVISIONS for route in read_routes(revision)]
FORMS = [route for revision in REVISIONS for route in read_forms(revision)]
EVERY_ROUTE = [*ROUTES, *FORMS]
SUCCESS = {"alpha": "SUCCESS", "2021": "SUCCESS", "v1.0": "Success", "v2.0": "Success"}
TYPES = {
    "int": (int,),
    "float": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
FLAGS = ("orientation", "mask")

every_route = pytest.mark.parametrize("route", EVERY_ROUTE, ids=str)


def is_compare(route):
    return route.path.endswith("/compare")


def knows_flags(route):
    return any(field.name in FLAGS for field in route.body)


def settled_response(route):
    """The route's fields with what point 19 of the contract settles in place of the table."""
    fields = list(route.response)
    if route.path.endswith("/search") and route.method == "POST" and route.revision != "v2.0":
        fields.append(Field("data.modelVersion", "string", True, None, ""))
    if is_compare(route):
        misplaced = "FaceDetails[].mask"
        fields = [
            replace(f, name=f.name.replace("[].mask", "[].faceDetail.mask"))
            if f.name.endswith(misplaced)
            else f
            for f in fields
        ]
    return {field.name: field for field in fields}


def with_parents(names):
    """The names and everything they lie in; an answer without data has no parents either."""
    known = set()
    for name in names:
        parts = name.split(".")
        above = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        known |= above | {name.removesuffix("[]") for name in above}
    return known


@pytest.fixture
def filled(route):
    with open_scene(revision=route.revision) as scene:
        yield scene, fill(scene)


def full_request(route, scene, face_id):
    request = plain_request(route, scene, face_id)
    if any(field.name == "externalImageId" for field in route.body):
        request.body["externalImageId"] = EXTERNAL_ID
    return request


def test_the_tables_name_these_routes():
    counts = {revision: len(read_routes(revision)) for revision in REVISIONS}

    assert counts == {"alpha": 11, "2021": 11, "v1.0": 12, "v2.0": 12}
    assert [route.path for route in FORMS] == [
        "/faces/detect",
        "/groups/{groupId}/faces",
        "/groups/{groupId}/faces/search",
        "/faces/compare",
        "/groups/{groupId}/faces/{faceId}/verify",
    ]


@pytest.fixture(scope="module")
def answered():
    """What each route says to a request with everything in it."""

    @cache
    def ask(route):
        with open_scene(revision=route.revision) as scene:
            return full_request(route, scene, fill(scene)).send(scene)

    return ask


@every_route
def test_a_documented_request_succeeds_with_the_exact_header(route, answered):
    answer = answered(route)

    assert answer.status_code == 200
    assert answer.json()["header"] == {
        "isSuccessful": True,
        "resultCode": 0,
        "resultMessage": SUCCESS[route.revision],
    }
    assert "X-Error-Detail" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"


@every_route
def test_the_answer_has_every_documented_field_and_no_other(route, answered):
    content = answered(route).json()

    documented = settled_response(route)
    seen = {path for path, _ in walk(content["data"], "data")} if "data" in content else set()
    assert set(content) == {"header", "data"} if documented else {"header"}
    assert set(documented) <= seen
    assert seen <= with_parents(documented)


@every_route
def test_every_field_has_its_documented_type(route, answered):
    content = answered(route).json()

    documented = settled_response(route)
    for path, value in walk(content.get("data"), "data"):
        if path in documented:
            assert type(value) in TYPES[documented[path].type], path


@every_route
def test_fields_that_are_not_required_are_the_only_ones_left_out(route, filled):
    scene, face_id = filled
    request = plain_request(route, scene, face_id)
    request.body.update(dict.fromkeys(FLAGS, False) if route.images else {})

    content = request.send(scene).json()

    required = {name for name, field in settled_response(route).items() if field.required}
    assert required <= {path for path, _ in walk(content.get("data"), "data")}


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("route", [r for r in EVERY_ROUTE if knows_flags(r)], ids=str)
def test_a_flag_set_to_false_leaves_its_field_out_and_only_its_own(route, flag, filled):
    scene, face_id = filled
    request = full_request(route, scene, face_id)
    request.body[flag] = False

    content = request.send(scene).json()

    documented = {name for name in settled_response(route) if flag not in name.split(".")}
    seen = {path for path, _ in walk(content["data"], "data")}
    assert documented <= seen
    assert not any(flag in path.split(".") for path in seen)


@pytest.mark.parametrize("value", [False, "yes", None])
@pytest.mark.parametrize(
    "route", [r for r in EVERY_ROUTE if r.images and not knows_flags(r)], ids=str
)
def test_where_there_are_no_flags_they_are_fields_nobody_knows(route, value, filled):
    scene, face_id = filled
    request = full_request(route, scene, face_id)
    request.body.update(dict.fromkeys(FLAGS, value))

    content = request.send(scene).json()

    assert set(settled_response(route)) <= {path for path, _ in walk(content["data"], "data")}


def can_go_without(route, name):
    # The guide's own JSON sample does, so a server that takes samples as printed has a default.
    return route.revision == "v2.0" and is_compare(route) and name == "threshold"


@pytest.mark.parametrize(
    ("route", "name"),
    [(r, name) for r in EVERY_ROUTE for name in r.required if not can_go_without(r, name)],
    ids=str,
)
def test_a_required_parameter_that_is_missing_is_refused(route, name, lasting):
    scene, face_id = lasting(route.revision)
    request = plain_request(route, scene, face_id)
    request.holder(name).pop(name)

    assert code(request.send(scene)) == -40000


@pytest.mark.parametrize(
    ("route", "field"),
    [(r, f) for r in EVERY_ROUTE for f in (*r.query, *r.body) if f.bounds],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_the_documented_range_is_accepted_to_its_ends_and_no_further(route, field, filled):
    scene, face_id = filled
    low, high = field.bounds

    def ask(value):
        request = plain_request(route, scene, face_id)
        request.holder(field.name)[field.name] = value
        return code(request.send(scene))

    assert [ask(value) for value in (low - 1, low, high, high + 1)] == [-40000, 0, 0, -40000]


# --- Every documented error, provoked


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
    "InvalidImageFormatException": _spoil_the_file(errors.InvalidImageFormat),
    "InvalidImageURLException": _spoil_the_url(errors.InvalidImageUrl),
    "ImageTimeoutError": _spoil_the_url(errors.ImageTimeout),
    "InvalidImageFileException": _spoil_the_file(errors.InvalidImageFile),
    "InternalServerError": _break_the_server,
}
PAIRS = [(route, error) for route in EVERY_ROUTE for error in route.errors]


def plain_token(error):
    """What compare of the older revisions wraps into `Image…:Source`."""
    token, colon, _ = error.message.partition(":")
    return token.removeprefix("Image") if colon else token


def is_out_of_reach(route, error):
    # Compare names no group, so nobody can ask it for one that does not exist.
    if error.message == "NotFoundGroupError" and "{groupId}" not in route.path:
        return True
    # A file in a form is no base64.
    return route.parts is not None and error.message == "InvalidImageBytesException"


LEAVE_TRACES = {
    "ServiceQuotaExceededPartialSuccessException",
    "ServiceQuotaExceededException",
    "InternalServerError",
}


@contextmanager
def open_nearly_full(revision):
    """One group of one allowed, with two faces of three allowed."""
    with open_scene(House(group_quota=1, face_quota=3), revision) as scene:
        yield scene, scene.register(CROWD)[0]


@pytest.fixture(scope="module")
def lasting():
    """One server for each revision; what is refused changes nothing there."""
    with ExitStack() as stack:
        yield cache(lambda revision: stack.enter_context(open_nearly_full(revision)))


@pytest.fixture
def nearly_full(route, error, lasting):
    if plain_token(error) not in LEAVE_TRACES:
        yield lasting(route.revision)
        return
    with open_nearly_full(route.revision) as opened:
        yield opened


def test_every_documented_token_has_its_provocation_and_hardly_any_is_out_of_reach():
    unreached = {(str(route), e.message) for route, e in PAIRS if is_out_of_reach(route, e)}

    assert {plain_token(error) for _, error in PAIRS} == set(PROVOCATIONS)
    assert unreached == {
        ("v1.0 POST /compare", "NotFoundGroupError"),
        ("v2.0 POST /faces/compare", "NotFoundGroupError"),
        ("v2.0 POST /faces/compare as a form", "NotFoundGroupError"),
        *((str(route), "InvalidImageBytesException") for route in FORMS),
    }


@pytest.mark.parametrize(
    ("route", "error"), [pair for pair in PAIRS if not is_out_of_reach(*pair)], ids=str
)
def test_every_documented_error_of_every_route_is_answered_as_documented(route, error, nearly_full):
    scene, face_id = nearly_full
    request = plain_request(route, scene, face_id)
    PROVOCATIONS[plain_token(error)](scene, request, error)

    answer = request.send(scene)

    assert told(answer) == (error.code, error.message)
    assert ("data" in answer.json()) is (error.code > 0)
    assert bool(answer.headers.get("X-Error-Detail")) is (error.code < 0)
