"""Every face is some cell's business, and a blank is nobody's."""

import numpy as np
import pytest

from models.training.assignment import Cells, assign

CELLS = Cells.of(320, 320)
NONE = np.zeros((0, 4), np.float32)


def _box(x: float, y: float, side: float) -> np.ndarray:
    return np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2]], np.float32)


@pytest.mark.parametrize("side", [9, 20, 45, 80, 140, 300])
def test_a_face_of_any_size_has_a_cell(side: float):
    answer = assign(CELLS, _box(163, 158, side), NONE)
    assert (answer == 0).any()


def test_small_faces_belong_to_the_fine_stride_and_large_ones_to_the_coarse():
    small = CELLS.strides[assign(CELLS, _box(100, 100, 16), NONE) == 0]
    large = CELLS.strides[assign(CELLS, _box(160, 160, 280), NONE) == 0]
    assert set(small) == {8}
    assert set(large) == {32}


def test_of_two_faces_a_cell_answers_for_the_nearer():
    boxes = np.concatenate([_box(100, 100, 40), _box(124, 100, 40)])
    answer = assign(CELLS, boxes, NONE)
    at = {tuple(corner): face for corner, face in zip(CELLS.corners.tolist(), answer, strict=True)}
    assert at[(104.0, 104.0)] == 0
    assert at[(128.0, 104.0)] == 1


def test_nothing_is_asked_of_cells_in_an_ignored_box():
    answer = assign(CELLS, NONE, _box(200, 200, 60))
    inside = (np.abs(CELLS.corners - 200) <= 30).all(1)
    assert (answer[inside] == -2).all()
    assert (answer[~inside] == -1).all()
