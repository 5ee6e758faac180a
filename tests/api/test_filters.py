"""Lists of faces narrowed down by a client of v2.0."""

import pytest

from tests.api import wire
from tests.api.scenes import CROWD, GROUP, SOLO, code, open_scene, told

FACES = f"/groups/{GROUP}/faces"
ABSENT = "9297db50-d4f2-c6b8-ea05-edf2013089fd"


@pytest.fixture
def scene():
    with open_scene(revision="v2.0") as scene:
        yield scene


def listed(scene, **query):
    params = {"limit": 200, **{name.replace("_", "-"): value for name, value in query.items()}}
    data = scene.data("GET", FACES, params=params)
    assert data["faceCount"] == len(data["faces"])
    return [face["faceId"] for face in data["faces"]], data["nextToken"]


def images(scene):
    """Image ids by face id."""
    faces = scene.data("GET", f"{FACES}?limit=200")["faces"]
    return {face["faceId"]: face["imageId"] for face in faces}


def test_a_list_shows_what_equals_every_filter(scene):
    ada, bob = scene.register(CROWD, externalImageId="gate")
    more = scene.register(SOLO, externalImageId="gate")[0]
    scene.register(SOLO, externalImageId="door")
    scene.register(SOLO)
    image = images(scene)[ada]

    assert listed(scene, face_id=ada) == ([ada], "")
    assert listed(scene, image_id=image) == ([bob, ada], "")
    assert listed(scene, external_image_id="gate") == ([more, bob, ada], "")
    assert listed(scene, external_image_id="gate", image_id=image) == ([bob, ada], "")
    assert listed(scene, external_image_id="gate", image_id=image, face_id=bob) == ([bob], "")
    assert listed(scene, external_image_id="door", face_id=bob) == ([], "")


def test_an_empty_filter_is_none(scene):
    faces = scene.register(CROWD)

    assert listed(scene, face_id="", image_id="", external_image_id="") == (faces[::-1], "")


@pytest.mark.parametrize("name", ["face-id", "image-id"])
@pytest.mark.parametrize(
    "value",
    [
        ABSENT,
        "1",
        "%00",
        "a%00b",
        "%0A",
        "%EA%B0%80",
        "x" * 5_000,
        "%7B%7D",
        "%25",
        "'",
        "%FF",
        "*",
    ],
    ids=lambda value: value[:12],
)
async def test_an_id_nobody_was_given_shows_nothing_in_whatever_form(name, value, scene):
    scene.register(CROWD)
    target = f"{scene.surface.prefix}/{scene.key}{FACES}?limit=9&{name}={value}"

    answer = await wire.send(scene.client.app, "GET", target, headers=scene.credentials.items())

    assert (answer.status, answer.code) == (200, 0)
    assert b'"faces":[]' in answer.body


@pytest.mark.parametrize("value", ["a b", "/", "가", "a" * 256, "a\0", "a\n", "%"])
def test_a_malformed_external_image_id_is_a_wrong_parameter(value, scene):
    answer = scene.call("GET", FACES, params={"limit": 9, "external-image-id": value})

    assert told(answer) == (-40000, "InvalidParam")


@pytest.mark.parametrize("name", ["face-id", "image-id", "external-image-id"])
def test_a_filter_given_twice_is_a_wrong_parameter(name, scene):
    answer = scene.call("GET", f"{FACES}?limit=9&{name}=a&{name}=a")

    assert told(answer) == (-40000, "InvalidParam")


def test_a_filter_goes_with_the_token_and_those_of_the_request_do_not_count(scene):
    labels = ["gate", "door"] * 3
    faces = [scene.register(SOLO, externalImageId=label)[0] for label in labels]
    wanted, other = faces[::2], faces[1]
    first, token = listed(scene, limit=1, external_image_id="gate")

    second, token = listed(scene, limit=200, external_image_id="door", next_token=token)
    third, last = listed(scene, face_id=other, next_token=token)

    assert [*first, *second, *third] == wanted[::-1]
    assert last == ""


def test_with_a_token_not_even_a_malformed_filter_counts(scene):
    for _ in range(2):
        scene.register(SOLO)
    _, token = listed(scene, limit=1)

    shown, _ = listed(scene, external_image_id="/", next_token=token)

    assert len(shown) == 1


def test_a_token_of_a_list_without_filters_has_none(scene):
    faces = [scene.register(SOLO, externalImageId=name)[0] for name in ("gate", "door")]
    _, token = listed(scene, limit=1)

    assert listed(scene, external_image_id="door", next_token=token) == (faces[:1], "")


def test_filters_are_checked_before_the_group(scene):
    answer = scene.call("GET", "/groups/absent/faces?limit=1&external-image-id=%2F")
    absent = scene.call("GET", "/groups/absent/faces?limit=1&external-image-id=a")

    assert (code(answer), code(absent)) == (-40000, -40030)


@pytest.mark.parametrize("revision", ["alpha", "2021", "v1.0"])
def test_the_first_version_knows_no_filters(revision):
    with open_scene(revision=revision) as scene:
        faces = scene.register(CROWD, externalImageId="gate")

        assert listed(scene, external_image_id="/", face_id=faces[0]) == (faces[::-1], "")
