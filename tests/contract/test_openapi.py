"""The exported OpenAPI documents say what the guides' tables say, and what the server does."""

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api.openapi.document import SURFACES
from app.conformance.documents import EDITIONS, read_forms, read_routes
from tests.contract.openapi import (
    FORM,
    JSON,
    operation_of,
    operations,
    read_document,
)

ROUTES = [route for revision in EDITIONS for route in read_routes(revision)]
FORMS = [route for revision in EDITIONS for route in read_forms(revision)]
SAME = {"boolean": "bool"}
# What the page beside the tables settles: alpha's face quota has no code of its own.
FACE_QUOTA = (-40000, "ServiceQuotaExceededException")
# Compare names no group, so nobody can ask it for one that does not exist.
NO_GROUP = "NotFoundGroupError"

every_revision = pytest.mark.parametrize("revision", EDITIONS)
every_route = pytest.mark.parametrize("route", ROUTES, ids=str)
every_form = pytest.mark.parametrize("route", FORMS, ids=str)


def types(fields):
    """The types, in one of the tables' two spellings."""
    return {name: SAME.get(field.type, field.type) for name, field in fields.items()}


def required(fields):
    return {name for name, field in fields.items() if field.required}


def outermost(names):
    return {name for name in names if "." not in name}


def bounds(fields):
    """The ranges of parameters; the tables give none for answers."""
    return {name: field.bounds for name, field in fields.items() if field.bounds}


def named(fields):
    return {field.name: field for field in fields}


def expected_codes(route):
    codes = {(error.code, error.message) for error in route.errors}
    if route.is_compare:
        codes = {(code, message) for code, message in codes if message != NO_GROUP}
    if route.revision == "alpha" and (route.method, route.path) == ("POST", "/groups/{groupId}"):
        codes.add(FACE_QUOTA)
    return codes


def has_no_sound_sample(route):
    """Two guides have one sample of a route, and that is broken."""
    return (route.revision, route.method, route.path) in {
        ("alpha", "GET", "/groups/{groupId}/faces/{faceId}"),
        ("v2.0", "POST", "/groups/{groupId}/faces/search"),
    }


def test_there_is_a_document_of_every_revision():
    assert set(SURFACES) == set(EDITIONS)


@every_revision
def test_a_document_is_valid_openapi(revision):
    document = read_document(revision)

    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


@every_revision
def test_a_document_has_every_documented_operation_and_no_other(revision):
    documented = {(r.method, f"{r.prefix}/{{appKey}}{r.path}") for r in read_routes(revision)}

    assert {(method, path) for method, path, _ in operations(revision)} == documented


@every_revision
def test_an_operation_has_a_name_of_its_own(revision):
    names = [operation.told["operationId"] for _, _, operation in operations(revision)]

    assert len(set(names)) == len(names)


@every_route
def test_the_path_has_its_variables(route):
    told = [p for p in operation_of(route).told["parameters"] if p["in"] == "path"]

    variables = re.findall(r"{(\w+)}", f"{{appKey}}{route.path}")
    assert sorted(p["name"] for p in told) == sorted(variables)
    assert all(p["required"] for p in told)


@every_route
def test_the_query_has_the_documented_parameters(route):
    documented = named(route.query)

    told = operation_of(route).query

    assert types(told) == types(documented)
    assert required(told) == required(documented)
    assert bounds(told) == bounds(documented)


@every_route
def test_the_body_has_the_documented_fields(route):
    documented = named(route.body)

    told = operation_of(route).body(JSON)

    # Some tables have a line for the picture itself, some only for what is in it.
    assert types(told) == dict.fromkeys(route.images, "object") | types(documented)
    assert (
        outermost(required(told))
        == outermost(route.required) - set(named(route.query)) - route.can_go_without
    )
    assert bounds(told) == bounds(documented)


@every_form
def test_a_form_has_the_documented_parts(route):
    documented = {
        n: f for n, f in named(route.body).items() if n.partition(".")[0] not in route.images
    }
    files = dict.fromkeys(route.parts.values(), "file")

    told = operation_of(route).body(FORM)

    plain = {name: field for name, field in told.items() if name in documented}
    assert types(plain) == types(documented)
    assert required(plain) == required(documented) - route.can_go_without
    assert bounds(plain) == bounds(documented)
    assert files.items() <= types(told).items()
    assert set(files) <= required(told)


def test_only_what_may_be_a_form_is_told_as_one():
    told = {
        (revision, method, path)
        for revision in EDITIONS
        for method, path, operation in operations(revision)
        if operation.body(FORM)
    }

    assert told == {(r.revision, r.method, f"{r.prefix}/{{appKey}}{r.path}") for r in FORMS}


@every_route
def test_the_answer_has_the_documented_fields_of_the_documented_types(route):
    told = operation_of(route).answer

    outer = {name for name in told if name not in route.settled}
    assert types(told) | types(route.settled) == types(told)
    assert outer == {name for name in outer if any(n.startswith(name) for n in route.settled)}


@every_route
def test_the_answer_always_has_what_is_documented_to_be_there(route):
    told = operation_of(route).answer

    documented = {name for name, field in route.settled.items() if field.required}
    assert {name for name in required(told) if name in route.settled} == documented


@every_route
def test_an_operation_is_refused_with_the_documented_codes(route):
    assert operation_of(route).codes == expected_codes(route)


@every_route
def test_every_code_of_an_operation_has_an_example(route):
    operation = operation_of(route)

    headers = [answer["header"] for answer in operation.examples.values()]

    shown = {(h["resultCode"], h["resultMessage"]) for h in headers if h["resultCode"]}
    assert shown == operation.codes
    assert any(h["resultCode"] == 0 for h in headers) is not has_no_sound_sample(route)


@every_route
def test_every_example_fits_its_own_schema(route):
    operation = operation_of(route)

    for media, content in operation.told.get("requestBody", {"content": {}})["content"].items():
        assert list(operation.holding(content["schema"]).iter_errors(content["example"])) == [], (
            media
        )
    for name, answer in operation.examples.items():
        assert list(operation.validator.iter_errors(answer)) == [], name


@every_revision
def test_who_may_call_is_told(revision):
    document = read_document(revision)

    asks = bool(document["security"])

    assert asks is (revision in {"alpha", "v2.0", "liveness"})
    assert all(
        set(way) <= set(document["components"]["securitySchemes"]) for way in document["security"]
    )
