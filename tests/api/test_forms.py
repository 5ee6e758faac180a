"""Bodies of v2.0 that are forms: what they may look like, and what is wrong with the others."""

from base64 import b64decode

import pytest

from tests.api import wire
from tests.api.parts import BOUNDARY, Form, file, form, text
from tests.api.scenes import CROWD, GROUP, SOLO, code, open_scene, told
from tests.fakes import HALF_ADA, Drawn

INVALID = (-40000, "InvalidParam")
PICTURE = file("imageFile", b64decode(SOLO))
URL = "https://pictures/crowd.png"
SEARCH = f"/groups/{GROUP}/faces/search"
REGISTER = f"/groups/{GROUP}/faces"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture
def scene():
    with open_scene(revision="v2.0") as scene:
        yield scene


@pytest.fixture(scope="module")
def lasting():
    """One server for all tests that only ask what is refused."""
    with open_scene(revision="v2.0") as scene:
        scene.house.show(URL, Drawn(HALF_ADA, 100))
        yield scene


def post(scene, path, *parts):
    return scene.call("POST", path, **form(*parts).options)


def sent(content, content_type=CONTENT_TYPE):
    return Form(content, content_type).options


def shown(answer):
    """The first face an answer details."""
    return answer.json()["data"]["faceDetails"][0]


# --- What a form may look like


def test_a_file_is_the_picture(lasting):
    answer = post(lasting, "/faces/detect", PICTURE)

    assert code(answer) == 0
    assert answer.json()["data"]["faceDetailCount"] == 1


def test_an_address_stands_for_the_file(lasting):
    answer = post(lasting, "/faces/detect", text("imageUrl", URL))

    assert code(answer) == 0


@pytest.mark.parametrize(
    "parts",
    [
        (file("sourceImageFile", b64decode(SOLO)), file("targetImageFile", b64decode(SOLO))),
        (file("sourceImage", b64decode(SOLO)), file("targetImage", b64decode(SOLO))),
        (file("sourceImage", b64decode(SOLO)), file("targetImageFile", b64decode(SOLO))),
        (text("sourceImageUrl", URL), text("targetImageUrl", URL)),
        (file("sourceImageFile", b64decode(SOLO)), text("targetImageUrl", URL)),
    ],
    ids=lambda parts: " ".join(part.name for part in parts),
)
def test_compare_knows_its_pictures_by_the_names_of_the_table_and_of_the_sample(parts, lasting):
    assert code(post(lasting, "/faces/compare", *parts, text("threshold", 90))) == 0


def test_source_and_target_are_told_apart(scene):
    scene.house.show("aGFsZg==", Drawn(HALF_ADA, 120))
    one, other = b64decode(SOLO), b64decode("aGFsZg==")

    answer = post(
        scene,
        "/faces/compare",
        file("targetImage", other),
        file("sourceImage", one),
        text("threshold", 75),
    )

    data = answer.json()["data"]
    assert data["sourceFace"]["bbox"]["x0"] == 100 / 640
    assert data["matchedFaceDetails"][0]["faceDetail"]["bbox"]["x1"] == 120 / 640
    assert data["matchedFaceDetails"][0]["similarity"] == 75


def test_what_is_registered_by_form_is_found_by_form_and_by_json(scene):
    label = text("externalImageId", "front-door")
    added = post(scene, REGISTER, PICTURE, text("limit", 3), label).json()["data"]
    face_id = added["addedFaces"][0]["faceId"]

    by_form = post(scene, SEARCH, PICTURE, text("limit", 1), text("threshold", 99))
    by_json = scene.call(
        "POST", SEARCH, json={"image": {"bytes": SOLO}, "limit": 1, "threshold": 99}
    )
    verified = post(scene, f"{REGISTER}/{face_id}/verify", PICTURE)

    assert by_form.json() == by_json.json()
    [match] = by_form.json()["data"]["matchFaces"]
    assert match["face"]["faceId"] == face_id
    assert match["face"]["externalImageId"] == "front-door"
    assert verified.json()["data"]["similarity"] == 100


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("TRUE", True), ("True", True), ("false", False), ("FALSE", False)],
)
def test_a_flag_is_true_or_false_in_any_case(value, expected, lasting):
    face = shown(post(lasting, "/faces/detect", PICTURE, text("orientation", value)))

    assert ("orientation" in face) is expected
    assert "mask" in face


def test_parts_nobody_knows_are_ignored(lasting):
    unknown = [text("extra", "x"), file("other", b"\xff\xfe"), text("", "x"), text("url", URL)]
    unknown += [text("extra", "x" * 5_000), text("limit", 3)]

    assert code(post(lasting, "/faces/detect", PICTURE, *unknown)) == 0


def test_sixteen_parts_are_a_form_and_seventeen_are_not(lasting):
    others = [text(f"part{number}", "x") for number in range(16)]

    assert code(post(lasting, "/faces/detect", PICTURE, *others[:15])) == 0
    assert told(post(lasting, "/faces/detect", PICTURE, *others)) == INVALID


@pytest.mark.parametrize(
    "content_type",
    [
        f"multipart/form-data; boundary={BOUNDARY}",
        f"Multipart/Form-Data;boundary={BOUNDARY}",
        f'multipart/form-data; boundary="{BOUNDARY}"',
        f"multipart/form-data; charset=utf-8; boundary={BOUNDARY}",
        f"multipart/form-data ; boundary={BOUNDARY};",
    ],
)
def test_the_content_type_may_be_written_in_many_ways(content_type, lasting):
    content = form(PICTURE).content

    assert code(lasting.call("POST", "/faces/detect", **sent(content, content_type))) == 0


def test_what_comes_before_and_behind_the_form_is_not_read(lasting):
    content = b"preamble\r\n" + form(PICTURE).content + b"epilogue"

    assert code(lasting.call("POST", "/faces/detect", **sent(content))) == 0


async def test_a_form_in_small_pieces_is_put_together(lasting):
    content = form(PICTURE, text("limit", 3)).content
    target = f"{lasting.surface.prefix}/{lasting.key}/faces/detect"
    headers = {**lasting.credentials, "Content-Type": CONTENT_TYPE}

    answer = await wire.send(
        lasting.client.app,
        "POST",
        target,
        headers=headers.items(),
        chunks=[content[at : at + 1] for at in range(len(content))],
    )

    assert answer.code == 0


# --- What is no form

CONTENT = form(PICTURE).content
NO_FORMS = {
    "no boundary": (CONTENT, "multipart/form-data"),
    "empty boundary": (CONTENT, "multipart/form-data; boundary="),
    "another boundary": (CONTENT, "multipart/form-data; boundary=other"),
    "boundary of other letters": (
        CONTENT,
        "multipart/form-data; boundary=가".encode().decode("l1"),
    ),
    "boundary with a line break": (CONTENT, 'multipart/form-data; boundary="a\\r\\nb"'),
    "boundary too long": (CONTENT, f"multipart/form-data; boundary={'x' * 300}"),
    "nothing": (b"", CONTENT_TYPE),
    "the end alone": (f"--{BOUNDARY}--\r\n".encode(), CONTENT_TYPE),
    "cut in a boundary": (CONTENT[:-10], CONTENT_TYPE),
    "cut in the file": (CONTENT[: CONTENT.index(b"solo") + 2], CONTENT_TYPE),
    "cut in a header": (CONTENT[:60], CONTENT_TYPE),
    "without the last boundary": (
        CONTENT[: CONTENT.rindex(b"--" + BOUNDARY.encode())],
        CONTENT_TYPE,
    ),
    "JSON": (b'{"image": {"bytes": "c29sbw=="}}', CONTENT_TYPE),
    "no name": (CONTENT.replace(b' name="imageFile";', b""), CONTENT_TYPE),
    "no disposition": (CONTENT.replace(b"Content-Disposition", b"X-Other"), CONTENT_TYPE),
    "another disposition": (CONTENT.replace(b"form-data;", b"attachment;"), CONTENT_TYPE),
    "a header without a colon": (CONTENT.replace(b"Content-Type:", b"Content-Type"), CONTENT_TYPE),
    "a header that is not UTF-8": (CONTENT.replace(b"image/png", b"\xff\xfe"), CONTENT_TYPE),
    "a name that is not UTF-8": (CONTENT.replace(b"imageFile", b"\xff\xfe"), CONTENT_TYPE),
    "a huge name": (CONTENT.replace(b"imageFile", b"x" * 100_000), CONTENT_TYPE),
    "a hundred headers": (
        CONTENT.replace(b"Content-Type", b"X-A: b\r\n" * 100 + b"Content-Type"),
        CONTENT_TYPE,
    ),
    "bare line feeds": (CONTENT.replace(b"\r\n", b"\n"), CONTENT_TYPE),
}


@pytest.mark.parametrize(("content", "content_type"), NO_FORMS.values(), ids=NO_FORMS.keys())
def test_a_body_that_is_no_form_is_refused(content, content_type, lasting):
    headers = {"Content-Type": content_type.encode("latin-1"), **lasting.credentials}
    target = f"{lasting.surface.prefix}/{lasting.key}/faces/detect"

    answer = lasting.client.post(target, content=content, headers=headers)

    assert told(answer) == INVALID


# --- What is wrong with a form

WRONG_FORMS = {
    "no picture": (),
    "a picture under another name": (file("image", b64decode(SOLO)),),
    "a picture in other letters": (file("imagefile", b64decode(SOLO)),),
    "the same file twice": (PICTURE, PICTURE),
    "two files": (PICTURE, file("imageFile", b64decode(CROWD), "other.png")),
    "a file and an address": (PICTURE, text("imageUrl", URL)),
    "two addresses": (text("imageUrl", URL), text("imageUrl", URL)),
    "a flag twice": (PICTURE, text("mask", "true"), text("mask", "true")),
    "an address that is not UTF-8": (file("imageUrl", b"https://\xff/"),),
    "an address too long": (text("imageUrl", "https://" + "x" * 5_000),),
    "a text too long": (PICTURE, text("mask", "x" * 5_000)),
    "no words": (PICTURE, file("orientation", b"\xff")),
}


@pytest.mark.parametrize("parts", WRONG_FORMS.values(), ids=WRONG_FORMS.keys())
def test_a_wrong_form_is_refused(parts, lasting):
    assert told(post(lasting, "/faces/detect", *parts)) == INVALID


@pytest.mark.parametrize(
    "parts",
    [
        ("sourceImageFile", "sourceImage", "targetImage"),
        ("sourceImageFile", "sourceImageUrl", "targetImage"),
        ("sourceImage", "targetImage", "targetImageUrl"),
        ("sourceImage",),
        ("targetImageFile",),
        ("imageFile",),
        (),
    ],
    ids=str,
)
def test_compare_needs_each_picture_once(parts, lasting):
    pictures = [file(name, URL.encode() if "Url" in name else b64decode(SOLO)) for name in parts]

    assert told(post(lasting, "/faces/compare", *pictures, text("threshold", 9))) == INVALID


@pytest.mark.parametrize("name", ["limit", "threshold"])
@pytest.mark.parametrize(
    "value",
    ["abc", "1.5", "+3", "-3", "\uff13", "٣", " 3", "3 ", "", "0", "101", "1e1", "0x3", "1_0"],
    ids=ascii,
)
def test_a_number_in_a_form_is_written_in_plain_digits(name, value, lasting):
    numbers = {"limit": "5", "threshold": "5", name: value}

    parts = [text(part, number) for part, number in numbers.items()]

    assert told(post(lasting, SEARCH, PICTURE, *parts)) == INVALID


@pytest.mark.parametrize("name", ["limit", "threshold"])
def test_a_number_that_is_missing_is_refused(name, lasting):
    numbers = [text(part, 5) for part in ("limit", "threshold") if part != name]

    assert told(post(lasting, SEARCH, PICTURE, *numbers)) == INVALID


@pytest.mark.parametrize("name", ["orientation", "mask"])
@pytest.mark.parametrize("value", ["yes", "1", "0", "", "null", " true", "wahr", "on"])
def test_a_flag_in_a_form_is_no_other_word(name, value, lasting):
    assert told(post(lasting, "/faces/detect", PICTURE, text(name, value))) == INVALID


@pytest.mark.parametrize("value", ["", "a" * 256, "a b", "가", "a/b", "a\n", "\0"])
def test_an_external_image_id_in_a_form_is_held_to_the_same_rule(value, lasting):
    parts = [PICTURE, text("limit", 1), text("externalImageId", value)]

    assert told(post(lasting, REGISTER, *parts)) == INVALID


@pytest.mark.parametrize("value", ["5", "true", "007", "false"])
def test_an_external_image_id_may_look_like_a_number_or_a_flag(value, scene):
    answer = post(scene, REGISTER, PICTURE, text("limit", 1), text("externalImageId", value))

    assert answer.json()["data"]["addedFaces"][0]["externalImageId"] == value


def test_the_reason_names_what_is_wrong_and_nothing_that_was_sent(lasting):
    answer = post(lasting, "/faces/detect", PICTURE, text("mask", "secret"))

    assert answer.headers["X-Error-Detail"] == "mask must be true or false"


# --- Files

FULL = 3_000_000


def test_a_file_may_have_three_million_bytes_and_no_more(lasting):
    fits = post(lasting, "/faces/detect", file("imageFile", b"x" * FULL))
    too_large = post(lasting, "/faces/detect", file("imageFile", b"x" * (FULL + 1)))

    # The fake intake knows no such picture, but it was asked.
    assert told(fits) == (-45040, "InvalidImageFormatException")
    assert told(too_large) == (-45020, "ImageTooLargeException")


def test_two_files_may_be_as_large_each(lasting):
    pictures = [file(name, b"x" * FULL) for name in ("sourceImage", "targetImage")]

    assert code(post(lasting, "/faces/compare", *pictures, text("threshold", 9))) == -45040


@pytest.mark.parametrize("path", ["/faces/detect", SEARCH])
def test_a_body_over_its_length_is_too_large_a_picture(path, lasting):
    body = form(file("imageFile", b"x" * 4_400_000), text("limit", 1), text("threshold", 1))

    assert told(lasting.call("POST", path, **body.options)) == (-45020, "ImageTooLargeException")


def test_an_empty_file_is_a_picture_of_no_format(lasting):
    answer = post(lasting, "/faces/detect", file("imageFile", b""))

    assert told(answer) == (-45040, "InvalidImageFormatException")


# --- Where forms are unknown


def test_the_first_version_reads_a_form_as_json_and_finds_none():
    with open_scene() as scene:
        answer = scene.call("POST", "/detect", **form(PICTURE).options)

    assert told(answer) == INVALID


def test_a_group_is_made_with_json_alone(lasting):
    answer = lasting.call("POST", "/groups", **form(text("groupId", "new")).options)

    assert told(answer) == INVALID


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/mixed", "text/plain", ""]
)
def test_whatever_else_a_body_is_called_it_is_read_as_json(content_type, lasting):
    options = sent(b'{"image": {"bytes": "c29sbw=="}}', content_type)

    assert code(lasting.call("POST", "/faces/detect", **options)) == 0


# --- The order of checks


def test_a_wrong_form_is_told_before_a_group_that_is_not_there(lasting):
    wrong = post(lasting, "/groups/absent/faces", PICTURE, text("limit", 21))
    right = post(lasting, "/groups/absent/faces", file("imageFile", b"spoiled"), text("limit", 1))

    assert told(wrong) == INVALID
    assert told(right) == (-40030, "NotFoundGroupError")
