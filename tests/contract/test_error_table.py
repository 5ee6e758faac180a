"""The tables of codes are complete, exact, and hold nothing the contract does not know."""

import inspect

import pytest

from app.api.codes import (
    ALPHA,
    INTERNAL,
    LIVENESS,
    PARTIAL_QUOTA,
    SPOOFING,
    SPOOFING_V2,
    V1,
    V1_2021,
    V2,
    result_code,
)
from app.api.revisions import REVISIONS as EDITIONS
from app.api.revisions import V2 as V2_EDITION
from app.conformance.documents import REVISIONS, read_routes
from app.domain import errors

TABLES = {"alpha": ALPHA, "2021": V1_2021, "v1.0": V1, "v2.0": V2}
# What the page beside the tables settles: alpha's face quota has no code of its own.
SETTLED = {"alpha": {(-40000, "ServiceQuotaExceededException")}}
EVERY_ERROR: list[type[errors.FaceError]] = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.FaceError)
]
# Only their children are raised.
FAMILIES = {errors.FaceError, errors.ImageError}
# Met by the spoofing route alone, which has a table of its own.
OF_SPOOFING = {errors.InvalidImageSize}

every_revision = pytest.mark.parametrize("revision", REVISIONS)


def documented(revision, *, spoofing=False):
    """Every code with its plain token; compare of the older revisions wraps the tokens."""
    printed = {
        (error.code, error.token)
        for route in read_routes(revision)
        if ("/spoofing" in route.path) is spoofing
        for error in route.errors
    }
    return printed | SETTLED.get(revision, set())


def test_each_revision_answers_from_its_own_table():
    assert {name: edition.codes for name, edition in EDITIONS.items()} == {
        name: TABLES[name] for name in ("alpha", "2021", "v1.0")
    }
    assert V2_EDITION.codes is V2


@every_revision
@pytest.mark.parametrize("kind", sorted(set(EVERY_ERROR) - FAMILIES - OF_SPOOFING, key=str))
def test_every_error_has_a_documented_code_and_token(kind, revision):
    code = result_code(TABLES[revision], kind())

    assert (code.code, code.message) in documented(revision)
    assert (code == INTERNAL) is issubclass(kind, errors.InternalError)


@every_revision
def test_every_documented_code_belongs_to_some_error(revision):
    reachable = {(code.code, code.message) for code in TABLES[revision].values()}
    if EDITIONS.get(revision, V2_EDITION).partial == PARTIAL_QUOTA:
        reachable.add((PARTIAL_QUOTA.code, PARTIAL_QUOTA.message))

    assert reachable == documented(revision)


@pytest.mark.parametrize(
    ("revision", "table"), [("v1.0", SPOOFING), ("v2.0", SPOOFING_V2), ("liveness", LIVENESS)]
)
def test_the_spoofing_route_tells_the_errors_of_pictures_in_its_own_tokens(revision, table):
    pictures = [kind for kind in EVERY_ERROR if issubclass(kind, errors.ImageError)]
    known = {*pictures, errors.InvalidParameter, errors.Unauthorized, errors.InternalError}
    if revision == "liveness":
        known -= OF_SPOOFING
    told = (result_code(table, kind()) for kind in known - FAMILIES)

    assert {(code.code, code.message) for code in told} == documented(revision, spoofing=True)


@every_revision
def test_a_token_has_one_code(revision):
    entries = {(code.code, code.message) for code in TABLES[revision].values()}

    assert len({message for _, message in entries}) == len(entries)


@pytest.mark.parametrize("revision", ["2021", "v1.0", "v2.0"])
def test_but_in_alpha_a_code_has_one_token_too(revision):
    entries = {*TABLES[revision].values(), PARTIAL_QUOTA}

    assert len({entry.code for entry in entries}) == len(entries)
    assert [entry.code for entry in entries if entry.code > 0] == [40070]


def test_alpha_tells_errors_apart_by_their_token_alone():
    assert {code.code for code in ALPHA.values()} == {-40000, -41000, -45000, -50000}
    assert {kind: code.message for kind, code in ALPHA.items()} == {
        kind: code.message for kind, code in V1_2021.items()
    }


def test_whatever_is_no_readable_picture_had_the_wrong_format_in_2021():
    changed = {kind: code for kind, code in V1_2021.items() if code != V1[kind]}

    assert changed == dict.fromkeys(
        (errors.InvalidImageBytes, errors.InvalidImageFile), V1[errors.InvalidImageFormat]
    )


def test_the_second_version_differs_in_who_may_call():
    changed = {kind: code for kind, code in V2.items() if code != V1[kind]}

    assert [(kind, code.code, code.message) for kind, code in changed.items()] == [
        (errors.Unauthorized, -41005, "UnauthorizedAppKeyOrSecretKey")
    ]


@pytest.mark.parametrize("kind", sorted(EVERY_ERROR, key=str))
def test_every_reason_fits_into_a_header(kind):
    reason = kind().detail

    assert reason
    assert reason.isascii()
    assert reason.isprintable()


@every_revision
def test_an_error_that_nobody_put_into_the_table_is_the_servers_fault(revision):
    class Unforeseen(errors.FaceError):
        """A branch of the tree the table does not know."""

    assert result_code(TABLES[revision], Unforeseen()) == INTERNAL
