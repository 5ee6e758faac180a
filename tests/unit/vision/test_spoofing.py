import numpy as np
import pytest

from app.vision.spoofing import MiniFasNet, surroundings
from tests.unit.vision.packs import floats


def test_a_box_in_the_middle_grows_about_its_centre():
    around = surroundings(floats([40, 50, 60, 70]), 2.0, 200, 200)

    assert around == pytest.approx([30, 40, 70, 80])


def test_a_box_at_the_edge_grows_into_the_picture():
    around = surroundings(floats([0, 0, 20, 20]), 3.0, 200, 200)

    assert around == pytest.approx([0, 0, 60, 60])


def test_a_box_that_cannot_grow_so_much_takes_what_there_is():
    around = surroundings(floats([10, 10, 60, 60]), 4.0, 101, 301)

    assert around[2] - around[0] == pytest.approx(100)
    assert around[0] == pytest.approx(0)


class Logits:
    """A session that answers the same logits for every face."""

    def __init__(self, *logits):
        self.logits = logits

    def get_inputs(self):
        return [Input()]

    def get_outputs(self):
        return []

    def run(self, outputs, inputs):
        assert inputs["input"].shape[1:] == (3, 80, 80)
        return [floats([self.logits] * len(inputs["input"]))]


class Input:
    name = "input"
    shape = (1, 3, 80, 80)


def test_the_second_logit_is_a_live_face():
    image = np.zeros((100, 100, 3), np.uint8)
    boxes = floats([[10, 10, 50, 50], [20, 20, 90, 90]])

    chances = MiniFasNet(Logits(0.0, 2.0, 0.0), 2.7).live(image, boxes)

    assert chances == pytest.approx([np.exp(2) / (np.exp(2) + 2)] * 2)
