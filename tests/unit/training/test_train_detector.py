"""What the detector is shown, and what it is to say of it."""

from dataclasses import replace

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


class Seer:
    """A teacher that sees a face in the cells it is told, or in none."""

    def __init__(self, cells=(), score=0.9):
        self.scores = np.zeros(len(CELLS.corners), np.float32)
        self.scores[list(cells)] = score

    def of(self, image):
        assert image.shape == (SIDE, SIDE, 3)
        return self.scores


def asked(*scenes, teacher=None):
    taught = (teacher or Seer()).scores
    return teaching.targets(list(scenes), CELLS, [taught] * len(scenes))


def answers(wanted):
    """Levels of a batch of one that say just what is wanted."""
    rows = torch.zeros(len(CELLS.corners), 16)
    rows[:, 0] = -12.0
    rows[:, 1] = wanted.taught.logit(eps=1e-6)
    corners = torch.from_numpy(CELLS.corners)[wanted.positive]
    strides = torch.from_numpy(CELLS.strides)[wanted.positive][:, None]
    centres = (wanted.boxes[:, :2] + wanted.boxes[:, 2:]) / 2
    rows[wanted.positive, :2] = 12.0
    rows[wanted.positive, 2:4] = (centres - corners) / strides
    rows[wanted.positive, 4:6] = ((wanted.boxes[:, 2:] - wanted.boxes[:, :2]) / strides).log()
    placed = (wanted.points - corners[:, None]) / strides[:, None]
    rows[wanted.positive, 6:] = placed.flatten(1)
    sides = [SIDE // stride for stride in (8, 16, 32)]
    parts = rows.split([side * side for side in sides])
    return [p.T.reshape(1, 16, side, side) for p, side in zip(parts, sides, strict=True)]


def test_the_cells_of_a_batch_are_those_of_its_pictures_one_after_the_other():
    wanted = asked(nobody(), scene())

    assert wanted.asked.shape == (2 * len(CELLS.corners),)
    assert (wanted.positive >= len(CELLS.corners)).all()
    assert wanted.boxes.unique(dim=0).tolist() == BOX.tolist()


def test_who_says_what_is_wanted_has_nothing_more_to_learn():
    wanted, loss = asked(scene()), detection_loss()
    right = answers(wanted)
    wrong = [level.clone() for level in right]
    for level in wrong:
        level[:, 2:4] += 0.5

    assert loss(right, wanted) < 1e-3
    assert loss(wrong, wanted) > 100 * loss(right, wanted)


def test_pictures_without_a_face_teach_too():
    wanted, loss = asked(nobody()), detection_loss()
    quiet = answers(wanted)
    loud = [level + 12.0 for level in quiet]

    assert loss(loud, wanted) > loss(quiet, wanted)


def taught_to_say(level_and_cell, score, wanted):
    """The loss of right answers but for the taught score of one cell."""
    levels = answers(wanted)
    level, row, column = level_and_cell
    levels[level][0, 1, row, column] = torch.tensor(score).logit()
    return detection_loss()(levels, wanted)


def test_of_a_cell_without_a_label_the_second_score_learns_what_the_teacher_says():
    wanted = asked(nobody(), teacher=Seer([0], 0.7))

    losses = {score: taught_to_say((0, 0, 0), score, wanted) for score in (0.1, 0.7, 0.95)}

    assert losses[0.7] < 1e-3
    assert min(losses[0.1], losses[0.95]) > 0.01


def test_of_a_labelled_face_that_the_teacher_does_not_see_the_second_score_learns_the_label():
    wanted = asked(scene(), teacher=Seer())  # it sees nothing
    column, row = (int(v) for v in (BOX[0, :2] + BOX[0, 2:]) / 2 // 16)

    assert taught_to_say((1, row, column), 0.05, wanted) > taught_to_say(
        (1, row, column), 0.99, wanted
    )


def test_what_labels_do_not_speak_of_is_learnt_from_the_teacher_alone():
    hidden = replace(nobody(), ignored=BOX)
    wanted = asked(hidden, teacher=Seer())
    loud = answers(wanted)
    place = 0, 0, int(BOX[0, 1] // 8) + 2, int(BOX[0, 0] // 8) + 2
    loud[0][place] = 12.0
    taught_loud = answers(wanted)
    taught_loud[0][0, 1, *place[2:]] = 12.0

    assert detection_loss()(loud, wanted) < 1e-3
    assert detection_loss()(taught_loud, wanted) > 1


def test_every_batch_is_another_one_and_the_same_again_with_the_same_seed():
    shoots = [
        teaching.Shoots(Studio({"wider": [scene()]}), lambda: Seer([3]), seed)
        for seed in ((1, 0), (1, 0), (1, 32))
    ]

    (one, wanted), (same, _), (other, _) = (next(iter(shoot)) for shoot in shoots)

    assert (one.shape, one.dtype) == ((teaching.BATCH, SIDE, SIDE, 3), torch.uint8)
    assert wanted.asked.shape == (teaching.BATCH * len(CELLS.corners),)
    assert wanted.taught.nonzero().flatten().tolist() == [
        3 + i * len(CELLS.corners) for i in range(teaching.BATCH)
    ]
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
