"""The documented tables of v1.0, held against the server: nothing missing, nothing more."""

from dataclasses import replace

import pytest

from app.domain import errors
from tests.api.scenes import CROWD, SOLO, code, open_scene
from tests.contract.documents import (
    EXTERNAL_ID,
    Field,
    fill,
    plain_request,
    read_routes,
    walk,
)
from tests.fakes import House

ROUTES = read_routes("v1.0")
SUCCESS = {"isSuccessful": True, "resultCode": 0, "resultMessage": "Success"}
TYPES = {
    "int": (int,),
    "float": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
FLAGS = ("orientation", "mask")

COMPARE = next(route for route in ROUTES if route.path == "/compare")
SEARCH = next(route for route in ROUTES if route.path.endswith("/search"))
# Compare names no group, so nobody can ask it for one that does not exist.
UNREACHABLE = {(COMPARE, -40030)}

every_route = pytest.mark.parametrize("route", ROUTES, ids=str)


def settled_response(route):
    """The route's fields with what point 19 of the contract settles in place of the table."""
    fields = list(route.response)
    if route == SEARCH:
        fields.append(Field("data.modelVersion", "string", True, None, ""))
    if route == COMPARE:
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
def filled():
    with open_scene() as scene:
        yield scene, fill(scene)


def full_request(route, scene, face_id):
    request = plain_request(route, scene, face_id)
    if any(field.name == "externalImageId" for field in route.body):
        request.body["externalImageId"] = EXTERNAL_ID
    return request


def test_the_tables_name_twelve_routes():
    assert len(ROUTES) == 12


@every_route
def test_a_documented_request_succeeds_with_the_exact_header(route, filled):
    answer = full_request(route, *filled).send(filled[0])

    assert answer.status_code == 200
    assert answer.json()["header"] == SUCCESS
    assert "X-Error-Detail" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"


@every_route
def test_the_answer_has_every_documented_field_and_no_other(route, filled):
    content = full_request(route, *filled).send(filled[0]).json()

    documented = settled_response(route)
    seen = {path for path, _ in walk(content["data"], "data")} if "data" in content else set()
    assert set(content) == {"header", "data"} if documented else {"header"}
    assert set(documented) <= seen
    assert seen <= with_parents(documented)


@every_route
def test_every_field_has_its_documented_type(route, filled):
    content = full_request(route, *filled).send(filled[0]).json()

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
@pytest.mark.parametrize("route", [r for r in ROUTES if r.images], ids=str)
def test_a_flag_set_to_false_leaves_its_field_out_and_only_its_own(route, flag, filled):
    scene, face_id = filled
    request = full_request(route, scene, face_id)
    request.body[flag] = False

    content = request.send(scene).json()

    documented = {name for name in settled_response(route) if flag not in name.split(".")}
    seen = {path for path, _ in walk(content["data"], "data")}
    assert documented <= seen
    assert not any(flag in path.split(".") for path in seen)


@pytest.mark.parametrize(
    ("route", "name"),
    [(r, f.name) for r in ROUTES for f in (*r.query, *r.body) if f.required and "." not in f.name],
    ids=str,
)
def test_a_required_parameter_that_is_missing_is_refused(route, name, filled):
    request = plain_request(route, *filled)
    (request.query if name in request.query else request.body).pop(name)

    assert code(request.send(filled[0])) == -40000


@pytest.mark.parametrize(
    ("route", "field"),
    [(r, f) for r in ROUTES for f in (*r.query, *r.body) if f.bounds],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_the_documented_range_is_accepted_to_its_ends_and_no_further(route, field, filled):
    scene, face_id = filled
    low, high = field.bounds

    def ask(value):
        request = plain_request(route, scene, face_id)
        (request.query if field.name in request.query else request.body)[field.name] = value
        return code(request.send(scene))

    assert [ask(value) for value in (low - 1, low, high, high + 1)] == [-40000, 0, 0, -40000]


# --- Every documented error, provoked


def _unauthorized(scene, route, request):
    request.key = "unknown"


def _break_a_parameter(scene, route, request):
    if route.images:
        request.body.pop(route.images[0])
    elif request.query:
        request.query.clear()
    elif "{groupId}" in route.path:
        request.path = request.path.replace("/staff", "/Staff")
    else:
        request.body.clear()


def _malform_the_group_id(scene, route, request):
    request.body["groupId"] = "My_Group"


def _repeat_the_group_id(scene, route, request):
    request.body["groupId"] = "staff"


def _ask_for_an_absent_group(scene, route, request):
    request.path = request.path.replace("/staff", "/absent")


def _forge_a_token(scene, route, request):
    request.query["next-token"] = "forged"


def _ask_for_an_absent_face(scene, route, request):
    request.path = request.path.rpartition("/")[0] + "/9297db50-d4f2-c6b8-ea05-edf2013089fd"


def _exceed_the_quota(scene, route, request):
    if route.images:
        scene.register(SOLO)


def _nearly_exceed_the_quota(scene, route, request):
    request.body["image"] = {"bytes": CROWD}


def _break_the_server(scene, route, request):
    scene.house.database.down = True
    scene.house.vision.broken = errors.Overloaded()


def _spoil_the_image(error):
    def provoke(scene, route, request):
        request.body[route.images[0]] = {"bytes": scene.house.spoil("c3BvaWxlZA==", error)}

    return provoke


# By code alone: a code means the same on every route.
PROVOCATIONS = {
    40070: _nearly_exceed_the_quota,
    -40000: _break_a_parameter,
    -40010: _malform_the_group_id,
    -40020: _repeat_the_group_id,
    -40030: _ask_for_an_absent_group,
    -40040: _forge_a_token,
    -40050: _ask_for_an_absent_face,
    -40070: _exceed_the_quota,
    -41000: _unauthorized,
    -45020: _spoil_the_image(errors.ImageTooLarge()),
    -45030: _spoil_the_image(errors.InvalidImageBytes()),
    -45040: _spoil_the_image(errors.InvalidImageFormat()),
    -45050: _spoil_the_image(errors.InvalidImageUrl()),
    -45060: _spoil_the_image(errors.ImageTimeout()),
    -45080: _spoil_the_image(errors.InvalidImageFile()),
    -50000: _break_the_server,
}
PAIRS = [(route, number) for route in ROUTES for number in route.errors]


@pytest.fixture
def nearly_full():
    """One group of one allowed, with two faces of three allowed."""
    with open_scene(House(group_quota=1, face_quota=3)) as scene:
        yield scene, scene.register(CROWD)[0]


def test_the_group_error_of_compare_is_the_only_one_nobody_can_provoke():
    assert set(PROVOCATIONS) == {number for _, number in PAIRS}
    assert "{groupId}" not in COMPARE.path
    assert {(r, n) for r, n in PAIRS if n == -40030 and "{groupId}" not in r.path} == UNREACHABLE


@pytest.mark.parametrize(
    ("route", "number"), [pair for pair in PAIRS if pair not in UNREACHABLE], ids=str
)
def test_every_documented_error_of_every_route_is_answered_as_documented(
    route, number, nearly_full
):
    scene, face_id = nearly_full
    request = plain_request(route, scene, face_id)
    PROVOCATIONS[number](scene, route, request)

    answer = request.send(scene)

    assert answer.status_code == 200
    assert answer.json()["header"] == {
        "isSuccessful": number > 0,
        "resultCode": number,
        "resultMessage": route.errors[number],
    }
    assert ("data" in answer.json()) is (number > 0)
    assert bool(answer.headers.get("X-Error-Detail")) is (number < 0)
