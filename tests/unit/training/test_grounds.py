"""What lies around and before faces shows none itself, and leaves enough of them."""

import numpy as np
import pytest

from models.training.grounds import Grounds, ellipse, hide
from models.training.optics import develop

RED, GREY = (255, 0, 0), 90
BOX = np.array([60, 40, 140, 120], np.float32)


def photo():
    """A red face on grey."""
    image = np.full((200, 260, 3), GREY, np.uint8)
    image[40:120, 60:140] = RED
    return image


def grounds():
    return Grounds([(photo(), BOX[None])])


def test_a_ground_shows_no_part_of_a_face():
    random = np.random.default_rng(1)
    drawn = [grounds().draw(50, 40, random) for _ in range(200)]

    assert {ground.shape for ground in drawn} == {(40, 50, 3)}
    from_photo = [ground for ground in drawn if (ground == GREY).all()]
    assert len(from_photo) > 100
    others = [ground for ground in drawn if not (ground == GREY).all()]
    assert all((ground == ground[0, 0]).all() for ground in others)


def test_a_photo_that_is_all_face_gives_one_tone():
    full = Grounds([(photo(), np.array([[0, 0, 260, 200]], np.float32))])

    drawn = [full.draw(30, 30, np.random.default_rng(seed)) for seed in range(20)]

    assert all((ground == ground[0, 0]).all() for ground in drawn)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_before_a_face_leaves_three_fifths_of_it(seed):
    random = np.random.default_rng(seed)

    covered = hide(photo(), BOX, grounds(), random)

    face = covered[40:120, 60:140]
    left = (face == RED).all(axis=2).mean()
    assert 0.58 <= left < 1


def test_what_is_before_a_face_at_the_edge_stays_inside_the_picture():
    edge = np.array([-30, -30, 20, 20], np.float32)

    for seed in range(20):
        assert hide(photo(), edge, grounds(), np.random.default_rng(seed)).shape == (200, 260, 3)


def test_an_ellipse_shows_the_face_and_not_the_corners():
    share = ellipse((200, 260), BOX, 1.1, np.random.default_rng(2))

    assert share.shape == (200, 260, 1)
    assert share[80, 100, 0] > 0.99
    assert share[0, 0, 0] < 0.01
    assert share.min() >= 0
    assert share.max() <= 1


@pytest.mark.parametrize("seed", range(30))
def test_a_developed_picture_keeps_its_size_and_another_seed_makes_another_one(seed):
    image = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)

    one, again = (develop(image, np.random.default_rng(seed)) for _ in range(2))
    other = develop(image, np.random.default_rng(seed + 1000))

    assert (one.shape, one.dtype) == (image.shape, image.dtype)
    assert (one == again).all()
    assert (one != other).any()
