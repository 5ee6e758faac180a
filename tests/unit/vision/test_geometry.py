import numpy as np
import pytest

from app.vision.alignment import ARCFACE, NARROW, align, similarity
from app.vision.geometry import SMALL_CROP, Scratches, blob, box_matrix, unit_rows, warp


def placed(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.4, 0.25), (-2.9, 7.0)])
def test_alignment_recovers_a_known_similarity(angle, scale):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = ARCFACE.points @ turn.T + (310.0, -40.0)

    matrix = similarity(points.astype(np.float32), ARCFACE)

    assert placed(matrix, points) == pytest.approx(ARCFACE.points, abs=1e-3)


def test_alignment_is_the_least_squares_solution():
    noise = np.random.default_rng(1).normal(size=(5, 2))
    points = ARCFACE.points * 1.5 + 20.0 + noise
    x, y = points.T
    one, none = np.ones(5), np.zeros(5)
    system = np.vstack([np.column_stack([x, -y, one, none]), np.column_stack([y, x, none, one])])

    matrix = similarity(points.astype(np.float32), ARCFACE)

    best, *_ = np.linalg.lstsq(system, ARCFACE.points.T.ravel(), rcond=None)
    a, b, across, down = best
    assert matrix == pytest.approx(np.array([[a, -b, across], [b, a, down]]), abs=1e-4)


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), 7.0), np.eye(5, 2) * 1e-20])
def test_points_in_one_place_still_give_a_crop(points):
    image = np.full((20, 30, 3), 9, dtype=np.uint8)

    crop = align(image, points.astype(np.float32), ARCFACE, 112)

    assert crop.shape == (112, 112, 3)


def test_a_face_where_the_template_wants_it_is_not_moved():
    image = np.random.default_rng(2).integers(0, 256, (112, 112, 3), dtype=np.uint8)

    crop = align(image, ARCFACE.points.astype(np.float32), ARCFACE, 112)

    assert np.abs(crop.astype(int) - image).max() <= 1


def test_the_narrow_template_is_stretched_to_a_square():
    image = np.zeros((112, 96, 3), dtype=np.uint8)
    eye = NARROW.points[0].round().astype(int)
    image[eye[1] - 1 : eye[1] + 2, eye[0] - 1 : eye[0] + 2] = 255

    crop = align(image, NARROW.points.astype(np.float32), NARROW, 128)

    rows, columns = np.nonzero(crop[..., 0] > 128)
    assert (columns.mean(), rows.mean()) == pytest.approx((30 * 128 / 96, 52 * 128 / 112), abs=0.6)


@pytest.mark.parametrize("factor", [3, 8, 13])
def test_a_large_face_keeps_its_place_and_its_average(factor):
    fine = np.zeros((64 * factor, 64 * factor, 3), dtype=np.uint8)
    fine[::2] = 200
    fine[: 32 * factor, : 32 * factor] = 0

    crop = warp(fine, box_matrix(np.array([0, 0, 64 * factor, 64 * factor]), 64, 64), 64, 64)

    assert crop[:31, :31].max() == 0
    assert crop[34:62, 34:62].mean() == pytest.approx(100.0, abs=12.0)


def test_what_lies_outside_the_picture_is_black():
    image = np.full((50, 50, 3), 255, dtype=np.uint8)

    crop = warp(image, box_matrix(np.array([-500.0, -500.0, 50.0, 50.0]), 48, 48), 48, 48)

    assert crop[:40].max() == 0
    assert crop[-3:, -3:].min() > 200


def test_a_box_far_outside_gives_a_black_crop():
    image = np.full((50, 50, 3), 255, dtype=np.uint8)

    crop = warp(image, box_matrix(np.array([900.0, 900.0, 2000.0, 2000.0]), 48, 48), 48, 48)

    assert crop.shape == (48, 48, 3)
    assert crop.max() == 0


def test_a_tilted_head_stands_upright_in_its_crop():
    angle = np.radians(30.0)
    across = np.array([np.cos(angle), np.sin(angle)])
    matrix = box_matrix(np.array([40.0, 40.0, 80.0, 80.0]), 60, 60, angle=30.0)

    left, right = placed(matrix, np.array([60 - 10 * across, 60 + 10 * across]))

    assert left[1] == pytest.approx(right[1])
    assert left[0] < right[0]


def test_a_blob_has_the_colours_and_the_range_asked_for():
    crop = np.empty((2, 3, 3), dtype=np.uint8)
    crop[...] = (10, 20, 30)

    rgb = blob([crop, crop], color="rgb")
    bgr = blob([crop], color="bgr", mean=10.0, scale=5.0)

    assert rgb.shape == (2, 3, 2, 3)
    assert rgb[1, :, 0, 0].tolist() == [10.0, 20.0, 30.0]
    assert bgr[0, :, 1, 2].tolist() == [4.0, 2.0, 0.0]


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_a_large_blob_is_made_like_a_small_one(color):
    crop = np.random.default_rng(1).integers(0, 256, (70, 90, 3), dtype=np.uint8)

    large = blob([crop, 255 - crop], color=color)

    shown = crop if color == "rgb" else crop[..., ::-1]
    assert crop.size > SMALL_CROP
    assert np.array_equal(large[0], shown.transpose(2, 0, 1).astype(np.float32))
    assert np.array_equal(large[1], 255.0 - large[0])


def test_scratch_is_used_again_and_never_by_two_at_a_time():
    scratches = Scratches()

    with scratches.one() as mine, scratches.one() as other:
        tensor, planes = mine.shaped(1, 3, 4, 4)
        assert other is not mine
    with scratches.one() as again:
        assert again in {mine, other}

    assert mine.shaped(1, 3, 4, 4)[0] is tensor
    assert mine.shaped(1, 3, 8, 4)[0].shape == (1, 3, 8, 4)
    assert planes.dtype == np.uint8
    assert planes.shape == (1, 3, 4, 4)


def test_vectors_get_unit_length_and_nothing_stays_nothing():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 0.0]], dtype=np.float32))

    assert rows.dtype == np.float32
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]]))
