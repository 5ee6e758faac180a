import numpy as np
import pytest

from app.vision.landmarks import SIDE, Retail0009
from tests.unit.vision.packs import floats


class Input:
    name = "input"
    shape = ("n", 3, SIDE, SIDE)


class Brightest:
    """A session that puts all five points on the centre of its crop's brightest pixel."""

    def get_inputs(self):
        return [Input()]

    def get_outputs(self):
        return []

    def run(self, outputs, inputs):
        answers = []
        for crop in inputs["input"]:
            row, column = np.unravel_index(crop[0].argmax(), crop[0].shape)
            answers.append([(column + 0.5) / SIDE, (row + 0.5) / SIDE] * 5)
        return [floats(answers).reshape(-1, 10, 1, 1)]


@pytest.mark.parametrize(("x", "y"), [(60, 50), (71, 97), (130, 60)])
@pytest.mark.parametrize("box", [(40, 30, 140, 120), (50.5, 40.25, 146.5, 136.25)])
def test_points_come_back_to_where_they_lie_in_the_picture(x, y, box):
    image = np.zeros((200, 200, 3), np.uint8)
    image[y - 1 : y + 2, x - 1 : x + 2] = 100
    image[y, x] = 255

    points = Retail0009(Brightest()).refine(image, floats([box]))

    assert points.shape == (1, 5, 2)
    # A crop's pixel is about two of the picture's.
    assert points[0] == pytest.approx(np.tile([x, y], (5, 1)), abs=1.2)


def test_each_box_gets_its_own_points():
    image = np.zeros((200, 200, 3), np.uint8)
    image[50, 60] = image[150, 160] = 255

    points = Retail0009(Brightest()).refine(image, floats([(36, 26, 84, 74), (136, 126, 184, 174)]))

    assert points[:, 0].tolist() == [[60, 50], [160, 150]]
