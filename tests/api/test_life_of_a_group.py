"""What a client does with the twelve routes, from the first group to the last face."""

import re

from tests.api.scenes import CROWD, GROUP, NOBODY, SOLO, code, open_scene
from tests.fakes import EPOCH, House

FACE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_a_group_lives_from_creation_to_deletion(scene):
    added = scene.register(CROWD, externalImageId="front-door_1.jpg")
    found = scene.data(
        "POST",
        f"/groups/{GROUP}/search?limit=10&threshold=90",
        json={"image": {"bytes": SOLO}},
    )
    scene.data("DELETE", f"/groups/{GROUP}/faces/{added[0]}")
    left = scene.shown()
    scene.data("DELETE", f"/groups/{GROUP}")

    assert len(added) == 2
    assert [m["face"]["faceId"] for m in found["matchFaces"]] == [added[0]]
    assert found["matchFaces"][0]["face"]["externalImageId"] == "front-door_1.jpg"
    assert found["matchFaces"][0]["similarity"] == 100.0
    assert left == [added[1]]
    assert code(scene.call("GET", f"/groups/{GROUP}")) == -40030


def test_details_count_the_faces_and_tell_local_time(scene):
    scene.register(CROWD)

    data = scene.data("GET", f"/groups/{GROUP}")

    assert EPOCH.isoformat() == "2020-09-29T05:34:12+00:00"
    assert data == {
        "groupCount": 1,
        "groups": [
            {
                "groupId": GROUP,
                "modelVersion": "fake-1",
                "createTime": "2020-09-29T14:34:12",
                "faceCount": 2,
            }
        ],
    }


def test_detect_shows_every_face_largest_first(scene):
    data = scene.data("POST", "/detect", json={"image": {"bytes": CROWD}})

    boxes = [face["bbox"] for face in data["faceDetails"]]
    assert data["faceDetailCount"] == 4
    assert [round((b["x1"] - b["x0"]) * 640) for b in boxes] == [200, 100, 80, 59]
    assert boxes[0] == {"x0": 100 / 640, "y0": 0.0, "x1": 300 / 640, "y1": 200 / 480}
    assert [mark["type"] for mark in data["faceDetails"][0]["landmarks"]] == [
        "leftEye",
        "rightEye",
        "nose",
        "leftLip",
        "rightLip",
    ]
    assert data["faceDetails"][2]["orientation"] == {"x": 46.0, "y": 0.0, "z": 1.25}
    assert [face["mask"] for face in data["faceDetails"]] == [False, False, True, False]


def test_a_picture_of_nobody_is_no_error_to_detect_and_to_register(scene):
    seen = scene.data("POST", "/detect", json={"image": {"bytes": NOBODY}})
    kept = scene.data("POST", f"/groups/{GROUP}", json={"image": {"bytes": NOBODY}, "limit": 1})

    assert seen == {"faceDetailCount": 0, "faceDetails": []}
    assert kept == {
        "modelVersion": "fake-1",
        "addedFaceCount": 0,
        "addedFaces": [],
        "addedFaceDetails": [],
        "notAddedFaceCount": 0,
        "notAddedFaces": [],
    }


def test_faces_of_one_picture_share_an_image_id_and_have_ids_of_their_own(scene):
    body = {"image": {"bytes": CROWD}, "limit": 20}

    data = scene.data("POST", f"/groups/{GROUP}", json=body)

    assert data["addedFaceCount"] == data["notAddedFaceCount"] == 2
    assert len({face["imageId"] for face in data["addedFaces"]}) == 1
    ids = [face["faceId"] for face in data["addedFaces"]]
    assert len(set(ids)) == 2
    assert all(FACE_ID.fullmatch(face_id) for face_id in ids)
    assert [f["bbox"] for f in data["addedFaces"]] == [f["bbox"] for f in data["addedFaceDetails"]]


def test_an_external_image_id_that_was_not_given_is_left_out(scene):
    scene.register(SOLO)

    faces = scene.data("GET", f"/groups/{GROUP}/faces?limit=1")["faces"]

    assert set(faces[0]) == {"bbox", "confidence", "faceId", "imageId"}


def test_compare_parts_the_faces_of_the_target(scene):
    body = {"sourceImage": {"bytes": SOLO}, "targetImage": {"bytes": CROWD}}

    data = scene.data("POST", "/compare?threshold=90", json=body)

    assert [face["similarity"] for face in data["matchedFaceDetails"]] == [100.0]
    assert [face["similarity"] for face in data["unmatchedFaceDetails"]] == [50.0, 50.0, 50.0]
    assert (data["matchedFaceDetailCount"], data["unmatchedFaceDetailCount"]) == (1, 3)


def test_compare_succeeds_when_only_the_target_shows_nobody(scene):
    body = {"sourceImage": {"bytes": SOLO}, "targetImage": {"bytes": NOBODY}}
    turned = {"sourceImage": {"bytes": NOBODY}, "targetImage": {"bytes": SOLO}}

    data = scene.data("POST", "/compare?threshold=1", json=body)
    refused = scene.call("POST", "/compare?threshold=1", json=turned)

    assert data["matchedFaceDetails"] == data["unmatchedFaceDetails"] == []
    assert code(refused) == -40000


def test_verify_tells_how_similar_a_picture_is_to_a_registered_face(scene):
    ada, bob = scene.register(CROWD)
    body = {"compareImage": {"bytes": SOLO}}

    same = scene.data("POST", f"/verify/groups/{GROUP}/faces/{ada}", json=body)
    other = scene.data("POST", f"/verify/groups/{GROUP}/faces/{bob}", json=body)

    assert (same["similarity"], other["similarity"]) == (100.0, 50.0)
    assert same["face"]["faceId"] == ada


def test_a_picture_may_come_by_address(scene):
    scene.house.show("https://pictures.example/solo.jpg")
    body = {"image": {"url": "https://pictures.example/solo.jpg", "bytes": None}}

    assert scene.data("POST", "/detect", json=body)["faceDetailCount"] == 0


def test_a_list_of_groups_is_walked_by_tokens_that_keep_their_limit(scene):
    for name in ("b", "a", "d", "c"):
        scene.data("POST", "/groups", json={"groupId": name})

    first = scene.data("GET", "/groups?limit=2")
    second = scene.data("GET", f"/groups?limit=200&next-token={first['nextToken']}")
    last = scene.data("GET", f"/groups?limit=x&next-token={second['nextToken']}")

    pages = [[g["groupId"] for g in page["groups"]] for page in (first, second, last)]
    assert pages == [["a", "b"], ["c", "d"], [GROUP]]
    assert [page["groupCount"] for page in (first, second, last)] == [2, 2, 1]
    assert last["nextToken"] == ""


def test_a_list_of_faces_is_walked_newest_first(scene):
    ids = [scene.register(SOLO)[0] for _ in range(3)]

    first = scene.data("GET", f"/groups/{GROUP}/faces?limit=2")
    last = scene.data("GET", f"/groups/{GROUP}/faces?next-token={first['nextToken']}")

    assert [face["faceId"] for face in first["faces"]] == [ids[2], ids[1]]
    assert [face["faceId"] for face in last["faces"]] == [ids[0]]
    assert (first["faceCount"], last["faceCount"], last["nextToken"]) == (2, 1, "")


def test_a_page_that_ends_the_list_exactly_has_no_token(scene):
    scene.register(SOLO)
    scene.register(SOLO)

    assert scene.data("GET", f"/groups/{GROUP}/faces?limit=2")["nextToken"] == ""


def test_tenants_never_see_each_other(scene):
    face = scene.register(SOLO)[0]
    theirs = scene.other_key

    assert code(scene.call("GET", f"/groups/{GROUP}", key=theirs)) == -40030
    assert code(scene.call("DELETE", f"/groups/{GROUP}", key=theirs)) == -40030
    assert code(scene.call("DELETE", f"/groups/{GROUP}/faces/{face}", key=theirs)) == -40030
    assert scene.call("GET", "/groups?limit=9", key=theirs).json()["data"]["groups"] == []
    assert code(scene.call("POST", "/groups", key=theirs, json={"groupId": GROUP})) == 0
    assert code(scene.call("DELETE", f"/groups/{GROUP}/faces/{face}", key=theirs)) == -40050
    assert scene.shown() == [face]


def test_a_group_keeps_the_model_it_was_made_with(scene):
    scene.register(SOLO)
    scene.house.open_another_model()
    scene.data("POST", "/groups", json={"groupId": "new"})

    body = {"image": {"bytes": SOLO}}
    old = scene.data("POST", f"/groups/{GROUP}/search?limit=1&threshold=100", json=body)
    groups = scene.data("GET", "/groups?limit=9")["groups"]

    assert (old["modelVersion"], old["matchFaceCount"]) == ("fake-1", 1)
    assert groups == [
        {"groupId": "new", "modelVersion": "fake-2"},
        {"groupId": GROUP, "modelVersion": "fake-1"},
    ]


def test_a_full_group_takes_the_largest_faces_that_still_fit():
    with open_scene(House(face_quota=1)) as scene:
        body = {"image": {"bytes": CROWD}, "limit": 2}
        answer = scene.call("POST", f"/groups/{GROUP}", json=body)
        again = scene.call("POST", f"/groups/{GROUP}", json=body)

    partial = answer.json()
    assert partial["header"] == {
        "isSuccessful": True,
        "resultCode": 40070,
        "resultMessage": "ServiceQuotaExceededPartialSuccessException",
    }
    assert (partial["data"]["addedFaceCount"], partial["data"]["notAddedFaceCount"]) == (1, 3)
    assert partial["data"]["addedFaces"][0]["bbox"]["x0"] == 100 / 640
    assert code(again) == -40070


def test_confidence_can_be_shown_as_the_later_samples_do():
    with open_scene(House(confidence_scale=1)) as scene:
        data = scene.data("POST", "/detect", json={"image": {"bytes": SOLO}})

    assert data["faceDetails"][0]["confidence"] == 0.995
