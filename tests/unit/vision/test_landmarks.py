import numpy as np
import pytest

from app.vision.alignment import ARCFACE
from app.vision.geometry import Detections
from app.vision.landmarks import SIDE, Retail0009, upright
from app.vision.pose import rolls
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


def found(*boxes, points=None):
    """Faces as a detector finds them; without `points` it has no idea of theirs."""
    places = np.zeros((len(boxes), 5, 2)) if points is None else points
    return Detections(floats(boxes), floats(places), np.ones(len(boxes), np.float32))


@pytest.mark.parametrize(("x", "y"), [(60, 50), (71, 97), (130, 60)])
@pytest.mark.parametrize("box", [(40, 30, 140, 120), (50.5, 40.25, 146.5, 136.25)])
def test_points_come_back_to_where_they_lie_in_the_picture(x, y, box):
    image = np.zeros((200, 200, 3), np.uint8)
    image[y - 1 : y + 2, x - 1 : x + 2] = 100
    image[y, x] = 255

    points = Retail0009(Brightest()).refine(image, found(box))

    assert points.shape == (1, 5, 2)
    # A crop's pixel is about two of the picture's.
    assert points[0] == pytest.approx(np.tile([x, y], (5, 1)), abs=1.2)


def test_each_box_gets_its_own_points():
    image = np.zeros((200, 200, 3), np.uint8)
    image[50, 60] = image[150, 160] = 255

    points = Retail0009(Brightest()).refine(image, found((36, 26, 84, 74), (136, 126, 184, 174)))

    assert points[:, 0].tolist() == [[60, 50], [160, 150]]


class Upright(Brightest):
    """A session that sees the points of an upright head whatever it is shown, and counts."""

    def __init__(self):
        self.runs = 0

    def run(self, outputs, inputs):
        self.runs += 1
        five = (ARCFACE.points + 0.5) / 112
        return [np.tile(floats(five).reshape(1, 10, 1, 1), (len(inputs["input"]), 1, 1, 1))]


def tilted(degrees):
    """The template's points in a box of 112 px, turned about its middle."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (ARCFACE.points - 55.5) @ turn.T + 155.5


@pytest.mark.parametrize("degrees", [-120.0, -45.0, 30.0, 90.0, 170.0])
def test_a_tilted_face_is_shown_upright_and_its_points_turned_back(degrees):
    image = np.zeros((320, 320, 3), np.uint8)
    face = found((100, 100, 212, 212), points=tilted(degrees)[None])

    points = Retail0009(Upright()).refine(image, face)

    assert points[0] == pytest.approx(tilted(degrees), abs=1.5)
    assert rolls(points) == pytest.approx(rolls(face.points), abs=0.5)


def test_an_upright_face_is_shown_once():
    network, face = Upright(), found((100, 100, 212, 212), points=tilted(3.0)[None])

    Retail0009(network).refine(np.zeros((320, 320, 3), np.uint8), face)

    assert network.runs == 1


def test_a_head_lying_on_its_side_has_its_sides_exchanged():
    assert upright(floats((0, 0, 100, 60)), 90.0) == pytest.approx([20, -20, 80, 80])
    assert upright(floats((0, 0, 100, 60)), 0.0) == pytest.approx([0, 0, 100, 60])
