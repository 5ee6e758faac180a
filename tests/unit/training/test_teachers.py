"""What the teachers say of every cell, asked of a real network with the outputs of YuNet."""

import cv2
import numpy as np
import onnxruntime as ort
import pytest
import skimage.data

from app.vision.packs import MODELS
from models.training.assignment import Cells
from models.training.errors import TrainingError
from models.training.teachers import CellScores

SIDE = 320
FACE = np.array([134, 70]) * SIDE / 320  # px, the middle of the astronaut's face at this side


@pytest.fixture(scope="module")
def scores():
    file = MODELS / "starter" / "detector.onnx"
    return CellScores(ort.InferenceSession(str(file), providers=["CPUExecutionProvider"]))


def photo():
    return cv2.resize(skimage.data.astronaut(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def test_every_cell_has_a_score_and_those_in_the_middle_of_a_face_the_highest(scores):
    cells, found = Cells.of(SIDE, SIDE), scores.of(photo())

    assert found.shape == (len(cells.corners),)
    assert found.min() >= 0.0
    assert 0.7 < found.max() <= 1.0
    best = cells.corners[found.argmax()] + cells.strides[found.argmax()] / 2
    assert np.abs(best - FACE).max() < 24
    away = np.abs(cells.corners - FACE).max(1) > 100
    assert found[away].max() < 0.3


def test_a_picture_is_shown_in_the_order_of_colours_that_the_network_learnt(scores):
    blue_for_red = photo()[..., ::-1]

    assert scores.of(blue_for_red).max() < scores.of(photo()).max()


def test_a_teacher_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"yunet_n_dynamic\.onnx"):
        CellScores.load(MODELS, tmp_path)
