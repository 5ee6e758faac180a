"""Pictures in which nothing is bright are shown with more light, and no others."""

import numpy as np
import pytest

from app.domain.values import SpoofingCondition, Wanted
from app.vision.exposure import lit
from app.vision.geometry import Detections
from app.vision.pipeline import Pipeline
from tests.unit.vision.packs import floats


def scene(*, light: float) -> np.ndarray:
    """Every grey level from 0 to 240 times `light`, from left to right."""
    return (
        np.tile(np.linspace(0, 240 * light, 400), (300, 1))[..., None].repeat(3, 2).astype(np.uint8)
    )


@pytest.mark.parametrize("light", [1.0, 0.5, 0.3])
def test_a_picture_with_something_bright_is_shown_as_it_is(light: float):
    image = scene(light=light)

    assert lit(image) is image


@pytest.mark.parametrize("light", [0.25, 0.12, 0.1])
def test_an_underexposed_picture_is_shown_as_bright_as_others(light: float):
    shown = lit(scene(light=light))

    assert shown.astype(int) == pytest.approx(scene(light=0.93).astype(int), abs=14)


def test_a_bright_face_in_the_dark_is_not_made_brighter():
    image = np.zeros((300, 400, 3), np.uint8)
    image[100:160, 150:210] = 180

    assert lit(image) is image


def test_a_black_picture_stays_black():
    assert lit(np.zeros((90, 80, 3), np.uint8)).max() == 0


class Watching:
    """Parts of a pipeline that keep the brightest value they were shown."""

    max_side = 640

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def detect(self, image):
        self.seen["detector"] = int(image.max())
        points = np.full((1, 5, 2), 20.0, np.float32)
        return Detections(floats([(0, 0, 90, 90)]), points, floats([0.9]))

    def embed(self, image, points):
        self.seen["embedder"] = int(image.max())
        return np.ones((len(points), 4), np.float32)

    def spoofs(self, image, boxes, points, condition):
        self.seen["spoofing"] = int(image.max())
        return [False]


def seen(parts, image):
    """The brightest value each of `parts` was shown of `image`."""
    pipeline = Pipeline(finder=parts, embedder=parts, liveness=parts)
    pipeline.analyze(image, Wanted(embeddings=1, spoofing=SpoofingCondition.BALANCED))
    return parts.seen


def test_spoofing_is_judged_on_the_picture_as_it_is():
    brightest = seen(Watching(), scene(light=0.1))

    assert brightest["spoofing"] == 24
    assert min(brightest["detector"], brightest["embedder"]) > 200
