import numpy as np
import pytest

from app.vision.alignment import ARCFACE
from app.vision.pose import (
    DEPTH_ASIDE,
    DEPTH_UPRIGHT,
    RESTING_MOUTH,
    RESTING_NOSE,
    Adas0001,
    rolls,
    steadied,
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


@pytest.mark.parametrize("degrees", [-170.0, -100.0, -30.0, 0.0, 45.0, 90.0, 135.0])
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


@pytest.mark.parametrize("degrees", [-60.0, 0.0, 20.0])
def test_eyes_of_a_profile_that_change_places_turn_nobody_over(degrees):
    points = head()
    points[:2] = points[1::-1]

    assert rolls(floats(turned(points, degrees)[None])) == pytest.approx([degrees], abs=1e-3)


def test_roll_goes_on_without_a_jump_from_one_side_over_the_head_to_the_other():
    angles = np.arange(-179.0, 180.0, 1.0)
    told = rolls(floats([turned(head(yaw=20.0), angle) for angle in angles]))

    assert np.abs(np.diff(told) - 1.0).max() < 1e-3


@pytest.mark.parametrize(
    ("told", "steady"), [(20.0, 25.0), (30.0, 30.0), (44.0, 37.0), (75.0, 65.0), (-75.0, -65.0)]
)
def test_a_networks_yaw_goes_half_way_to_that_of_the_points_but_not_far(told, steady):
    points = floats(head(yaw=30.0)[None] * 50.0 + 200.0)

    turns = steadied(np.array([[told, 7.0]]), points)

    assert turns[0] == pytest.approx([steady, 7.0], abs=1e-3)


class Leaning:
    """A session whose yaw is the brightness of the crop's right half less that of its left one,
    and always a few degrees too much."""

    def get_inputs(self):
        return [Input()]

    def get_outputs(self):
        return []

    def run(self, outputs, inputs):
        left, right = np.split(inputs["data"].mean(axis=(1, 2)), 2, axis=1)
        yaw = right.mean(axis=1) - left.mean(axis=1) + 7.0
        return [yaw[:, None].astype(np.float32), np.full((len(yaw), 1), -12.0, np.float32)]


class Input:
    name = "data"
    shape = ("n", 3, 60, 60)


def test_a_mirrored_face_turns_the_other_way_exactly():
    image = np.zeros((60, 60, 3), np.uint8)
    image[:, 30:] = 40
    boxes, points = floats([(0, 0, 60, 60)]), floats(ARCFACE.points[None] / 2)
    mirrored = points[:, (1, 0, 2, 4, 3)] * (-1, 1) + (59, 0)

    poser = Adas0001(Leaning())
    turn = poser.turns(image, boxes, points)[0]
    other = poser.turns(np.ascontiguousarray(image[:, ::-1]), boxes, floats(mirrored))[0]

    assert turn == pytest.approx([40.0, 12.0], abs=1.5)
    assert other == pytest.approx(turn * (-1, 1), abs=1e-3)
