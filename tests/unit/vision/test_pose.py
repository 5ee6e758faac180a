import numpy as np
import pytest

from app.vision.alignment import ARCFACE
from app.vision.pose import (
    DEPTH_ASIDE,
    DEPTH_UPRIGHT,
    RESTING_MOUTH,
    RESTING_NOSE,
    rolls,
    turns_from_points,
)
from tests.unit.vision.packs import floats


def turned(points, degrees):
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ matrix.T


def head(*, yaw=0.0, pitch=0.0):
    """A head's five points by the same geometry, the eyes one apart."""
    yaw, pitch = np.radians([yaw, pitch])
    mouth = RESTING_MOUTH * np.cos(pitch)
    nose = (
        DEPTH_ASIDE * np.sin(yaw),
        RESTING_NOSE * mouth - DEPTH_UPRIGHT * np.sin(pitch),
    )
    half = 0.5 * np.cos(yaw)
    return np.array([[-half, 0], [half, 0], nose, [-0.8 * half, mouth], [0.8 * half, mouth]])


@pytest.mark.parametrize("degrees", [-170.0, -30.0, 0.0, 45.0, 90.0])
def test_roll_is_clockwise_on_screen(degrees):
    points = floats(turned(head(), degrees)[None])

    assert rolls(points) == pytest.approx([degrees], abs=1e-3)


@pytest.mark.parametrize("roll", [-40.0, 0.0, 100.0])
@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (30.0, 0.0), (-50.0, 0.0), (0.0, 25.0)])
def test_a_turn_is_read_from_five_points_whatever_the_roll(yaw, pitch, roll):
    points = floats(turned(head(yaw=yaw, pitch=pitch), roll)[None] * 50.0 + 200.0)

    assert turns_from_points(points)[0] == pytest.approx([yaw, pitch], abs=1e-3)


def test_a_nose_to_the_right_is_a_positive_yaw_and_a_raised_one_a_positive_pitch():
    right, up = head(), head()
    right[2] += (0.2, 0.0)
    up[2] -= (0.0, 0.2)

    turns = turns_from_points(floats([right, up]))

    assert turns[0, 0] > 10.0
    assert turns[1, 1] > 10.0


def test_the_template_looks_straight_ahead():
    yaw, pitch = turns_from_points(floats(ARCFACE.points[None]))[0]

    assert abs(yaw) < 5.0
    assert abs(pitch) < 12.0


def test_points_in_one_place_give_finite_angles():
    assert np.isfinite(turns_from_points(floats(np.zeros((2, 5, 2))))).all()
