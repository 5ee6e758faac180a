"""An answer held against its documentation: each way it can be wrong has its own verdict."""

import pytest

from app.conformance.documents import Field
from app.conformance.fields import Expected, Verdict, judged, shown
from app.conformance.http import Answer

JSON = "application/json;charset=UTF-8"
HEADER = {"isSuccessful": True, "resultCode": 0, "resultMessage": "Success"}


def documented(**types):
    return {
        name.replace("__", "[].").replace("_", "."): Field(
            name.replace("__", "[].").replace("_", "."),
            kind,
            required=True,
            bounds=None,
            example="",
        )
        for name, kind in types.items()
    }


FACES = documented(
    data_faceCount="int", data_faces__faceId="string", data_faces__confidence="float"
)
FACE = {"faceId": "a", "confidence": 99.5}
LIST = {"header": HEADER, "data": {"faceCount": 1, "faces": [FACE]}}


def verdicts(body, expected=None, **answer):
    expected = expected or Expected(0, "Success", FACES)
    rows = judged(Answer(200, JSON, body, **answer), expected)
    return {row.field: row.verdict for row in rows if row.verdict != Verdict.AS_DOCUMENTED}


def with_face(**changed):
    return {"header": HEADER, "data": {"faceCount": 1, "faces": [{**FACE, **changed}]}}


def test_what_is_as_documented_is_told_field_by_field():
    rows = judged(Answer(200, JSON, LIST), Expected(0, "Success", FACES))

    assert {row.verdict for row in rows} == {Verdict.AS_DOCUMENTED}
    assert [row.field for row in rows] == [
        "HTTP status",
        "Content-Type",
        "header.isSuccessful",
        "header.resultCode",
        "header.resultMessage",
        "data",
        "data.faceCount",
        "data.faces",
        "data.faces[].faceId",
        "data.faces[].confidence",
    ]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (with_face(faceId=None), {"data.faces[].faceId": Verdict.DIFFERS}),
        (with_face(faceId=7), {"data.faces[].faceId": Verdict.DIFFERS}),
        (with_face(faceId=""), {"data.faces[].faceId": Verdict.DIFFERS}),
        (with_face(confidence="99"), {"data.faces[].confidence": Verdict.DIFFERS}),
        (with_face(confidence=True), {"data.faces[].confidence": Verdict.DIFFERS}),
        (with_face(confidence=100.1), {"data.faces[].confidence": Verdict.DIFFERS}),
        (with_face(confidence=-1), {"data.faces[].confidence": Verdict.DIFFERS}),
        (with_face(vector=[1, 2]), {"data.faces[].vector": Verdict.UNEXPECTED}),
        (with_face(deep={"a": {"b": 1}}), {"data.faces[].deep": Verdict.UNEXPECTED}),
    ],
)
def test_a_field_of_the_wrong_type_or_range_or_nobody_knows(body, wrong):
    assert verdicts(body) == wrong


def test_a_field_that_one_of_several_faces_lacks_is_missing():
    body = {"header": HEADER, "data": {"faceCount": 2, "faces": [FACE, {"faceId": "b"}]}}

    rows = judged(Answer(200, JSON, body), Expected(0, "Success", FACES))

    [missing] = [row for row in rows if row.verdict == Verdict.MISSING]
    assert (missing.field, missing.found) == ("data.faces[].confidence", "absent in 1 of 2")


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({"faceCount": 2, "faces": [FACE]}, {"data.faceCount": Verdict.DIFFERS}),
        ({"faceCount": 1.0, "faces": [FACE]}, {"data.faceCount": Verdict.DIFFERS}),
        (
            {"faceCount": 0, "faces": []},
            {
                "data.faces[].faceId": Verdict.MISSING,
                "data.faces[].confidence": Verdict.MISSING,
            },
        ),
        (
            {"faceCount": 1, "faces": FACE},
            {
                "data.faces": Verdict.DIFFERS,
                "data.faces[].faceId": Verdict.MISSING,
                "data.faces[].confidence": Verdict.MISSING,
                "data.faces.faceId": Verdict.UNEXPECTED,
                "data.faces.confidence": Verdict.UNEXPECTED,
            },
        ),
        (
            {"faceCount": 1, "faces": [FACE, 7]},
            {
                "data.faceCount": Verdict.DIFFERS,
                "data.faces[].faceId": Verdict.MISSING,
                "data.faces[].confidence": Verdict.MISSING,
            },
        ),
    ],
)
def test_a_list_is_counted_and_looked_into(data, wrong):
    assert verdicts({"header": HEADER, "data": data}) == wrong


def test_a_list_may_be_empty_where_the_picture_shows_nobody():
    expected = Expected(0, "Success", FACES, empty=True)

    assert verdicts({"header": HEADER, "data": {"faceCount": 0, "faces": []}}, expected) == {}
    assert set(verdicts({"header": HEADER, "data": {"faceCount": 0}}, expected)) == {
        "data.faces",
        "data.faces[].faceId",
        "data.faces[].confidence",
    }


def test_no_data_at_all_is_missing_with_everything_in_it():
    assert set(verdicts({"header": HEADER})) == {
        "data",
        "data.faceCount",
        "data.faces",
        "data.faces[].faceId",
        "data.faces[].confidence",
    }


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ({**HEADER, "resultCode": -40000}, {"header.resultCode": Verdict.DIFFERS}),
        ({**HEADER, "resultCode": "0"}, {"header.resultCode": Verdict.DIFFERS}),
        ({**HEADER, "resultCode": False}, {"header.resultCode": Verdict.DIFFERS}),
        ({**HEADER, "isSuccessful": 1}, {"header.isSuccessful": Verdict.DIFFERS}),
        ({**HEADER, "resultMessage": "SUCCESS"}, {"header.resultMessage": Verdict.DIFFERS}),
        ({**HEADER, "traceId": "x"}, {"header.traceId": Verdict.UNEXPECTED}),
        ({"resultCode": 0, "isSuccessful": True}, {"header.resultMessage": Verdict.MISSING}),
        ([], {"header": Verdict.DIFFERS}),
    ],
)
def test_the_header_is_exact(header, wrong):
    assert verdicts({**LIST, "header": header}) == wrong


def test_a_refusal_carries_no_data():
    refusal = {"isSuccessful": False, "resultCode": -40000, "resultMessage": "InvalidParam"}

    assert verdicts({"header": refusal}, Expected(-40000, "InvalidParam")) == {}
    assert verdicts({"header": refusal, "data": None}, Expected(-40000, "InvalidParam")) == {
        "data": Verdict.UNEXPECTED
    }


def test_nothing_stands_beside_header_and_data():
    assert verdicts({**LIST, "time": 1}) == {"time": Verdict.UNEXPECTED}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, "text/html", problem="not JSON"),
        Answer(problem="no answer within 30 s"),
        Answer(200, JSON, [1]),
        Answer(200, JSON, None),
    ],
)
def test_what_is_no_answer_of_the_contract_differs(answer):
    rows = judged(answer, Expected(0, "Success", FACES))

    assert rows[-1].field == "body"
    assert rows[-1].verdict == Verdict.DIFFERS


def test_a_status_or_type_that_is_not_documented_differs():
    rows = judged(Answer(400, "text/plain", LIST), Expected(0, "Success", FACES))

    assert [row.field for row in rows if row.verdict == Verdict.DIFFERS] == [
        "HTTP status",
        "Content-Type",
    ]


POINTS = [
    {"type": kind, "x": 0.5, "y": 0.5}
    for kind in ("leftEye", "rightEye", "nose", "leftLip", "rightLip")
]
BOX = {"x0": 0.1, "y0": 0.1, "x1": 0.2, "y1": 0.2}
DETAIL = {
    "bbox": BOX,
    "landmarks": POINTS,
    "orientation": {"x": -4.0, "y": 1.0, "z": 170.0},
}
DETAILS = documented(
    data_bbox="object",
    data_bbox_x0="float",
    data_bbox_x1="float",
    data_bbox_y0="float",
    data_bbox_y1="float",
    data_landmarks="array",
    data_landmarks__type="string",
    data_landmarks__x="float",
    data_landmarks__y="float",
    data_orientation_x="float",
    data_orientation_y="float",
    data_orientation_z="float",
)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, {}),
        ({"bbox": {**BOX, "x1": 1.2}}, {"data.bbox.x1"}),
        ({"bbox": {**BOX, "x1": 0.05}}, {"data.bbox"}),
        ({"bbox": {**BOX, "y0": 0.9}}, {"data.bbox"}),
        ({"bbox": {**BOX, "y0": None}}, {"data.bbox.y0"}),
        ({"landmarks": POINTS[:4]}, {"data.landmarks"}),
        ({"landmarks": [*POINTS[:4], POINTS[0]]}, {"data.landmarks"}),
        ({"landmarks": [*POINTS[:4], {**POINTS[4], "x": 1.5}]}, {"data.landmarks[].x"}),
        ({"orientation": {"x": -4.0, "y": 1.0, "z": 181.0}}, {"data.orientation.z"}),
    ],
)
def test_places_in_a_picture_are_where_they_can_be(changed, wrong):
    body = {"header": HEADER, "data": {**DETAIL, **changed}}

    assert set(verdicts(body, Expected(0, "Success", DETAILS))) == set(wrong)


def boxed(side):
    return {"bbox": {"x0": 0.0, "y0": 0.0, "x1": side, "y1": side}}


@pytest.mark.parametrize(
    ("name", "elements", "right"),
    [
        ("matchFaces", [{"similarity": 99}, {"similarity": 98.5}, {"similarity": 98.5}], True),
        ("matchFaces", [{"similarity": 98}, {"similarity": 99}], False),
        ("unmatchedFaceDetails", [{"similarity": 1}, {"similarity": 2}], False),
        ("matchFaces", [{"similarity": None}, {"similarity": 99}], True),
        ("faceDetails", [boxed(0.5), boxed(0.5), boxed(0.1)], True),
        ("faceDetails", [boxed(0.1), boxed(0.5)], False),
        ("addedFaceDetails", [boxed(0.1), boxed(0.5)], False),
        ("faceDetails", [{"bbox": None}, boxed(0.5)], True),
    ],
)
def test_the_most_alike_and_the_largest_come_first(name, elements, right):
    fields = {f"data.{name}": Field(f"data.{name}", "array", True, None, "")}
    body = {"header": HEADER, "data": {name: elements}}

    [row] = [
        r
        for r in judged(Answer(200, JSON, body), Expected(0, "Success", fields))
        if r.field == f"data.{name}"
    ]

    assert (row.verdict == Verdict.AS_DOCUMENTED) is right


def test_long_values_are_told_by_their_length():
    assert shown("x" * 4_000_000) == "a string of 4000000 characters"
    assert shown([1, 2]) == "an array of 2"
    assert shown({"a": 1}) == "an object"
    assert shown("-40000") == '"-40000"'
