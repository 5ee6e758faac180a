"""Pictures made poor on purpose are graded down, each for what is wrong with it."""

import cv2
import numpy as np
import pytest

from app.domain.quality import QualityLevel
from app.domain.values import Decoded, Eligibility, Wanted
from models.training.masks import draw

GRADED = Wanted(embeddings=1, eligible=Eligibility(min_side=1, quality=QualityLevel.LOW))


def blurred(image):
    return cv2.GaussianBlur(image, (0, 0), 5)


def tiny(image):
    return cv2.resize(image, (240, 240), interpolation=cv2.INTER_AREA)


def dark(image):
    return (image * 0.1).astype(np.uint8)


def glaring(image):
    return np.clip(image.astype(np.float64) * 1.3 + 110, 0, 255).astype(np.uint8)


async def her(analyzer, image):
    faces = await analyzer.analyze(Decoded(image), GRADED)
    centres = [
        (f.box.x0 + f.box.x1 - 0.875) ** 2 + (f.box.y0 + f.box.y1 - 0.47) ** 2 for f in faces
    ]
    return faces[int(np.argmin(centres))]


async def test_a_good_picture_lacks_nothing(analyzer, astronaut):
    face = await her(analyzer, astronaut)

    assert face.quality.value > 0.5
    assert face.objections == ()
    assert face.embedding is not None


@pytest.mark.parametrize(
    ("spoil", "part"),
    [(blurred, "sharpness"), (tiny, "size"), (dark, "light"), (glaring, "light")],
)
async def test_a_poor_one_is_refused_for_what_is_wrong_with_it(analyzer, astronaut, spoil, part):
    face = await her(analyzer, spoil(astronaut))

    assert getattr(face.quality, part) < 0.25
    assert any(part in reason for reason in face.objections)
    assert face.embedding is None


async def test_a_covered_face_is_not_open(analyzer, astronaut):
    face = await her(analyzer, astronaut)
    points = np.array([(p.x, p.y) for p in face.landmarks], np.float32) * 512

    masked = await her(analyzer, draw(astronaut, points, np.random.default_rng(0)))

    assert masked.quality.openness < 0.5 < face.quality.openness


async def test_without_the_filter_no_face_is_graded(analyzer, astronaut):
    (face,) = await analyzer.analyze(
        Decoded(astronaut), Wanted(embeddings=1, eligible=Eligibility())
    )

    assert face.quality is None
    assert face.embedding is not None
