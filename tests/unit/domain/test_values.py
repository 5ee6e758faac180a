"""Rules and promises of the domain's values."""

import numpy as np
import pytest

from app.domain.values import (
    Base64Image,
    Box,
    Eligibility,
    Face,
    ImageUrl,
    IssuedKey,
    NewFace,
    Orientation,
    Point,
    Tenant,
)

ORIGIN = Point(0.0, 0.0)


def face(side=100, orientation=None):
    marks = (ORIGIN, ORIGIN, ORIGIN, ORIGIN, ORIGIN)
    return Face(Box(0, 0, 1, 1), marks, 99.0, side, orientation)


@pytest.mark.parametrize(
    ("side", "turn", "admitted"),
    [
        (60, None, True),
        (59, None, False),
        (100, Orientation(45.0, -45.0, 180.0), True),
        (100, Orientation(45.1, 0.0, 0.0), False),
        (100, Orientation(-45.1, 0.0, 0.0), False),
        (100, Orientation(0.0, 45.1, 0.0), False),
        (100, Orientation(0.0, -45.1, 0.0), False),
        (59, Orientation(0.0, 0.0, 0.0), False),
    ],
)
def test_a_face_is_eligible_when_large_and_frontal_enough(side, turn, admitted):
    assert Eligibility().admits(face(side, turn)) is admitted


def test_the_limits_of_eligibility_can_be_set():
    strict = Eligibility(min_side=112, max_angle=10.0)

    assert strict.admits(face(112, Orientation(10.0, 0.0, 90.0)))
    assert not strict.admits(face(111))
    assert not strict.admits(face(112, Orientation(10.5, 0.0, 0.0)))


def test_what_is_secret_does_not_show_in_a_representation():
    secrets = [
        Base64Image("canary"),
        ImageUrl("https://canary/"),
        IssuedKey(Tenant(1, "shop", "v1.0"), "canary", "canary"),
        NewFace("id", "image", None, Box(0, 0, 1, 1), 99.0, np.full(2, 0.7310, np.float32)),
    ]

    shown = repr(secrets)

    assert "canary" not in shown
    assert "0.731" not in shown
