"""Faces that are too poor for the operator's filter are not added, and the answer says why."""

from dataclasses import replace

import pytest

from app.domain.quality import Quality, QualityLevel
from app.domain.values import Eligibility
from tests.api.scenes import SURFACES, open_scene
from tests.fakes import ADA, BOB, CLEO, Drawn, House

PICTURE = "cG9vcg=="
SHARP = Quality(0.9, 0.9, 0.9, 0.9, 0.9)
BLURRED = replace(SHARP, sharpness=0.1, light=0.4)


def registered(level, revision="v1.0"):
    """The answer to a picture of a blurred face, a good one and a small one that looks away."""
    house = House(eligibility=Eligibility(quality=level))
    house.show(
        PICTURE,
        Drawn(ADA, 200, quality=BLURRED),
        Drawn(BOB, 150, left=200, quality=SHARP),
        Drawn(CLEO, 40, left=400, yaw=50.0, quality=SHARP),
    )
    with open_scene(house, revision) as scene:
        body = {"image": {"bytes": PICTURE}, "limit": 20}
        return scene.call("POST", scene.surface.faces.format("staff"), json=body)


@pytest.mark.parametrize("revision", SURFACES)
def test_a_poor_face_is_refused_with_the_reason_in_a_header(revision):
    answer = registered(QualityLevel.MEDIUM, revision)

    data = answer.json()["data"]
    assert (data["addedFaceCount"], data["notAddedFaceCount"]) == (1, 2)
    assert answer.headers["X-Error-Detail"] == (
        "face 1 not added: blurred (sharpness 0.10 of 0.50), badly lit (light 0.40 of 0.50); "
        "face 2 not added: 40 px, and 60 are needed, turned by 50 degrees, and 45 are allowed"
    )


def test_a_lower_level_objects_to_less():
    answer = registered(QualityLevel.LOW)

    assert "badly lit" not in answer.headers["X-Error-Detail"]


def test_without_the_filter_nothing_is_graded_and_nothing_told():
    answer = registered(QualityLevel.OFF)

    assert answer.json()["data"]["addedFaceCount"] == 2
    assert "X-Error-Detail" not in answer.headers
