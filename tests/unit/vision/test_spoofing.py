from pathlib import Path

import numpy as np
import pytest

from app.domain.errors import ConfigurationError
from app.domain.values import SpoofingCondition
from app.vision.alignment import ARCFACE
from app.vision.manifests import OperatingPoint, PointsSection, SpoofingSection
from app.vision.sessions import Opened
from app.vision.spoofing import Judges, LiveFaces, Liveness, surroundings
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


class Network:
    """A session that answers the same for every face, and remembers what it was shown."""

    def __init__(self, *answer):
        self.answer = answer
        self.shown = floats([])

    def get_inputs(self):
        return [Node((None, 3, None, None))]

    def get_outputs(self):
        return [Node((None, len(self.answer)))]

    def run(self, outputs, inputs):
        self.shown = inputs["node"]
        return [floats([self.answer] * len(self.shown))]


class Node:
    name = "node"

    def __init__(self, shape):
        self.shape = shape


def section(**said):
    said = {"family": "minifasnet", "box_scale": 2.7, **said}
    return SpoofingSection(file="live.onnx", sha256="0" * 64, **said)


def judge(network, **said):
    return LiveFaces(Opened(network, Path("live.onnx")), section(**said))


IMAGE = np.zeros((100, 100, 3), np.uint8)
BOXES = floats([[10, 10, 50, 50], [20, 20, 90, 90]])
POINTS = np.repeat(ARCFACE.points[None].astype(np.float32), 2, axis=0)


@pytest.mark.parametrize(
    ("answer", "said", "chance"),
    [
        ((0.0, 2.0, 0.0), {}, np.exp(2) / (np.exp(2) + 2)),
        ((0.0, 2.0), {"live": 0}, 1 / (np.exp(2) + 1)),
        ((2.0,), {"live": 0, "activation": "sigmoid"}, 1 / (1 + np.exp(-2))),
        ((0.3, 0.7), {"live": 1, "activation": "none"}, 0.7),
    ],
)
def test_the_manifest_says_which_answer_means_live(answer, said, chance):
    chances = judge(Network(*answer), **said).live(IMAGE, BOXES, POINTS)

    assert chances == pytest.approx([chance] * 2)


def test_the_manifest_says_how_a_network_is_fed():
    network = Network(0.0, 1.0)
    blue = np.zeros((100, 100, 3), np.uint8)
    blue[:, :, 2] = 200

    judge(network, side=32, color="rgb", mean=100.0, scale=50.0).live(blue, BOXES, POINTS)

    assert network.shown.shape == (2, 3, 32, 32)
    assert network.shown[0, :, 16, 16].tolist() == [-2.0, -2.0, 2.0]


def test_a_network_without_the_column_is_refused():
    with pytest.raises(ConfigurationError, match="2 answers"):
        judge(Network(0.0, 1.0), live=2)


def test_an_aligned_network_is_shown_the_face_upright_with_what_is_around_it():
    network = Network(0.0, 1.0)
    image = np.zeros((112, 112, 3), np.uint8)
    image[28:84, 28:84] = 255

    judge(network, family="aligned-live", box_scale=2.0, side=112).live(image, BOXES, POINTS[:1])

    bright = np.argwhere(network.shown[0, 0] > 127)
    assert bright.min(axis=0) == pytest.approx([42, 42], abs=1)
    assert bright.max(axis=0) == pytest.approx([69, 69], abs=1)


@pytest.mark.parametrize("family", ["minifasnet", "aligned-live"])
def test_a_crop_aligned_by_the_caller_is_shown_whole(family):
    network = Network(0.0, 1.0)
    crop = np.zeros((224, 224, 3), np.uint8)
    crop[:112] = 255

    judge(network, family=family).live_crop(crop)

    assert network.shown.shape == (1, 3, 80, 80)
    assert np.argwhere(network.shown[0, 0].mean(axis=1) > 127).ravel().tolist() == list(range(40))


def test_what_a_crop_lacks_around_it_is_its_edge_repeated():
    network = Network(0.0, 1.0)
    crop = np.zeros((224, 224, 3), np.uint8)
    crop[:112] = 255

    judge(network, crop_margin=2.0).live_crop(crop)

    columns = network.shown[0, 0]
    assert np.argwhere(columns.mean(axis=1) > 127).ravel().tolist() == list(range(40))
    assert (columns == columns[:, :1]).all()


def lines(*thresholds):
    points = [OperatingPoint(threshold=line, apcer=0.0, bpcer=0.0) for line in thresholds]
    return PointsSection(measured_on="tests", weak=points[0], balanced=points[1], strict=points[2])


def test_each_condition_draws_its_own_line_and_another_for_crops():
    judges = Judges((judge(Network(0.3, 0.7), activation="none"),))
    liveness = Liveness(judges, lines(0.1, 0.6, 0.8), lines(0.65, 0.75, 0.85))

    told = {c.value: liveness.spoofs(IMAGE, BOXES, POINTS, c) for c in SpoofingCondition}
    crops = {c.value: liveness.is_spoof(IMAGE, c) for c in SpoofingCondition}

    assert told == {"weak": [False] * 2, "balanced": [False] * 2, "strict": [True] * 2}
    assert crops == {"weak": False, "balanced": True, "strict": True}


def test_several_networks_are_averaged():
    networks = [judge(Network(0.0, chance), activation="none") for chance in (0.2, 0.6)]

    judges = Judges(tuple(networks))

    assert judges.live(IMAGE, BOXES, POINTS) == pytest.approx([0.4, 0.4])
    assert judges.live_crop(IMAGE) == pytest.approx(0.4)
