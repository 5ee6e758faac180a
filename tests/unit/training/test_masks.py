"""A drawn mask lies on the face, and nowhere else."""

import numpy as np

from models.training import masks
from models.training.geometry import RIM, STORED, TEMPLATE

GREY = np.full((STORED, STORED, 3), 128, np.uint8)


def _changed(image: np.ndarray, plain: np.ndarray) -> np.ndarray:
    return np.asarray((image != plain).any(2))


def test_a_mask_covers_the_mouth_and_leaves_the_eyes():
    eyes, mouth = TEMPLATE[:2] + RIM, TEMPLATE[3:] + RIM
    for seed in range(30):
        changed = _changed(masks.draw_on_stored(GREY, np.random.default_rng(seed)), GREY)
        assert all(changed[int(y), int(x)] for x, y in mouth)
        assert not any(changed[int(y), int(x)] for x, y in eyes)


def test_a_slipped_mask_leaves_the_tip_of_the_nose():
    x, y = (TEMPLATE[2] + RIM).astype(int)
    for seed in range(30):
        slipped = masks.draw_slipped(GREY, np.random.default_rng(seed))
        assert not _changed(slipped, GREY)[y, x]


def test_a_mask_on_a_face_in_a_corner_stays_inside_the_picture():
    image = np.zeros((60, 90, 3), np.uint8)
    points = (TEMPLATE * 0.4 + [60, 20]).astype(np.float32)
    drawn = masks.draw(image, points, np.random.default_rng(0))
    changed = _changed(drawn, image)
    assert drawn.shape == image.shape
    assert changed.any()
    assert not changed[:, :50].any()


def test_the_picture_handed_in_is_not_painted_on():
    before = GREY.copy()
    masks.draw_on_stored(GREY, np.random.default_rng(1))
    assert (before == GREY).all()
