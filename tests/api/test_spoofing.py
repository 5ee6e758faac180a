"""Photos and screens held up to a camera: where faces are judged, and how readily."""

from base64 import b64decode

import pytest

from app.api.schemas import Detect
from app.domain import errors
from tests.api.parts import file, form, text
from tests.api.scenes import CROWD, GROUP, NOBODY, SOLO, code, open_scene, told
from tests.fakes import ADA, BOB, CLEO, Drawn, FakeProbe, House

SHOWN = "c2hvd24="  # somebody at 0.6: shown only where conditions are strict
CROP = "Y3JvcHBl"
MANY = "bWFueQ=="
CONDITIONS = {"weak": False, "balanced": False, "strict": True}
PREFIXES = ("v1.0", "v2.0")
REASON = "the model pack in use has no spoofing models"
SPOOFING = {"v1.0": "/spoofing", "v2.0": "/spoofing/faces", "liveness": "/spoofing"}
LIVENESS = "/v1.0/appkeys"
THREE = tuple(SPOOFING)

every_surface = pytest.mark.parametrize("surface", THREE)
both_prefixes = pytest.mark.parametrize("revision", PREFIXES)


def furnished():
    house = House()
    house.show(SHOWN, Drawn(ADA, 200, live=0.6), Drawn(BOB, 100, left=300, live=0.1))
    house.show(CROP, Drawn(ADA, 200, live=0.6), width=224, height=224)
    house.show(MANY, *(Drawn(CLEO, 20 + n, left=25 * n) for n in range(22)))
    return house


@pytest.fixture
def scene(revision):
    with open_scene(furnished(), revision) as scene:
        yield scene


@pytest.fixture(scope="module")
def surfaces():
    """The two prefixes and the liveness service, for tests that change nothing."""
    with open_scene(furnished()) as old, open_scene(furnished(), "v2.0") as new:
        yield {"v1.0": old, "v2.0": new, "liveness": new}


@pytest.fixture
def ask(surfaces, surface):
    """Sends a request to the spoofing route of a surface."""
    scene = surfaces[surface]
    prefix = LIVENESS if surface == "liveness" else scene.surface.prefix

    def send(**options):
        headers = {**scene.credentials, **options.pop("headers", {})}
        target = f"{prefix}/{scene.key}{SPOOFING[surface]}"
        return scene.client.post(target, headers=headers, **options)

    return send


def calls(scene, revision, **fields):
    """A request of each route that tells faces, with the faces its answer tells."""
    face_id = scene.register(SHOWN)[0]
    one: dict[str, object] = {"image": {"bytes": SHOWN}}
    pair: dict[str, object] = {"sourceImage": {"bytes": SHOWN}, "targetImage": {"bytes": SHOWN}}
    if revision == "v1.0":
        search = f"/groups/{GROUP}/search?limit=1&threshold=1"
        verify = f"/verify/groups/{GROUP}/faces/{face_id}"
        paths = "/detect", f"/groups/{GROUP}", search, "/compare?threshold=90", verify
    else:
        at = f"/groups/{GROUP}/faces"
        paths = "/faces/detect", at, f"{at}/search", "/faces/compare", f"{at}/{face_id}/verify"
    bodies: list[dict[str, object]] = [
        one,
        {"limit": 1, **one},
        {"limit": 1, "threshold": 1, **one},
        {"threshold": 90, **pair},
        {"compareImage": {"bytes": SHOWN}},
    ]
    for path, body in zip(paths, bodies, strict=True):
        yield scene.data("POST", path, json={**body, **fields})


def told_faces(data):
    """Every face an answer tells in detail, wherever it stands."""
    details = [*data.get("faceDetails", ()), *data.get("addedFaceDetails", ())]
    details += data.get("notAddedFaces", ())
    for name in ("matchedFaceDetails", "unmatchedFaceDetails"):
        details += [face["faceDetail"] for face in data.get(name, ())]
    return [*details, data["sourceFace"]] if "sourceFace" in data else details


# --- Where faces are told


@both_prefixes
@pytest.mark.parametrize(("condition", "suspected"), CONDITIONS.items())
def test_every_face_an_answer_tells_is_judged_where_it_is_asked(
    scene, revision, condition, suspected
):
    answers = list(calls(scene, revision, spoofing=True, spoofingCondition=condition))

    assert len(answers) == 5
    for data in answers:
        faces = told_faces(data)
        assert faces
        assert {face["spoofing"] for face in faces if face["bbox"]["x0"] == 0} == {suspected}
        assert all(face["spoofing"] for face in faces if face["bbox"]["x0"] > 0)


@both_prefixes
def test_the_field_stands_between_mask_and_confidence_as_the_samples_print_it(scene, revision):
    detect, *_ = calls(scene, revision, spoofing=True)

    assert list(told_faces(detect)[0])[-3:] == ["mask", "spoofing", "confidence"]


@both_prefixes
@pytest.mark.parametrize("fields", [{}, {"spoofing": False}, {"spoofingCondition": "strict"}])
def test_nobody_is_judged_where_it_is_not_asked(scene, revision, fields):
    for data in calls(scene, revision, **fields):
        assert not any("spoofing" in face for face in told_faces(data))


@both_prefixes
def test_stored_faces_are_never_judged(scene, revision):
    _, registered, searched, *_ = calls(scene, revision, spoofing=True)

    assert "spoofing" not in registered["addedFaces"][0]
    assert "spoofing" not in searched["matchFaces"][0]["face"]


@both_prefixes
@pytest.mark.parametrize(
    "fields",
    [
        {"spoofing": "true"},
        {"spoofing": 1},
        {"spoofing": None},
        {"spoofingCondition": "lax"},
        {"spoofingCondition": "Strict"},
        {"spoofingCondition": None},
        {"spoofingCondition": True},
    ],
)
def test_anything_else_is_refused(surfaces, revision, fields):
    path = "/detect" if revision == "v1.0" else "/faces/detect"
    body = {"image": {"bytes": SOLO}, **fields}

    assert code(surfaces[revision].call("POST", path, json=body)) == -40000


@pytest.mark.parametrize(("condition", "suspected"), CONDITIONS.items())
@pytest.mark.parametrize("given", ["true", "True"])
def test_a_form_asks_the_same(surfaces, condition, suspected, given):
    parts = [text("spoofing", given), text("spoofingCondition", condition)]
    body = form(file("imageFile", b64decode(SHOWN)), *parts)

    data = surfaces["v2.0"].data("POST", "/faces/detect", **body.options)

    assert [face["spoofing"] for face in data["faceDetails"]] == [suspected, True]


@pytest.mark.parametrize("edition", ["alpha", "2021"])
@pytest.mark.parametrize("value", [True, "yes", None])
def test_older_revisions_know_no_such_field(edition, value):
    with open_scene(furnished(), edition) as scene:
        body = {"image": {"bytes": SHOWN}, "spoofing": value, "spoofingCondition": value}

        data = scene.data("POST", "/detect", json=body)

    assert not any("spoofing" in face for face in data["faceDetails"])


@pytest.mark.parametrize("edition", ["alpha", "2021"])
def test_older_revisions_know_no_such_route(edition):
    with open_scene(furnished(), edition) as scene:
        answer = scene.call("POST", "/spoofing", json={"image": {"bytes": SOLO}})

    assert answer.status_code == 404


# --- The routes of their own


@every_surface
@pytest.mark.parametrize(("condition", "suspected"), CONDITIONS.items())
def test_faces_are_told_apart_largest_first(ask, condition, suspected):
    answer = ask(json={"image": {"bytes": SHOWN}, "spoofingCondition": condition})

    assert told(answer) == (0, "Success")
    data = answer.json()["data"]
    assert data["faceDetailCount"] == 2
    assert [face["spoofing"] for face in data["faceDetails"]] == [suspected, True]
    assert list(data["faceDetails"][0]) == ["bbox", "landmarks", "spoofing", "confidence"]


@every_surface
def test_the_condition_is_balanced_when_nobody_says(ask):
    answer = ask(json={"image": {"bytes": SHOWN}})

    assert answer.json()["data"]["faceDetails"][0]["spoofing"] is CONDITIONS["balanced"]


@every_surface
def test_no_more_than_twenty_faces_are_told(ask):
    data = ask(json={"image": {"bytes": MANY}}).json()["data"]

    assert data["faceDetailCount"] == len(data["faceDetails"]) == 20


@every_surface
def test_a_picture_of_nobody_is_no_error(ask):
    answer = ask(json={"image": {"bytes": NOBODY}})

    assert code(answer) == 0
    assert answer.json()["data"] == {"faceDetailCount": 0, "faceDetails": []}


@every_surface
@pytest.mark.parametrize(
    "fields",
    [
        {"image": None},
        {"image": {}},
        {"image": {"bytes": SOLO, "url": "https://pictures/solo"}},
        {"spoofingCondition": "lax"},
        {"spoofingCondition": 2},
    ],
)
def test_what_is_not_documented_is_refused(ask, fields):
    assert code(ask(json={"image": {"bytes": SOLO}, **fields})) == -40000


@every_surface
def test_flags_of_other_routes_are_fields_nobody_knows(ask):
    body = {"image": {"bytes": SOLO}, "orientation": "yes", "mask": 1, "spoofing": None}

    answer = ask(json=body)

    assert code(answer) == 0
    assert set(answer.json()["data"]["faceDetails"][0]) == {
        "bbox",
        "landmarks",
        "spoofing",
        "confidence",
    }


@pytest.mark.parametrize("surface", ["v2.0", "liveness"])
def test_a_file_of_a_form_is_the_picture(ask, surface):
    body = form(file("imageFile", b64decode(SHOWN)), text("spoofingCondition", "strict"))

    answer = ask(**body.options)

    assert [face["spoofing"] for face in answer.json()["data"]["faceDetails"]] == [True, True]


@pytest.mark.parametrize("surface", ["v2.0", "liveness"])
@pytest.mark.parametrize("secret", ["", "wrong", "Bearer "])
def test_the_secret_key_is_needed(ask, surface, secret):
    answer = ask(json={"image": {"bytes": SOLO}}, headers={"Authorization": secret})

    assert told(answer) == (-41005, "UnauthorizedAppKeyOrSecretKey")


@every_surface
def test_an_api_key_of_the_cloud_is_accepted_and_ignored(ask):
    answer = ask(json={"image": {"bytes": SOLO}}, headers={"x-nhn-apikey": "whatever"})

    assert code(answer) == 0


# --- Crops that the caller has aligned


both_aligned = pytest.mark.parametrize("surface", PREFIXES)


@both_aligned
@pytest.mark.parametrize(("condition", "suspected"), CONDITIONS.items())
def test_an_aligned_crop_is_one_face_without_a_place(ask, condition, suspected):
    body = {"image": {"bytes": CROP}, "aligned": True, "spoofingCondition": condition}

    answer = ask(json=body)

    face = {
        "bbox": {"x0": 0, "y0": 0, "x1": 0, "y1": 0},
        "landmarks": [],
        "spoofing": suspected,
        "confidence": 0,
    }
    assert told(answer) == (0, "Success")
    assert answer.json()["data"] == {"faceDetailCount": 1, "faceDetails": [face]}


@both_aligned
@pytest.mark.parametrize(
    ("width", "height"), [(224, 223), (225, 224), (112, 112), (79, 79), (1, 1), (448, 448)]
)
def test_an_aligned_crop_of_another_size_is_refused(surfaces, ask, surface, width, height):
    crop = surfaces[surface].house.show("b2RkLg==", Drawn(ADA, 1), width=width, height=height)

    answer = ask(json={"image": {"bytes": crop}, "aligned": True})

    assert told(answer) == (-45070, "InvalidImageSizeException")


@both_aligned
def test_without_aligned_a_small_picture_is_small_as_everywhere(surfaces, ask, surface):
    small = surfaces[surface].house.show("c21hbGw=", Drawn(ADA, 1), width=79, height=79)

    assert code(ask(json={"image": {"bytes": small}})) == -40000


@both_aligned
@pytest.mark.parametrize("value", ["true", 1, None])
def test_aligned_is_true_or_false(ask, value):
    assert code(ask(json={"image": {"bytes": CROP}, "aligned": value})) == -40000


def test_a_form_says_aligned_too(surfaces):
    body = form(file("imageFile", b64decode(CROP)), text("aligned", "true"))

    data = surfaces["v2.0"].data("POST", "/spoofing/faces", **body.options)

    assert data["faceDetails"][0]["landmarks"] == []


@pytest.mark.parametrize("surface", ["liveness"])
def test_the_liveness_service_knows_no_aligned(ask):
    answer = ask(json={"image": {"bytes": SHOWN}, "aligned": True})

    assert answer.json()["data"]["faceDetailCount"] == 2


# --- What can go wrong


@every_surface
def test_bytes_that_are_not_base64_have_the_token_of_that_guide_here_alone(surfaces, surface, ask):
    other = "/detect" if surface == "v1.0" else "/faces/detect"
    body = {"image": {"bytes": "!!!!"}}

    assert told(ask(json=body)) == (-45030, "InvalidImageParameterException")
    there = surfaces[surface].call("POST", other, json=body)
    assert told(there) == (-45030, "InvalidImageBytesException")


@both_prefixes
def test_a_pack_without_spoofing_models_says_so(revision):
    house = furnished()
    house.vision.detects_spoofing = False
    with open_scene(house, revision) as scene:
        path = "/detect" if revision == "v1.0" else "/faces/detect"
        asked = scene.call("POST", path, json={"image": {"bytes": SOLO}, "spoofing": True})
        nobody = scene.call("POST", path, json={"image": {"bytes": NOBODY}, "spoofing": True})
        route = scene.call("POST", SPOOFING[revision], json={"image": {"bytes": SOLO}})
        crop = {"image": {"bytes": CROP}, "aligned": True}
        aligned = scene.call("POST", SPOOFING[revision], json=crop)
        plain = scene.call("POST", path, json={"image": {"bytes": SOLO}})

    for answer in (asked, nobody, route, aligned):
        assert told(answer) == (-50000, "InternalServerError")
        assert answer.headers["X-Error-Detail"] == REASON
    assert code(plain) == 0


def test_a_server_without_spoofing_models_is_ready_and_says_so():
    house = furnished()
    house.optional.append(FakeProbe("spoofing", errors.SpoofingUnavailable()))

    with open_scene(house) as scene:
        answer = scene.client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "spoofing": REASON}}


def test_the_fields_have_the_documented_defaults():
    body = Detect.model_validate({"image": {"bytes": CROWD}})

    assert (body.spoofing, body.spoofingCondition) == (False, "balanced")
