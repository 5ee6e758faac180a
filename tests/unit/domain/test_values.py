"""Rules and promises of the domain's values."""

import numpy as np
import pytest

from app.domain.values import (
    Base64Image,
    Box,
    Eligibility,
    ErrorRates,
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


RATES = ErrorRates(
    similarity=(0.0, 50.0, 90.0, 100.0),
    false_matches=(1.0, 0.1, 0.001, 0.0),
    false_rejections=(0.0, 0.0, 0.04, 1.0),
    same_pairs=100,
    different_pairs=10_000,
    provenance="drawn",
    false_match_intervals=((1.0, 1.0), (0.09, 0.11), (0.0005, 0.002), (0.0, 0.0)),
    false_rejection_intervals=((0.0, 0.0), (0.0, 0.02), (0.02, 0.08), (1.0, 1.0)),
    extrapolated=(False, False, True, False),
)


def test_rates_are_told_at_any_similarity_false_matches_along_powers_of_ten():
    at = RATES.at(70.0)

    assert at.false_match == pytest.approx(0.01)
    assert at.false_rejection == pytest.approx(0.02)
    assert at.false_rejection_interval == pytest.approx((0.01, 0.05))
    assert at.extrapolated


def test_rates_at_a_knot_are_the_knots():
    at = RATES.at(50.0)

    assert (at.false_match, at.false_match_interval) == (0.1, (0.09, 0.11))
    assert not at.extrapolated


def test_a_table_without_intervals_tells_none():
    plain = ErrorRates((0.0, 100.0), (1.0, 0.0), (0.0, 1.0), 5, 50, "somebody's photos")

    assert plain.at(50.0).false_match_interval is None
    assert not plain.at(50.0).extrapolated


def test_columns_of_rates_have_one_length():
    with pytest.raises(ValueError, match="one length"):
        ErrorRates((0.0, 100.0), (1.0, 0.0), (0.0,), 5, 50, "somebody's photos")
