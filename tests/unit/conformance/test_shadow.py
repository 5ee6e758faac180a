"""Two servers are told apart by shape and code, not by what they found."""

import pytest

from app.conformance.http import Answer
from app.conformance.shadow import Difference, differences

JSON = "application/json"
HEADER = {"isSuccessful": True, "resultCode": 0, "resultMessage": "Success"}


def answer(header=HEADER, **data):
    return Answer(200, JSON, {"header": header, "data": data} if data else {"header": header})


def test_other_values_of_the_same_shape_make_no_difference():
    first = answer(modelVersion="v1.0", faces=[{"id": "a", "similarity": 99}])
    second = answer(modelVersion="starter", faces=[{"id": "b", "similarity": 98.5}] * 2)

    assert differences(first, second) == []


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (answer(faces=[{"id": "a", "mask": True}]), ("data.faces[].mask", "absent", "boolean")),
        (answer(faces=[{"id": None}]), ("data.faces[].id", "string", "null")),
        (answer(faces=[{}]), ("data.faces[].id", "string", "absent")),
        (answer(faces=[]), ("data.faces[]", "object", "absent")),
        (answer(), ("data", "object", "absent")),
        (
            answer({**HEADER, "resultMessage": "SUCCESS"}, faces=[{"id": "a"}]),
            ("header.resultMessage", '"Success"', '"SUCCESS"'),
        ),
        (Answer(200, JSON, problem="not JSON"), ("body", "JSON", "not JSON")),
        (
            Answer(500, JSON, answer(faces=[{"id": "a"}]).body),
            ("HTTP status", "200", "500"),
        ),
    ],
)
def test_another_shape_or_code_does(second, told):
    first = answer(faces=[{"id": "a"}])

    assert differences(first, second) == [Difference(*told)]


def test_what_one_element_of_a_list_lacks_counts_as_well():
    first = answer(faces=[{"id": "a"}, {"id": None}])

    assert differences(first, answer(faces=[{"id": "a"}])) == [
        Difference("data.faces[].id", "null or string", "string")
    ]
