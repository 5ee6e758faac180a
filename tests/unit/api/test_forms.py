"""Forms taken apart: what becomes of each part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.forms import MAX_PARTS, MAX_TEXT, is_form, parse_form
from app.api.schemas import (
    CompareInBody,
    Detect,
    ImageField,
    Register,
    SearchWithin,
    Verify,
    check,
)
from app.domain.errors import InvalidParameter
from app.domain.values import ImageUrl, UploadedImage
from tests.api.parts import BOUNDARY, Form, file, form, text

PICTURE = file("imageFile", b"\x89PNG\r\n\x1a\n\0 raw bytes \r\n--not the boundary")
HEADER = f"multipart/form-data; boundary={BOUNDARY}"


def read(schema, *parts):
    body = form(*parts)
    return parse_form(body.content, body.content_type, schema)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/form-data; boundary=x", True),
        ("multipart/form-data", True),
        (" Multipart/FORM-data ;boundary=x", True),
        ("multipart/form-data-x", False),
        ("multipart/mixed; boundary=x", False),
        ("application/json", False),
        ("application/json; x=multipart/form-data", False),
        ("", False),
    ],
)
def test_a_form_says_so_in_its_content_type(content_type, expected):
    assert is_form(content_type) is expected


def test_a_file_keeps_every_byte():
    fields = read(Detect, PICTURE)

    image = fields["image"]
    assert isinstance(image, ImageField)
    assert image.reference() == UploadedImage(PICTURE.content)
    assert check(fields, Detect).image.reference() == UploadedImage(PICTURE.content)


def test_an_empty_file_is_a_file():
    assert read(Detect, file("imageFile", b""))["image"].reference() == UploadedImage(b"")


def test_an_address_is_a_picture_too():
    fields = read(Detect, text("imageUrl", "https://a/가"))

    assert fields["image"].reference() == ImageUrl("https://a/가")


def test_a_file_without_a_name_of_its_own_is_a_file_all_the_same():
    assert read(Detect, text("imageFile", "x"))["image"].reference() == UploadedImage(b"x")


@pytest.mark.parametrize(
    ("schema", "part", "field"),
    [
        (Register, "imageFile", "image"),
        (SearchWithin, "imageFile", "image"),
        (Verify, "imageFile", "compareImage"),
        (Verify, "compareImageFile", "compareImage"),
        (CompareInBody, "sourceImageFile", "sourceImage"),
        (CompareInBody, "sourceImage", "sourceImage"),
        (CompareInBody, "targetImageFile", "targetImage"),
        (CompareInBody, "targetImage", "targetImage"),
    ],
)
def test_the_schema_says_which_part_is_which_picture(schema, part, field):
    fields = read(schema, file(part, b"x"))

    assert list(fields) == [field]
    assert fields[field].reference() == UploadedImage(b"x")


def test_numbers_and_flags_are_read_where_the_schema_has_them():
    parts = [text("limit", "12"), text("externalImageId", "12"), text("mask", "true")]

    fields = read(Register, *parts)

    assert fields == {
        "limit": 12,
        "externalImageId": "12",
        "mask": True,
    }


@pytest.mark.parametrize(
    "parts",
    [
        (text("limit", "12"),),
        (text("other", "a"), text("other", "a")),
        (file("other", b"\xff"),),
        (text("other", "x" * (MAX_TEXT + 1)),),
        (file("compareImageFile", b"x"),),
    ],
)
def test_parts_detect_does_not_know_are_ignored_whatever_they_hold(parts):
    assert read(Detect, *parts) == {}


@pytest.mark.parametrize("value", ["+3", "-3", "1.5", " 3", "\uff13", "³", "abc", "", "3 "])
def test_what_is_no_plain_number_stays_a_text_and_is_refused_later(value):
    fields = read(Register, PICTURE, text("limit", value))

    assert fields["limit"] == value
    with pytest.raises(InvalidParameter, match="limit must be a whole number"):
        check(fields, Register)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("TRUE", True), ("False", False), ("yes", "yes"), ("1", "1"), ("", "")],
)
def test_a_flag_is_one_of_two_words(value, expected):
    assert read(Detect, text("orientation", value)) == {"orientation": expected}


def test_a_text_may_be_so_long_and_no_longer():
    assert read(Detect, text("imageUrl", "x" * MAX_TEXT))
    with pytest.raises(InvalidParameter, match="too long"):
        read(Detect, text("imageUrl", "x" * (MAX_TEXT + 1)))


def test_a_file_may_be_longer_than_a_text():
    fields = read(Detect, file("imageFile", b"x" * 100_000))

    assert len(fields["image"].reference().data) == 100_000


def test_so_many_parts_and_no_more():
    parts = [text(f"part{number}", "x") for number in range(MAX_PARTS + 1)]

    assert read(Detect, *parts[:MAX_PARTS]) == {}
    with pytest.raises(InvalidParameter):
        read(Detect, *parts)


@pytest.mark.parametrize(
    "parts",
    [
        (PICTURE, PICTURE),
        (text("mask", "true"), text("mask", "true")),
        (PICTURE, text("imageUrl", "https://a/")),
        (file("imageUrl", b"\xff"),),
        (file("mask", b"\xff"),),
    ],
)
def test_what_is_given_twice_or_cannot_be_read_is_refused(parts):
    with pytest.raises(InvalidParameter):
        read(Detect, *parts)


def test_a_reason_repeats_nothing_of_the_form():
    with pytest.raises(InvalidParameter) as caught:
        read(Detect, text("mask", "hidden"), text("mask", "hidden"))

    assert "hidden" not in caught.value.detail
    assert "hidden" not in caught.value.detail


@given(cut=st.integers(0, 10_000))
def test_a_form_cut_short_is_refused_wherever_it_is_cut(cut):
    whole = form(PICTURE, text("limit", 3))
    # Without the line break behind the last boundary it is whole.
    end = len(whole.content) - 2
    body = Form(whole.content[: cut % end], whole.content_type)

    with pytest.raises(InvalidParameter):
        parse_form(body.content, body.content_type, Register)


@given(
    raw=st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from(
                [
                    f"--{BOUNDARY}".encode(),
                    b"--",
                    b"\r\n",
                    b"\n",
                    b"Content-Disposition: form-data",
                    b'; name="imageFile"',
                    b'; filename="a.png"',
                    b'; name="limit"',
                    b"Content-Length: 3",
                    b"Content-Length: x",
                    b"Content-Type: text/plain; charset=nonsense",
                    b"\xff",
                    b"3",
                ]
            ),
            max_size=20,
        ).map(b"".join),
    ),
    content_type=st.one_of(
        st.just(HEADER), st.text(max_size=30).map(lambda tail: f"{HEADER}{tail}"), st.text()
    ),
)
def test_whatever_is_sent_is_a_form_or_a_wrong_parameter(raw, content_type):
    try:
        fields = parse_form(raw, content_type, Register)
    except InvalidParameter:
        return
    assert isinstance(fields, dict)
