"""A real server in a network where every address answers: it goes nowhere it may not."""

import pytest

from benchmarks.hostile.addresses import Unsupported, run

OPERATIONS = {"detect", "register", "search", "compare source", "compare target", "verify"}


def attacked(*arguments):
    try:
        return run(*arguments)
    except Unsupported as reason:
        pytest.skip(str(reason))


def test_no_operation_with_a_picture_connects_where_it_may_not():
    report = attacked("--every=24")

    assert report["failures"] == []
    assert set(report["codes"]) == OPERATIONS


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_no_spelling_of_an_address_leads_inside():
    report = attacked()

    assert report["failures"] == []
    assert {tuple(codes) for codes in report["codes"].values()} == {("-45050",)}
