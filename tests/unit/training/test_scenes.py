"""Training pictures keep their labels where the faces are."""

import math

import numpy as np
import pytest

from models.training.geometry import TEMPLATE
from models.training.scenes import SIDE, Scene, Studio, take

RED = (255, 0, 0)


def _scene() -> Scene:
    """A red face box with five green points on grey."""
    image = np.full((200, 260, 3), 90, np.uint8)
    image[60:160, 80:160] = RED
    points = (TEMPLATE * 0.7 + [80, 70]).astype(np.float32)
    box = np.array([[80, 60, 160, 160]], np.float32)
    return Scene(image, box, points[None], np.zeros((0, 4), np.float32))


def _shots(count: int) -> list[Scene]:
    studio, random = Studio({"wider": [_scene()], "other": [_scene()]}), np.random.default_rng(5)
    return [studio.shoot(random) for _ in range(count)]


def test_every_training_picture_has_its_size_and_labels_for_every_face():
    for shot in _shots(40):
        assert shot.image.shape == (SIDE, SIDE, 3)
        assert shot.boxes.shape == (len(shot.points), 4)
        assert shot.points.shape == (len(shot.boxes), 5, 2)


def test_whichever_way_a_head_lies_its_left_eye_stays_left_of_the_right_one_also_mirrored():
    points = np.concatenate([shot.points for shot in _shots(60)])
    down = points[:, 3:].mean(axis=1) - points[:, :2].mean(axis=1)  # from the eyes to the mouth
    for left, right in ((0, 1), (3, 4)):
        across = points[:, right] - points[:, left]
        assert (across[:, 0] * down[:, 1] > across[:, 1] * down[:, 0]).all()


def test_points_lie_inside_their_box():
    for shot in _shots(60):
        slack = 0.2 * (shot.boxes[:, 2:] - shot.boxes[:, :2])[:, None]
        assert (shot.points > shot.boxes[:, None, :2] - slack).all()
        assert (shot.points < shot.boxes[:, None, 2:] + slack).all()


def test_the_same_seed_gives_the_same_pictures():
    assert all(
        (one.image == other.image).all() for one, other in zip(_shots(5), _shots(5), strict=True)
    )


# At 45 degrees an ellipse inside 80 by 100 is as wide as it is high: the root of the mean square.
@pytest.mark.parametrize(
    ("degrees", "sides"),
    [(0, (80, 100)), (90, (100, 80)), (180, (80, 100)), (45, (90.55, 90.55))],
)
def test_the_box_of_a_turned_head_turns_as_an_ellipse_does(
    degrees: int, sides: tuple[float, float]
):
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    onto = np.hstack([linear, (np.array([200, 200]) - linear @ [120, 110])[:, None]])
    (box,) = take(_scene(), onto, np.zeros((400, 400, 3), np.uint8)).boxes
    assert (box[2:] - box[:2]) == pytest.approx(sides, abs=0.1)
    assert (box[2:] + box[:2]) / 2 == pytest.approx([200, 200], abs=0.1)


def test_faces_stand_lie_and_lean_in_training_pictures():
    eyes = np.concatenate([shot.points[:, 1] - shot.points[:, 0] for shot in _shots(200)])
    tilts = np.abs(np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0])))
    assert (tilts < 15).mean() > 0.5
    assert 0.03 < (tilts > 45).mean() < 0.2
