"""What the server says to requests that are wrong: always HTTP 200 and the documented code."""

import itertools
import json
from typing import Any
from urllib.parse import quote

import pytest

from app.domain import errors
from tests.api import wire
from tests.api.scenes import CROWD, GROUP, PREFIX, SOLO, code, open_scene
from tests.fakes import House

ABSENT = "9297db50-d4f2-c6b8-ea05-edf2013089fd"
PICTURE = {"bytes": SOLO}
IMAGE_ROUTES: dict[str, dict[str, Any]] = {
    "/detect": {"image": PICTURE},
    f"/groups/{GROUP}": {"image": PICTURE, "limit": 1},
    f"/groups/{GROUP}/search?limit=1&threshold=90": {"image": PICTURE},
    "/compare?threshold=90": {"sourceImage": PICTURE, "targetImage": PICTURE},
    f"/verify/groups/{GROUP}/faces/{ABSENT}": {"compareImage": PICTURE},
}
every_body_route = pytest.mark.parametrize("path", ["/groups", *IMAGE_ROUTES])
every_image_route = pytest.mark.parametrize("path", IMAGE_ROUTES)


def pictures_of(path):
    return [name for name, value in IMAGE_ROUTES[path].items() if value is PICTURE]


def readable(value):
    text = value if isinstance(value, str) else repr(value)
    return (
        (text if len(text) < 40 else f"{text[:20]}... {len(text)}")
        .encode("unicode_escape")
        .decode()
    )


# --- The appKey


@pytest.mark.parametrize(
    "key", ["unknown", "x" * 10_000, "%EA%B0%80", "%00", "a%0A", "%20", "%FF"], ids=readable
)
async def test_an_app_key_nobody_was_given_is_unauthorized(key, lasting):
    answer = await wire.send(lasting.client.app, "GET", f"{PREFIX}/{key}/groups?limit=1")

    assert (answer.status, answer.code) == (200, -41000)


@pytest.mark.parametrize(
    "path", ["/groups?limit=1", f"/groups/{GROUP}", f"/groups/{GROUP}/faces?limit=1"]
)
async def test_an_empty_app_key_is_unauthorized_too(path, lasting):
    answer = await wire.send(lasting.client.app, "GET", f"{PREFIX}/{path}")

    assert (answer.status, answer.code) == (200, -41000)


async def test_a_revoked_app_key_is_unauthorized(scene):
    await scene.house.keys.revoke("shop")

    assert code(scene.call("GET", "/groups?limit=1")) == -41000


def test_upper_and_lower_case_of_an_app_key_are_different(lasting):
    assert code(lasting.call("GET", "/groups?limit=1", key=lasting.key.lower())) == -41000


# --- Bodies that are not one JSON object

NOT_ONE_OBJECT = {
    "none": b"",
    "blank": b"  ",
    "text": b"hello",
    "array": b"[]",
    "string": b'"x"',
    "null": b"null",
    "number": b"1",
    "deep": b"[" * 100_000,
    "form": b"groupId=x",
    "single quotes": b"{'groupId': 'x'}",
}
# Beside fields that are all right, where only the reading of JSON can object.
NO_VALUES = {
    "NaN": b"NaN",
    "Infinity": b"[-Infinity]",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "5,000 digits": b"1" * 5_000,
    "duplicate key": b'{"y": 1, "y": 2}',
    "not UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "lone surrogate": b'"\\ud800"',
    "lone low surrogate": b'"\\udc00"',
    "NUL": b'"\x00"',
    "line break in a string": b'"\n"',
    "comment": b"1 // x",
    "comma too many": b"[1,]",
    "nothing": b"",
}
RECODED = {
    "BOM": lambda raw: b"\xef\xbb\xbf" + raw,
    "UTF-16": lambda raw: raw.decode().encode("utf-16"),
    "UTF-16 without BOM": lambda raw: raw.decode().encode("utf-16-le"),
    "UTF-32": lambda raw: raw.decode().encode("utf-32"),
    "in an array": lambda raw: b"[" + raw + b"]",
    "twice": lambda raw: raw + raw,
    "cut": lambda raw: raw[:-1],
    "key twice": lambda raw: b'{"x": 1, "x": 1, ' + raw[1:],
    "field twice": lambda raw: raw[:-1] + b", " + raw[1:],
}


def good_body(path):
    return json.dumps(IMAGE_ROUTES.get(path, {"groupId": GROUP})).encode()


@every_body_route
@pytest.mark.parametrize("raw", NOT_ONE_OBJECT.values(), ids=NOT_ONE_OBJECT.keys())
def test_a_body_that_is_not_one_json_object_is_refused(path, raw, lasting):
    assert code(lasting.call("POST", path, content=raw)) == -40000


@every_body_route
@pytest.mark.parametrize("value", NO_VALUES.values(), ids=NO_VALUES.keys())
def test_what_is_no_json_is_refused_even_where_nobody_reads_it(path, value, lasting):
    raw = good_body(path)[:-1] + b', "x": ' + value + b"}"

    assert code(lasting.call("POST", path, content=raw)) == -40000


@every_body_route
@pytest.mark.parametrize("recode", RECODED.values(), ids=RECODED.keys())
def test_a_good_body_in_another_wrapping_is_refused(path, recode, lasting):
    assert code(lasting.call("POST", path, content=good_body(path))) in {0, -40020, -40050}
    assert code(lasting.call("POST", path, content=recode(good_body(path)))) == -40000


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Type": "multipart/form-data"},
    ],
    ids=str,
)
def test_the_content_type_does_not_matter_when_the_body_is_json(headers, lasting):
    raw = json.dumps({"image": PICTURE}).encode()

    assert code(lasting.call("POST", "/detect", content=raw, headers=headers)) == 0


@every_image_route
def test_fields_nobody_knows_are_ignored(path, lasting):
    unknown: dict[str, Any] = {"extra": [1], "": None, "__proto__": {}, "limit ": 9}
    pictures = {name: {**PICTURE, **unknown} for name in pictures_of(path)}
    body = {**IMAGE_ROUTES[path], **unknown, **pictures}

    assert code(lasting.call("POST", path, json=body)) in {0, -40050}


def test_a_body_on_a_route_that_has_none_is_ignored(lasting):
    assert code(lasting.call("GET", "/groups?limit=1", content=b"nonsense")) == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"image": None}, "image must be an object"),
        ({"image": {}}, "image needs exactly one of url and bytes"),
        ({"image": {"url": 5}}, "image.url must be a string"),
        ({"mask": None}, "mask must be true or false"),
        ({"limit": "3"}, "limit must be a whole number"),
        ({"limit": 21}, "limit must be a whole number 1..20"),
        ({"externalImageId": "/"}, "externalImageId must match [a-zA-Z0-9_.:-]{1,255}"),
    ],
    ids=str,
)
def test_the_reason_is_one_a_person_understands(fields, reason, lasting):
    body = {"image": PICTURE, "limit": 1, **fields}

    answer = lasting.call("POST", f"/groups/{GROUP}", json=body)

    assert answer.headers["X-Error-Detail"] == reason
    assert answer.json()["header"]["resultMessage"] == "InvalidParam"


# --- Group ids

MALFORMED_IDS = [
    "",
    "a" * 256,
    "A",
    "_",
    " ",
    "a b",
    "가",
    "a\n",
    "\na",
    "a\x00",
    "..",
    "../x",
    "a/b",
    "🙂",
    "é",
    "a.b",
    "\uff41",
    "٣",
]


@pytest.mark.parametrize("group_id", MALFORMED_IDS, ids=readable)
def test_a_new_group_needs_a_well_formed_id(group_id, lasting):
    assert code(lasting.call("POST", "/groups", json={"groupId": group_id})) == -40010


@pytest.mark.parametrize("group_id", [None, 5, True, ["a"], {"a": 1}, 1.5], ids=readable)
def test_a_new_group_needs_an_id_that_is_a_string(group_id, lasting):
    assert code(lasting.call("POST", "/groups", json={"groupId": group_id})) == -40000


@pytest.mark.parametrize("group_id", ["a" * 255, "a", "-", "0", "---"], ids=readable)
def test_a_well_formed_id_is_accepted(group_id, scene):
    assert code(scene.call("POST", "/groups", json={"groupId": group_id})) == 0
    assert code(scene.call("GET", f"/groups/{group_id}")) == 0


PATHS = {
    ("GET", "/groups/{}"),
    ("DELETE", "/groups/{}"),
    ("POST", "/groups/{}"),
    ("GET", "/groups/{}/faces?limit=1"),
    ("GET", f"/groups/{{}}/faces/{ABSENT}?limit=1&threshold=9"),
    ("DELETE", f"/groups/{{}}/faces/{ABSENT}"),
    ("POST", "/groups/{}/search?limit=1&threshold=9"),
    ("POST", f"/verify/groups/{{}}/faces/{ABSENT}"),
}
ANY_BODY = json.dumps({"image": PICTURE, "compareImage": PICTURE, "limit": 1}).encode()


@pytest.mark.parametrize(("method", "path"), sorted(PATHS))
@pytest.mark.parametrize("group_id", [g for g in MALFORMED_IDS if g and "/" not in g], ids=readable)
async def test_a_malformed_id_in_a_path_is_a_wrong_parameter(method, path, group_id, lasting):
    target = f"{PREFIX}/{lasting.key}{path.format(quote(group_id, safe=''))}"

    answer = await wire.send(lasting.client.app, method, target, chunks=[ANY_BODY])

    assert (answer.status, answer.code) == (200, -40000)


# --- Face ids


@pytest.mark.parametrize(
    "face_id",
    [
        ABSENT,
        ABSENT.upper(),
        f"%7B{ABSENT}%7D",
        "1",
        "..",
        "%00",
        "%0A",
        "%EA%B0%80",
        "a" * 10_000,
        "%20",
        "-1",
    ],
    ids=readable,
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/groups/{GROUP}/faces/{{}}?limit=1&threshold=9"),
        ("DELETE", f"/groups/{GROUP}/faces/{{}}"),
        ("POST", f"/verify/groups/{GROUP}/faces/{{}}"),
    ],
)
async def test_a_face_id_nobody_was_given_is_not_found_in_whatever_form(
    method, path, face_id, lasting
):
    target = f"{PREFIX}/{lasting.key}{path.format(face_id)}"

    answer = await wire.send(lasting.client.app, method, target, chunks=[ANY_BODY])

    assert (answer.status, answer.code) == (200, -40050)


def test_a_face_of_another_group_and_a_deleted_one_are_not_found(scene):
    scene.data("POST", "/groups", json={"groupId": "other"})
    elsewhere = scene.register(SOLO, group="other")[0]
    deleted = scene.register(SOLO)[0]
    scene.data("DELETE", f"/groups/{GROUP}/faces/{deleted}")

    for face in (elsewhere, deleted):
        assert code(scene.call("DELETE", f"/groups/{GROUP}/faces/{face}")) == -40050
        answer = scene.call("GET", f"/groups/{GROUP}/faces/{face}?limit=1&threshold=1")
        assert code(answer) == -40050


# --- Numbers

NO_NUMBERS = [
    "",
    "0",
    "-1",
    "1.5",
    "1e2",
    "0x10",
    "+5",
    "%2B5",
    "%205%20",
    " 5",
    "5 ",
    "1_0",
    "\uff11\uff10",
    "٣",
    "true",
    "null",
    "NaN",
    str(2**63),
    "1" * 5_000,
    "%00",
    "5%00",
    "5%0A",
    "²",
    "[1]",
    '"5"',
    "5,6",
]
TWICE = ["limit=1&limit=1", "limit=1&limit=2"]
FACES = f"/groups/{GROUP}/faces"
LIMITED = [
    ("GET", "/groups?limit={}", 200),
    ("GET", FACES + "?limit={}", 200),
    ("GET", FACES + "/" + ABSENT + "?threshold=9&limit={}", 4096),
    ("POST", f"/groups/{GROUP}/search?threshold=9&limit={{}}", 4096),
    ("GET", FACES + "/" + ABSENT + "?limit=9&threshold={}", 100),
    ("POST", f"/groups/{GROUP}/search?limit=9&threshold={{}}", 100),
    ("POST", "/compare?threshold={}", 100),
]
ANY_PICTURES = {"image": PICTURE, "sourceImage": PICTURE, "targetImage": PICTURE}


@pytest.mark.parametrize(("method", "path", "high"), LIMITED)
@pytest.mark.parametrize("value", [*NO_NUMBERS, "90.5", "ninety"], ids=readable)
async def test_a_number_of_the_query_is_written_in_plain_digits(method, path, high, value, lasting):
    target = f"{PREFIX}/{lasting.key}{path.format(quote(value, safe='%+'))}"

    answer = await wire.send(
        lasting.client.app, method, target, chunks=[json.dumps(ANY_PICTURES).encode()]
    )

    assert (answer.status, answer.code) == (200, -40000)


@pytest.mark.parametrize(("method", "path", "high"), LIMITED)
def test_a_number_of_the_query_is_needed_once_and_within_its_range(method, path, high, lasting):
    base, _, name = path.removesuffix("={}").rpartition("?" if path.count("=") == 1 else "&")
    mark = "?" if path.count("=") == 1 else "&"

    def ask(tail):
        answer = lasting.call(method, f"{base}{mark}{tail}", json=ANY_PICTURES)
        return code(answer)

    assert ask("") == -40000
    assert ask(f"{name}=1&{name}=1") == -40000
    assert ask(f"{name}={high + 1}") == -40000
    assert ask(f"{name.upper()}=1") == -40000
    assert ask(f"{name}={high}") in {0, -40050}
    assert ask(f"{name}=1") in {0, -40050}


LIMITS_OF_BODY = [
    None,
    "3",
    "",
    0,
    -1,
    21,
    1.5,
    3.0,
    True,
    2**63,
    2**200,
    [3],
    {"a": 1},
    -(2**63) - 1,
]


@pytest.mark.parametrize("limit", LIMITS_OF_BODY, ids=readable)
def test_the_limit_of_register_is_a_whole_number_up_to_twenty(limit, lasting):
    body = {"image": PICTURE, "limit": limit}

    assert code(lasting.call("POST", f"/groups/{GROUP}", json=body)) == -40000


@pytest.mark.parametrize(
    "text",
    [
        "1e1",
        "03",
        "0x3",
        "+3",
        "3.",
        "1_0",
        "\uff11",
        "true",
        "NaN",
        "-0",
        "0.0",
        "1e400",
        "-Infinity",
    ],
)
def test_the_limit_of_register_is_written_in_plain_digits(text, lasting):
    raw = f'{{"image": {{"bytes": "{SOLO}"}}, "limit": {text}}}'.encode()

    assert code(lasting.call("POST", f"/groups/{GROUP}", content=raw)) == -40000


# --- The query as a whole


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"limit=1&" + b"x=1&" * 90, 0),
        (b"limit=1&" + b"x=1&" * 1_000, -40000),
        (b"x=\xff\xfe&limit=1", 0),
        (b"limit=\xff", -40000),
        (b"limit=%FF", -40000),
        (b"limit=1&next-token=\xea\xb0\x80", -40040),
        (b"%6c%69mit=1", 0),
        (b"limit=1;limit=2", -40000),
        (b"&&&limit=1&&", 0),
        (b"limit=1&next-token", 0),
        (b"limit", -40000),
        (b"limit=1#x", -40000),
        (b"=1", -40000),
    ],
    ids=readable,
)
async def test_a_strange_query_is_read_for_what_it_says(query, expected, lasting):
    target = f"{PREFIX}/{lasting.key}/groups"

    answer = await wire.send(lasting.client.app, "GET", target, query=query)

    assert (answer.status, answer.code) == (200, expected)


# --- externalImageId and the flags


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a" * 256,
        " ",
        "a b",
        "a/b",
        "a\r\nb",
        "a\n",
        "a\x00",
        "가",
        "a\\b",
        "é",
        "²",
        5,
        True,
        ["a"],
    ],
    ids=readable,
)
def test_an_external_image_id_of_other_characters_is_refused(value, lasting):
    body = {"image": PICTURE, "limit": 1, "externalImageId": value}

    assert code(lasting.call("POST", f"/groups/{GROUP}", json=body)) == -40000


@pytest.mark.parametrize(
    "value",
    ["image01.jpg", "a-b", "a:b", "A_B", "a" * 255, ".", "user-defined-external-image-id"],
    ids=readable,
)
def test_a_documented_external_image_id_comes_back(value, scene):
    body = {"image": PICTURE, "limit": 1, "externalImageId": value}

    data = scene.data("POST", f"/groups/{GROUP}", json=body)

    assert data["addedFaces"][0]["externalImageId"] == value


@every_image_route
@pytest.mark.parametrize("flag", ["orientation", "mask"])
@pytest.mark.parametrize(
    "value", ["true", "false", 1, 0, None, "yes", "", [], {}, 1.0], ids=readable
)
def test_a_flag_is_true_or_false_and_nothing_like_it(path, flag, value, lasting):
    body = {**IMAGE_ROUTES[path], flag: value}

    assert code(lasting.call("POST", path, json=body)) == -40000


# --- The image object

NO_PICTURES = [
    None,
    {},
    [],
    "x",
    5,
    True,
    {"url": None, "bytes": None},
    {"url": "https://a/", "bytes": SOLO},
    {"url": 5},
    {"bytes": [1]},
    {"bytes": True},
    {"url": ["https://a/"]},
    {"Bytes": SOLO},
    [{"bytes": SOLO}],
]


@every_image_route
@pytest.mark.parametrize("picture", NO_PICTURES, ids=readable)
def test_a_picture_is_exactly_one_of_url_and_bytes(path, picture, lasting):
    for name in pictures_of(path):
        answer = lasting.call("POST", path, json={**IMAGE_ROUTES[path], name: picture})

        assert code(answer) == -40000


@every_image_route
def test_a_picture_that_is_missing_is_refused(path, lasting):
    for name in pictures_of(path):
        body = {key: value for key, value in IMAGE_ROUTES[path].items() if key != name}

        assert code(lasting.call("POST", path, json=body)) == -40000


SPOILED = {
    errors.ImageTooLarge: -45020,
    errors.InvalidImageBytes: -45030,
    errors.InvalidImageFormat: -45040,
    errors.InvalidImageUrl: -45050,
    errors.ImageTimeout: -45060,
    errors.InvalidImageFile: -45080,
    errors.ImageTooSmall: -40000,
}


@pytest.mark.parametrize("field", ["bytes", "url"])
@pytest.mark.parametrize("kind", SPOILED, ids=lambda kind: kind.__name__)
def test_what_is_wrong_with_a_picture_decides_the_code(kind, field, scene):
    scene.house.spoil("spoiled", kind())
    face = scene.register(SOLO)[0]

    for path, body in IMAGE_ROUTES.items():
        for name in pictures_of(path):
            spoiled = {**body, name: {field: "spoiled"}}
            answer = scene.call("POST", path.replace(ABSENT, face), json=spoiled)

            assert code(answer) == SPOILED[kind], (path, name)


@pytest.mark.parametrize(("field", "expected"), [("bytes", -45030), ("url", -45050)])
def test_an_empty_text_is_a_wrong_picture_and_not_a_missing_one(field, expected, lasting):
    assert code(lasting.call("POST", "/detect", json={"image": {field: ""}})) == expected


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(79, 80, -40000), (80, 79, -40000), (80, 80, 0)]
)
def test_a_picture_has_at_least_eighty_pixels_a_side(width, height, expected, scene):
    scene.house.show("c21hbGw=", width=width, height=height)

    assert code(scene.call("POST", "/detect", json={"image": {"bytes": "c21hbGw="}})) == expected


def test_of_two_wrong_pictures_the_source_tells_the_code(scene):
    scene.house.spoil("source", errors.ImageTimeout())
    scene.house.spoil("target", errors.InvalidImageFormat())
    body = {"sourceImage": {"url": "source"}, "targetImage": {"url": "target"}}

    assert code(scene.call("POST", "/compare?threshold=1", json=body)) == -45060


@pytest.mark.parametrize("path", [p for p in IMAGE_ROUTES if "search" in p or "verify" in p])
def test_a_picture_of_nobody_cannot_be_searched_or_verified(path, scene):
    face = scene.register(SOLO)[0]
    name = pictures_of(path)[0]

    answer = scene.call("POST", path.replace(ABSENT, face), json={name: {"bytes": "bm9ib2R5"}})

    assert code(answer) == -40000


# --- Page tokens


def test_a_token_is_bound_to_its_list_its_tenant_and_its_group(scene):
    for name in ("a", "b"):
        scene.data("POST", "/groups", json={"groupId": name})
    scene.register(SOLO)
    scene.register(SOLO)
    groups = scene.data("GET", "/groups?limit=1")["nextToken"]
    faces = scene.data("GET", f"{FACES}?limit=1")["nextToken"]

    def ask(path, token, key=None):
        return code(scene.call("GET", path, params={"limit": 1, "next-token": token}, key=key))

    assert (ask("/groups", groups), ask(FACES, faces)) == (0, 0)
    assert ask("/groups", groups, scene.other_key) == -40040
    assert ask("/groups", faces) == -40040
    assert ask(FACES, groups) == -40040
    assert ask("/groups/a/faces", faces) == -40040
    assert {ask("/groups", token) for token in ("x", groups[:-1], groups + "=", "가", "\n")} == {
        -40040
    }


def test_a_token_ends_with_the_group_it_was_given_for(scene):
    scene.register(SOLO)
    scene.register(SOLO)
    token = scene.data("GET", f"{FACES}?limit=1")["nextToken"]
    scene.data("DELETE", f"/groups/{GROUP}")
    scene.data("POST", "/groups", json={"groupId": GROUP})

    assert code(scene.call("GET", FACES, params={"limit": 1, "next-token": token})) == -40040


def test_an_expired_token_is_refused(scene):
    scene.data("POST", "/groups", json={"groupId": "a"})
    token = scene.data("GET", "/groups?limit=1")["nextToken"]
    scene.house.tokens.expire()

    assert code(scene.call("GET", "/groups", params={"next-token": token})) == -40040


def test_a_token_given_twice_is_a_wrong_parameter(lasting):
    assert code(lasting.call("GET", "/groups?limit=1&next-token=a&next-token=b")) == -40000


# --- The order of checks

TOO_MANY = json.dumps({"image": PICTURE, "limit": 21}).encode()
ORDER = {
    "key before body": ("unknown", "/detect", b"nonsense", -41000),
    "key before query": ("unknown", "/compare", ANY_BODY, -41000),
    "key before group": ("unknown", "/groups/absent", ANY_BODY, -41000),
    "key before a body that is too long": ("unknown", "/detect", b" " * 4_400_000, -41000),
    "body before group": (None, "/groups/absent", b"nonsense", -40000),
    "too long a body before group": (None, "/groups/absent", b" " * 4_400_000, -45020),
    "limit of the body before group": (
        None,
        "/groups/absent",
        ANY_BODY.replace(b"1}", b"21}"),
        -40000,
    ),
    "query before group": (None, "/groups/absent/search?limit=0&threshold=1", ANY_BODY, -40000),
    "query before body": (None, "/compare?threshold=0", b" " * 4_400_000, -40000),
    "group before face": (None, f"/verify/groups/absent/faces/{ABSENT}", ANY_BODY, -40030),
    "group before image": (
        None,
        "/groups/absent",
        b'{"image": {"bytes": "spoiled"}, "limit": 1}',
        -40030,
    ),
    "face before image": (
        None,
        f"/verify/groups/{GROUP}/faces/{ABSENT}",
        b'{"compareImage": {"bytes": "spoiled"}}',
        -40050,
    ),
}


@pytest.mark.parametrize(("key", "path", "raw", "expected"), ORDER.values(), ids=ORDER.keys())
def test_the_first_thing_wrong_tells_the_code(key, path, raw, expected, lasting):
    assert code(lasting.call("POST", path, key=key, content=raw)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, -40070), ({"limit": 0}, -40000), ({"externalImageId": "/"}, -40000)],
    ids=str,
)
def test_a_full_group_is_told_before_the_image_and_after_the_parameters(fields, expected):
    with open_scene(House(face_quota=1)) as scene:
        scene.register(SOLO)
        body = {"image": {"bytes": "spoiled"}, "limit": 1, **fields}

        assert code(scene.call("POST", f"/groups/{GROUP}", json=body)) == expected


def test_an_existing_group_is_told_before_the_quota_of_groups():
    with open_scene(House(group_quota=1)) as scene:
        assert code(scene.call("POST", "/groups", json={"groupId": GROUP})) == -40020
        assert code(scene.call("POST", "/groups", json={"groupId": "more"})) == -40070


# --- Length


@every_image_route
def test_a_body_with_pictures_may_be_so_long_and_no_longer(path, lasting):
    pictures = len(pictures_of(path))
    raw = json.dumps(IMAGE_ROUTES[path]).encode()
    longest = pictures * 4_250_064 + 65_536

    fits = lasting.call("POST", path, content=raw.ljust(longest))
    too_long = lasting.call("POST", path, content=raw.ljust(longest + 1))

    assert code(fits) in {0, -40050}
    assert code(too_long) == -45020


def test_a_body_without_pictures_is_short(lasting):
    raw = b'{"groupId": "A"}'

    assert code(lasting.call("POST", "/groups", content=raw.ljust(65_536))) == -40010
    assert code(lasting.call("POST", "/groups", content=raw.ljust(65_537))) == -40000


async def test_an_endless_body_is_read_no_further_than_it_may_be_long(lasting):
    endless = itertools.repeat(b" " * 100_000)
    target = f"{PREFIX}/{lasting.key}/detect"

    answer = await wire.send(lasting.client.app, "POST", target, chunks=endless)

    assert answer.code == -45020


async def test_a_body_in_small_pieces_is_put_together(lasting):
    raw = json.dumps({"image": PICTURE}).encode()
    target = f"{PREFIX}/{lasting.key}/detect"

    answer = await wire.send(
        lasting.client.app, "POST", target, chunks=[raw[i : i + 1] for i in range(len(raw))]
    )

    assert answer.code == 0


# --- Paths and methods

NO_PATHS = [
    "/",
    "/nhn-face-reco",
    "/nhn-face-reco/v1.0",
    "/nhn-face-reco/v9.9/appkeys/x/groups",
    PREFIX + "/x",
    PREFIX + "/x/nothing",
    PREFIX + "/x/groups/",
    PREFIX + "/x/groups/a/faces/b/c",
    PREFIX + "/x/groups//faces",
    PREFIX + "//x/groups",
    "/docs/",
    "/redoc",
    "/openapi.json",
    "//",
    "/%00",
    "/..%2f..%2fetc/passwd",
]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize("path", NO_PATHS)
async def test_a_path_no_guide_names_is_not_found(path, method, lasting):
    answer = await wire.send(lasting.client.app, method, path)

    assert (answer.status, answer.code) == (404, -40000)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/groups", "GET, POST"),
        ("DELETE", "/groups", "GET, POST"),
        ("HEAD", "/groups", "GET, POST"),
        ("OPTIONS", "/groups", "GET, POST"),
        ("PATCH", f"/groups/{GROUP}", "DELETE, GET, POST"),
        ("GET", "/detect", "POST"),
        ("OPTIONS", "/detect", "POST"),
        ("TRACE", "/detect", "POST"),
        ("get", "/groups", "GET, POST"),
        ("GET", f"/groups/{GROUP}/search", "POST"),
        ("POST", f"/groups/{GROUP}/faces", "GET"),
        ("POST", f"/groups/{GROUP}/faces/{ABSENT}", "DELETE, GET"),
        ("GET", f"/verify/groups/{GROUP}/faces/{ABSENT}", "POST"),
    ],
)
async def test_another_method_is_told_which_ones_there_are(method, path, allowed, lasting):
    answer = await wire.send(lasting.client.app, method, f"{PREFIX}/{lasting.key}{path}")

    assert (answer.status, answer.code) == (405, -40000)
    assert answer.headers["allow"] == allowed


# --- Headers


@pytest.mark.parametrize("host", ["[", "[::1", "a:b:c", "", "x" * 10_000, "é", "a b", "@", "//"])
async def test_a_strange_host_changes_nothing(host, lasting):
    target = f"{PREFIX}/{lasting.key}/groups?limit=1"

    answer = await wire.send(lasting.client.app, "GET", target, headers=[("Host", host)])

    assert (answer.status, answer.code) == (200, 0)


async def test_headers_given_twice_change_nothing(lasting):
    headers = [("Host", "a"), ("Host", "b"), ("Content-Type", "a/b"), ("Content-Type", "c/d")]
    headers += [("X-Request-Id", "one"), ("X-Request-Id", "two"), ("Authorization", "x")]
    target = f"{PREFIX}/{lasting.key}/detect"
    raw = json.dumps({"image": {"bytes": CROWD}}).encode()

    answer = await wire.send(lasting.client.app, "POST", target, headers=headers, chunks=[raw])

    assert (answer.status, answer.code) == (200, 0)
