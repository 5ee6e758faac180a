"""What the detector is shown, and what it is to say of it."""

import numpy as np
import pytest

from models.training.assignment import Cells
from models.training.scenes import SIDE, Scene, Studio

torch = pytest.importorskip("torch")
teaching = pytest.importorskip("models.training.train_detector")

CELLS = Cells.of(SIDE, SIDE)
BOX = np.array([[100, 120, 180, 200]], np.float32)
POINTS = np.array([[[120, 140], [160, 140], [140, 160], [125, 180], [155, 180]]], np.float32)


def scene(boxes=BOX, points=POINTS):
    image = np.full((SIDE, SIDE, 3), 90, np.uint8)
    return Scene(image, boxes, points, np.zeros((0, 4), np.float32))


def nobody():
    return scene(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32))


def detection_loss():
    return teaching.DetectionLoss(CELLS, torch.device("cpu"))


def answers(wanted):
    """Levels of a batch of one that say just what is wanted."""
    rows = torch.zeros(len(CELLS.corners), 15)
    rows[:, 0] = -12.0
    corners = torch.from_numpy(CELLS.corners)[wanted.positive]
    strides = torch.from_numpy(CELLS.strides)[wanted.positive][:, None]
    centres = (wanted.boxes[:, :2] + wanted.boxes[:, 2:]) / 2
    rows[wanted.positive, 0] = 12.0
    rows[wanted.positive, 1:3] = (centres - corners) / strides
    rows[wanted.positive, 3:5] = ((wanted.boxes[:, 2:] - wanted.boxes[:, :2]) / strides).log()
    placed = (wanted.points - corners[:, None]) / strides[:, None]
    rows[wanted.positive, 5:] = placed.flatten(1)
    sides = [SIDE // stride for stride in (8, 16, 32)]
    parts = rows.split([side * side for side in sides])
    return [p.T.reshape(1, 15, side, side) for p, side in zip(parts, sides, strict=True)]


def test_the_cells_of_a_batch_are_those_of_its_pictures_one_after_the_other():
    wanted = teaching.targets([nobody(), scene()], CELLS)

    assert wanted.asked.shape == (2 * len(CELLS.corners),)
    assert (wanted.positive >= len(CELLS.corners)).all()
    assert wanted.boxes.unique(dim=0).tolist() == BOX.tolist()


def test_who_says_what_is_wanted_has_nothing_more_to_learn():
    wanted, loss = (
        teaching.targets([scene()], CELLS),
        teaching.DetectionLoss(CELLS, torch.device("cpu")),
    )
    right = answers(wanted)
    wrong = [level.clone() for level in right]
    for level in wrong:
        level[:, 1:3] += 0.5

    assert loss(right, wanted) < 1e-3
    assert loss(wrong, wanted) > 100 * loss(right, wanted)


def test_pictures_without_a_face_teach_too():
    wanted, loss = (
        teaching.targets([nobody()], CELLS),
        teaching.DetectionLoss(CELLS, torch.device("cpu")),
    )
    quiet = answers(wanted)
    loud = [level + 12.0 for level in quiet]

    assert loss(loud, wanted) > loss(quiet, wanted)


def test_every_batch_is_another_one_and_the_same_again_with_the_same_seed():
    shoots = [
        teaching.Shoots(Studio({"wider": [scene()]}), seed) for seed in ((1, 0), (1, 0), (1, 32))
    ]

    (one, wanted), (same, _), (other, _) = (next(iter(shoot)) for shoot in shoots)

    assert (one.shape, one.dtype) == ((teaching.BATCH, SIDE, SIDE, 3), torch.uint8)
    assert wanted.asked.shape == (teaching.BATCH * len(CELLS.corners),)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
