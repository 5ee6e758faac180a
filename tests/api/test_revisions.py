"""What differs between clients of different age who share one server."""

import pytest

from app.domain import errors
from app.domain.values import ImageLimits
from tests.api import wire
from tests.api.scenes import (
    CROWD,
    GROUP,
    NOBODY,
    PREFIX,
    PREFIX_V2,
    SOLO,
    SURFACES,
    code,
    open_scene,
    told,
)
from tests.fakes import ADA, BOB, HALF_ADA, Drawn, House

EDITIONS = ("alpha", "2021", "v1.0")
REVISIONS = tuple(SURFACES)
ABSENT = "9297db50-d4f2-c6b8-ea05-edf2013089fd"
PICTURE = {"bytes": SOLO}
PAIR = {"sourceImage": PICTURE, "targetImage": PICTURE, "threshold": 90}
# Where a revision takes pictures, and with what.
IMAGE_CALLS = {
    "v1": {
        "/detect": {"image": PICTURE},
        f"/groups/{GROUP}": {"image": PICTURE, "limit": 1},
        f"/groups/{GROUP}/search?limit=1&threshold=90": {"image": PICTURE},
        "/compare?threshold=90": PAIR,
        f"/verify/groups/{GROUP}/faces/{ABSENT}": {"compareImage": PICTURE},
    },
    "v2": {
        "/faces/detect": {"image": PICTURE},
        f"/groups/{GROUP}/faces": {"image": PICTURE, "limit": 1},
        f"/groups/{GROUP}/faces/search": {"image": PICTURE, "limit": 1, "threshold": 90},
        "/faces/compare": PAIR,
        f"/groups/{GROUP}/faces/{ABSENT}/verify": {"compareImage": PICTURE},
    },
}
DENIED = {
    "alpha": (-41000, "UnauthorizedAppKey"),
    "2021": (-41000, "UnauthorizedAppKey"),
    "v1.0": (-41000, "UnauthorizedAppKey"),
    "v2.0": (-41005, "UnauthorizedAppKeyOrSecretKey"),
}
INVALID = (-40000, "InvalidParam")

every_revision = pytest.mark.parametrize("revision", REVISIONS)
with_secret = pytest.mark.parametrize("revision", ["alpha", "v2.0"])
without_secret = pytest.mark.parametrize("revision", ["2021", "v1.0"])


def image_calls(revision):
    return IMAGE_CALLS["v2" if revision == "v2.0" else "v1"]


def compare_path(revision, query=""):
    return ("/faces/compare" if revision == "v2.0" else "/compare") + query


@pytest.fixture
def scene(revision):
    with open_scene(revision=revision) as scene:
        yield scene


async def ask(scene, *authorization, key=None):
    """List the groups with these Authorization headers and no other."""
    target = f"{scene.surface.prefix}/{key or scene.key}/groups?limit=1"
    headers = [("Authorization", value) for value in authorization]
    answer = await wire.send(scene.client.app, "GET", target, headers=headers)
    assert answer.status == 200
    return answer.told


# --- Who may call


@with_secret
async def test_the_secret_key_opens_bare_or_as_a_bearer_token(scene):
    secret = scene.mine.secret_key

    for given in (secret, f"Bearer {secret}", f" {secret} ", f"Bearer  {secret}"):
        assert (await ask(scene, given))[0] == 0


@with_secret
async def test_without_the_right_secret_key_nobody_is_let_in(scene, revision):
    secret = scene.mine.secret_key
    wrong = [
        (),
        ("",),
        ("Bearer",),
        ("Bearer ",),
        ("wrong",),
        (scene.theirs.secret_key,),
        (secret.lower(),),
        (secret[:-1],),
        (f"Basic {secret}",),
        (f"Bearer Bearer {secret}",),
        (f"{secret}, {secret}",),
        (scene.key,),
        ("\xff\xfe",),
        ("x" * 10_000,),
        (secret, secret),
        (secret, "wrong"),
    ]

    answers = {await ask(scene, *given) for given in wrong}

    assert answers == {DENIED[revision]}


@with_secret
async def test_a_secret_key_is_of_no_use_with_another_app_key(scene, revision):
    secret = scene.mine.secret_key

    assert await ask(scene, secret, key=scene.other_key) == DENIED[revision]
    assert await ask(scene, secret, key="unknown") == DENIED[revision]


@without_secret
async def test_where_no_secret_key_is_needed_the_header_is_not_read(scene, revision):
    for given in ((), ("",), ("wrong",), ("wrong", "twice"), ("\xff",)):
        assert (await ask(scene, *given))[0] == 0


@every_revision
async def test_an_unknown_or_revoked_app_key_is_told_in_the_words_of_its_prefix(scene, revision):
    secret = scene.mine.secret_key
    await scene.house.keys.revoke("shop")

    assert await ask(scene, secret) == DENIED[revision]
    assert await ask(scene, secret, key="unknown") == DENIED[revision]


@every_revision
def test_who_calls_is_settled_before_the_body_is_read(scene, revision):
    for path in image_calls(revision):
        answer = scene.call(
            "POST", path, key="unknown", content=b"nonsense", headers={"Authorization": "wrong"}
        )

        assert told(answer) == DENIED[revision]


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("revision", ["v2.0"])
async def test_every_app_key_may_call_the_second_version(scene, edition):
    key = await scene.house.keys.create("of another age", edition)
    with_key = {"key": key.app_key, "headers": {"Authorization": key.secret_key}}

    made = scene.call("POST", "/groups", json={"groupId": "mine"}, **with_key)
    found = scene.call("GET", "/groups/mine", **with_key)
    missing = scene.call("GET", "/groups/other", **with_key)

    assert told(made) == (0, "Success")
    assert set(found.json()["data"]) == {"groupId", "createTime", "faceCount"}
    assert told(missing) == (-40030, "NotFoundGroupError")


@pytest.mark.parametrize("revision", ["v2.0"])
def test_both_prefixes_show_the_same_groups(scene):
    face = scene.register(SOLO)[0]

    answer = scene.client.get(f"{PREFIX}/{scene.key}/groups/{GROUP}/faces?limit=1")

    assert answer.json()["data"]["faces"][0]["faceId"] == face


@pytest.mark.parametrize("revision", ["v1.0"])
async def test_clients_of_every_age_share_one_server(scene):
    keys = [await scene.house.keys.create(edition, edition) for edition in EDITIONS]

    answers = [
        scene.client.get(
            f"{PREFIX}/{key.app_key}/groups?limit=1", headers={"Authorization": key.secret_key}
        )
        for key in keys
    ]

    assert [told(answer) for answer in answers] == [(0, "SUCCESS"), (0, "SUCCESS"), (0, "Success")]


@pytest.mark.parametrize("revision", ["v1.0"])
async def test_a_key_of_a_revision_nobody_serves_is_the_servers_fault(scene):
    key = await scene.house.keys.create("of the future", "v9")

    answer = scene.call("GET", "/groups?limit=1", key=key.app_key)

    assert told(answer) == (-50000, "InternalServerError")


# --- Routes


@pytest.mark.parametrize("revision", ["alpha", "2021"])
def test_who_came_before_verify_finds_no_such_route(scene, revision):
    face = scene.register(SOLO)[0]

    answer = scene.call(
        "POST", f"/verify/groups/{GROUP}/faces/{face}", json={"compareImage": PICTURE}
    )

    assert answer.status_code == 404
    assert answer.json()["header"] == {
        "isSuccessful": False,
        "resultCode": -40000,
        "resultMessage": "InvalidParam",
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/detect", 404),
        ("POST", "/compare", 404),
        ("POST", f"/groups/{GROUP}/search", 404),
        ("POST", f"/verify/groups/{GROUP}/faces/{ABSENT}", 404),
        ("POST", "/groups/", 404),
        ("GET", f"/groups/{GROUP}/faces/", 404),
        ("POST", f"/groups/{GROUP}", 405),
        ("GET", f"/groups/{GROUP}/faces/{ABSENT}", 405),
        ("GET", "/faces/detect", 405),
        ("HEAD", "/groups", 405),
        ("PUT", "/groups", 405),
    ],
)
@pytest.mark.parametrize("revision", ["v2.0"])
async def test_the_second_version_has_paths_of_its_own(scene, method, path, status):
    answer = await wire.send(scene.client.app, method, f"{PREFIX_V2}/{scene.key}{path}")

    assert (answer.status, answer.code) == (status, -40000)


# --- Quotas


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        ("alpha", (0, "SUCCESS")),
        ("2021", (0, "SUCCESS")),
        ("v1.0", (-40070, "ServiceQuotaExceededException")),
        ("v2.0", (-40070, "ServiceQuotaExceededException")),
    ],
)
def test_only_newer_clients_are_held_to_the_quota_of_groups(revision, expected):
    with open_scene(House(group_quota=1), revision) as scene:
        assert told(scene.call("POST", "/groups", json={"groupId": "more"})) == expected


@pytest.mark.parametrize(
    ("revision", "partly", "full"),
    [
        ("alpha", (0, "SUCCESS"), (-40000, "ServiceQuotaExceededException")),
        *(
            (
                revision,
                (40070, "ServiceQuotaExceededPartialSuccessException"),
                (-40070, "ServiceQuotaExceededException"),
            )
            for revision in ("2021", "v1.0", "v2.0")
        ),
    ],
)
def test_faces_over_the_quota_are_told_as_the_revision_knows(revision, partly, full):
    with open_scene(House(face_quota=1), revision) as scene:
        path = scene.surface.faces.format(GROUP)
        body = {"image": {"bytes": CROWD}, "limit": 20}

        first, second = (scene.call("POST", path, json=body) for _ in range(2))

    data = first.json()["data"]
    assert told(first) == partly
    assert (data["addedFaceCount"], data["notAddedFaceCount"]) == (1, 3)
    assert (len(data["addedFaces"]), len(data["notAddedFaces"])) == (1, 3)
    assert told(second) == full


# --- Pictures


@pytest.mark.parametrize(
    ("revision", "limits"),
    [
        ("alpha", ImageLimits(max_bytes=5_000_000, min_side=80, shrink_to=2048)),
        ("2021", ImageLimits(max_bytes=5_000_000, min_side=80, shrink_to=2048)),
        ("v1.0", ImageLimits(max_bytes=3_000_000, min_side=80, shrink_to=None)),
        ("v2.0", ImageLimits(max_bytes=3_000_000, min_side=80, shrink_to=None)),
    ],
)
def test_every_picture_is_opened_under_the_limits_of_the_revision(scene, revision, limits):
    face = scene.register(SOLO)[0]
    scene.house.images.limits.clear()
    calls = image_calls(revision)
    if revision in {"alpha", "2021"}:
        calls = {path: body for path, body in calls.items() if "verify" not in path}

    for path, body in calls.items():
        assert code(scene.call("POST", path.replace(ABSENT, face), json=body)) == 0

    opened = scene.house.images.limits
    assert len(opened) == len(calls) + 1  # two for compare
    assert set(opened) == {limits}


@pytest.mark.parametrize(
    ("revision", "picture"),
    [("alpha", 5_000_000), ("2021", 5_000_000), ("v1.0", 3_000_000), ("v2.0", 3_000_000)],
)
def test_a_body_may_hold_the_largest_picture_in_lines_of_base64(scene, revision, picture):
    text = "QUFB" * (picture // 3 + 1)
    lines = "\\r\\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    path = next(iter(image_calls(revision)))

    fits = scene.call("POST", path, content=f'{{"image": {{"bytes": "{lines}"}}}}'.encode())
    too_long = scene.call("POST", path, content=b" " * (picture * 4 // 3 * 11 // 10))

    # The fake intake knows no such picture, but it was asked.
    assert told(fits)[1] in {"InvalidImageBytesException", "InvalidImageFormatException"}
    assert told(too_long)[1] == "ImageTooLargeException"


@pytest.mark.parametrize(
    ("revision", "token"),
    [
        ("alpha", "ImageImageTooLargeException:Source"),
        ("2021", "ImageImageTooLargeException:Source"),
        ("v1.0", "ImageTooLargeException"),
        ("v2.0", "ImageTooLargeException"),
    ],
)
def test_two_pictures_longer_than_a_body_may_be_have_a_token_that_compare_documents(
    scene, revision, token
):
    path = "/faces/compare" if revision == "v2.0" else "/compare?threshold=90"

    answer = scene.call("POST", path, content=b" " * 15_000_000)

    assert told(answer)[1] == token


@pytest.mark.parametrize(
    ("revision", "most"), [("alpha", 100), ("2021", 20), ("v1.0", 20), ("v2.0", 20)]
)
def test_so_many_faces_are_reported_and_registered_at_most(scene, revision, most):
    multitude = [Drawn(ADA, 60 + number, left=70 * number) for number in range(120)]
    scene.house.show("bWFueQ==", *multitude, width=10_000)
    picture = {"image": {"bytes": "bWFueQ=="}}
    detect = next(iter(image_calls(revision)))
    register = scene.surface.faces.format(GROUP)

    found = scene.data("POST", detect, json=picture)
    added = scene.data("POST", register, json={**picture, "limit": most})

    assert found["faceDetailCount"] == len(found["faceDetails"]) == most
    assert (added["addedFaceCount"], added["notAddedFaceCount"]) == (most, 0)


# --- Compare

NAMES_PICTURES = {"alpha": "Image{}:{}", "2021": "Image{}:{}", "v1.0": "{}", "v2.0": "{}"}
TOKENS = {
    errors.ImageTooLarge: "ImageTooLargeException",
    errors.InvalidImageFormat: "InvalidImageFormatException",
    errors.InvalidImageUrl: "InvalidImageURLException",
    errors.ImageTimeout: "ImageTimeoutError",
}


@every_revision
@pytest.mark.parametrize("kind", TOKENS, ids=lambda kind: kind.__name__)
def test_compare_names_the_wrong_picture_where_the_tables_do(scene, revision, kind):
    scene.house.spoil("spoiled", kind())
    wrong = {"url": "spoiled"}

    def ask(**pictures):
        body = {**PAIR, **pictures}
        return told(scene.call("POST", compare_path(revision, "?threshold=90"), json=body))[1]

    printed = NAMES_PICTURES[revision]
    assert ask(sourceImage=wrong) == printed.format(TOKENS[kind], "Source")
    assert ask(targetImage=wrong) == printed.format(TOKENS[kind], "Target")
    assert ask(sourceImage=wrong, targetImage=wrong) == printed.format(TOKENS[kind], "Source")


@pytest.mark.parametrize("revision", ["alpha", "2021"])
@pytest.mark.parametrize("kind", [errors.InvalidImageBytes, errors.InvalidImageFile])
def test_compare_tells_older_clients_of_a_wrong_format(scene, revision, kind):
    scene.house.spoil("spoiled", kind())
    body = {**PAIR, "targetImage": {"bytes": "spoiled"}}

    answer = scene.call("POST", "/compare?threshold=90", json=body)

    number = -45000 if revision == "alpha" else -45040
    assert told(answer) == (number, "ImageInvalidImageFormatException:Target")


@every_revision
def test_a_picture_that_is_too_small_or_shows_nobody_is_a_wrong_parameter(scene, revision):
    scene.house.show("c21hbGw=", width=79)
    path = compare_path(revision, "?threshold=90")

    small = [
        scene.call("POST", path, json={**PAIR, name: {"bytes": "c21hbGw="}})
        for name in ("sourceImage", "targetImage")
    ]
    nobody = scene.call("POST", path, json={**PAIR, "sourceImage": {"bytes": NOBODY}})

    assert {told(answer) for answer in (*small, nobody)} == {INVALID}


@pytest.mark.parametrize(
    ("revision", "in_query"), [("alpha", False), ("2021", True), ("v1.0", True), ("v2.0", False)]
)
def test_the_threshold_of_compare_is_read_in_one_place_only(scene, revision, in_query):
    scene.house.show("aGFsZg==", Drawn(HALF_ADA, 100))  # similarity 75 to Ada
    pictures = {"sourceImage": PICTURE, "targetImage": {"bytes": "aGFsZg=="}}

    def matched(query, body):
        path = compare_path(revision, f"?threshold={query}")
        answer = scene.call("POST", path, json={**pictures, "threshold": body})
        return answer.json()["data"]["matchedFaceDetailCount"]

    assert (matched(70, 80), matched(80, 70)) == ((1, 0) if in_query else (0, 1))


@pytest.mark.parametrize("revision", ["alpha"])
@pytest.mark.parametrize("body", [{}, {"threshold": "90"}, {"threshold": None}, {"threshold": 9.5}])
def test_alpha_needs_the_threshold_of_compare_in_the_body(scene, body):
    pictures = {"sourceImage": PICTURE, "targetImage": PICTURE}

    answer = scene.call("POST", "/compare?threshold=90", json={**pictures, **body})

    assert told(answer) == INVALID


@pytest.mark.parametrize("revision", ["v2.0"])
def test_compare_without_a_threshold_takes_that_of_every_other_sample(scene):
    scene.house.show("bmVhcg==", Drawn(ADA, 100), Drawn(HALF_ADA, 90), Drawn(BOB, 80))
    pictures = {"sourceImage": PICTURE, "targetImage": {"bytes": "bmVhcg=="}}

    without = scene.data("POST", "/faces/compare", json=pictures)
    with_it = scene.data("POST", "/faces/compare", json={**pictures, "threshold": 90})

    assert without == with_it
    assert (without["matchedFaceDetailCount"], without["unmatchedFaceDetailCount"]) == (1, 2)


# --- Numbers in JSON


@pytest.mark.parametrize("revision", ["v2.0"])
@pytest.mark.parametrize("name", ["limit", "threshold"])
@pytest.mark.parametrize("value", ["5", 0, 101, 5.0, True, None, [5], 2**63])
def test_a_number_in_json_is_a_number(scene, name, value):
    body = {"image": PICTURE, "limit": 5, "threshold": 5, name: value}

    assert told(scene.call("POST", f"/groups/{GROUP}/faces/search", json=body)) == INVALID
