"""The list of documented codes tells what was answered, also where it should not have been."""

from dataclasses import replace

import pytest

from tests.contract.codes import AS_DOCUMENTED, DIFFERS, OUT_OF_REACH, outcome
from tests.contract.provocations import FORMS, PAIRS

ROUTE, ERROR = next(pair for pair in PAIRS if pair[0].revision == "v1.0")


def test_a_code_answered_as_documented_is_listed_so():
    assert outcome(ROUTE, ERROR) == (AS_DOCUMENTED, "")


@pytest.mark.parametrize("changed", [{"code": -40001}, {"message": "InvalidGroupID"}])
def test_another_code_or_token_is_told_with_what_was_answered(changed):
    documented = replace(ERROR, **changed)

    verdict, remark = outcome(ROUTE, documented)

    assert verdict == DIFFERS
    assert remark.startswith("answered -400")


def test_what_nobody_can_provoke_comes_with_its_reason():
    base64 = next(e for e in FORMS[0].errors if e.message == "InvalidImageBytesException")

    assert outcome(FORMS[0], base64) == (OUT_OF_REACH, "a file in a form is no base64")
