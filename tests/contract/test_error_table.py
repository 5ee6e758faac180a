"""The one table of codes is complete, exact, and holds nothing the contract does not know."""

import inspect

import pytest

from app.api.codes import INTERNAL, PARTIAL_QUOTA, V1, result_code
from app.domain import errors
from tests.contract.documents import read_routes

DOCUMENTED = {
    number: message for route in read_routes("v1.0") for number, message in route.errors.items()
}
EVERY_ERROR: list[type[errors.FaceError]] = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.FaceError)
]
# Only their children are raised.
FAMILIES = {errors.FaceError, errors.ImageError}


@pytest.mark.parametrize("kind", sorted(set(EVERY_ERROR) - FAMILIES, key=str))
def test_every_error_has_a_documented_code_and_token(kind):
    code = result_code(V1, kind())

    assert DOCUMENTED[code.code] == code.message
    assert (code == INTERNAL) is issubclass(kind, errors.InternalError)


def test_every_documented_code_belongs_to_some_error():
    reachable = {code.code for code in V1.values()} | {PARTIAL_QUOTA.code}

    assert reachable == set(DOCUMENTED)


def test_a_code_has_one_token_and_a_positive_one_is_a_partial_success():
    entries = [*V1.values(), PARTIAL_QUOTA]

    assert len({entry.code for entry in entries}) == len({entry.message for entry in entries})
    assert [entry.code for entry in entries if entry.code > 0] == [40070]


@pytest.mark.parametrize("kind", sorted(EVERY_ERROR, key=str))
def test_every_reason_fits_into_a_header(kind):
    reason = kind().detail

    assert reason
    assert reason.isascii()
    assert reason.isprintable()


def test_an_error_that_nobody_put_into_the_table_is_the_servers_fault():
    class Unforeseen(errors.FaceError):
        """A branch of the tree the table does not know."""

    assert result_code(V1, Unforeseen()) == INTERNAL
