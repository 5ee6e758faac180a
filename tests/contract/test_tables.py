"""The documented tables of every revision, held against the server: nothing missing, nothing more.

Where a body may also be a form, everything is asked once in JSON and once as a form.
"""

from contextlib import ExitStack
from functools import cache

import pytest

from app.conformance.documents import EDITIONS, SUCCESS, TYPES, read_routes, walk
from tests.api.scenes import code, open_scene, told
from tests.contract.documents import EXTERNAL_ID, fill, plain_request
from tests.contract.openapi import operation_of
from tests.contract.provocations import (
    EVERY_ROUTE,
    FORMS,
    LEAVE_TRACES,
    PAIRS,
    PROVOCATIONS,
    open_nearly_full,
    out_of_reach,
    provoke,
)

FLAGS = ("orientation", "mask")

every_route = pytest.mark.parametrize("route", EVERY_ROUTE, ids=str)


def knows_flags(route):
    return any(field.name in FLAGS for field in route.body)


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
    if any(field.name == "spoofing" for field in route.body):
        request.body["spoofing"] = True
    return request


def test_the_tables_name_these_routes():
    counts = {edition: len(read_routes(edition)) for edition in EDITIONS}

    assert counts == {"alpha": 11, "2021": 11, "v1.0": 13, "v2.0": 13, "liveness": 1}
    assert [route.path for route in FORMS] == [
        "/faces/detect",
        "/groups/{groupId}/faces",
        "/groups/{groupId}/faces/search",
        "/faces/compare",
        "/groups/{groupId}/faces/{faceId}/verify",
        "/spoofing/faces",
        "/spoofing",
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

    documented = route.settled
    seen = {path for path, _ in walk(content["data"], "data")} if "data" in content else set()
    assert set(content) == {"header", "data"} if documented else {"header"}
    assert set(documented) <= seen
    assert seen <= with_parents(documented)


@every_route
def test_every_field_has_its_documented_type(route, answered):
    content = answered(route).json()

    documented = route.settled
    for path, value in walk(content.get("data"), "data"):
        if path in documented:
            assert type(value) in TYPES[documented[path].type], path


@every_route
def test_the_answer_fits_the_exported_document(route, answered):
    validator = operation_of(route).validator

    assert [str(error) for error in validator.iter_errors(answered(route).json())] == []


@every_route
def test_fields_that_are_not_required_are_the_only_ones_left_out(route, filled):
    scene, face_id = filled
    request = plain_request(route, scene, face_id)
    request.body.update(dict.fromkeys(FLAGS, False) if route.images else {})

    content = request.send(scene).json()

    required = {name for name, field in route.settled.items() if field.required}
    assert required <= {path for path, _ in walk(content.get("data"), "data")}


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("route", [r for r in EVERY_ROUTE if knows_flags(r)], ids=str)
def test_a_flag_set_to_false_leaves_its_field_out_and_only_its_own(route, flag, filled):
    scene, face_id = filled
    request = full_request(route, scene, face_id)
    request.body[flag] = False

    content = request.send(scene).json()

    documented = {name for name in route.settled if flag not in name.split(".")}
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

    assert set(route.settled) <= {path for path, _ in walk(content["data"], "data")}


@pytest.mark.parametrize(
    ("route", "name"),
    [(r, name) for r in EVERY_ROUTE for name in r.required if name not in r.can_go_without],
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


@pytest.fixture(scope="module")
def lasting():
    """One server for each revision; what is refused changes nothing there."""
    with ExitStack() as stack:
        yield cache(lambda revision: stack.enter_context(open_nearly_full(revision)))


@pytest.fixture
def nearly_full(route, error, lasting):
    if error.token not in LEAVE_TRACES:
        yield lasting(route.revision)
        return
    with open_nearly_full(route.revision) as opened:
        yield opened


def test_every_documented_token_has_its_provocation_and_hardly_any_is_out_of_reach():
    unreached = {(str(route), e.message) for route, e in PAIRS if out_of_reach(route, e)}

    assert {error.token for _, error in PAIRS} == set(PROVOCATIONS)
    assert unreached == {
        ("v1.0 POST /compare", "NotFoundGroupError"),
        ("v2.0 POST /faces/compare", "NotFoundGroupError"),
        ("v2.0 POST /faces/compare as a form", "NotFoundGroupError"),
        *((str(route), e.message) for route in FORMS for e in route.errors if e.code == -45030),
    }


@pytest.mark.parametrize(
    ("route", "error"), [pair for pair in PAIRS if not out_of_reach(*pair)], ids=str
)
def test_every_documented_error_of_every_route_is_answered_as_documented(route, error, nearly_full):
    scene, face_id = nearly_full

    answer = provoke(route, error, scene, face_id)

    assert told(answer) == (error.code, error.message)
    assert ("data" in answer.json()) is (error.code > 0)
    assert bool(answer.headers.get("X-Error-Detail")) is (error.code < 0)
    assert operation_of(route).validator.is_valid(answer.json())
