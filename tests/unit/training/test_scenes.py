"""Training pictures keep their labels where the faces are."""

import numpy as np

from models.training.geometry import TEMPLATE
from models.training.scenes import SIDE, Scene, Studio

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


def test_points_stay_in_the_order_left_before_right_when_a_view_is_mirrored():
    shots = [shot for shot in _shots(60) if len(shot.points)]
    assert all((s.points[:, 0, 0] < s.points[:, 1, 0]).all() for s in shots)
    assert all((s.points[:, 3, 0] < s.points[:, 4, 0]).all() for s in shots)


def test_points_lie_inside_their_box():
    for shot in _shots(60):
        slack = 0.2 * (shot.boxes[:, 2:] - shot.boxes[:, :2])[:, None]
        assert (shot.points > shot.boxes[:, None, :2] - slack).all()
        assert (shot.points < shot.boxes[:, None, 2:] + slack).all()


def test_the_same_seed_gives_the_same_pictures():
    assert all(
        (one.image == other.image).all() for one, other in zip(_shots(5), _shots(5), strict=True)
    )
