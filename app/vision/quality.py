"""What the aligned face tells of its own quality: sharp or blurred, lit or not, open or covered."""

from dataclasses import dataclass

import cv2
import numpy as np

from app.domain.quality import Quality, ramp
from app.domain.values import Image, Orientation
from app.vision.alignment import ARCFACE, align
from app.vision.attributes import Attributes
from app.vision.geometry import Floats

# From useless to enough. Of 96 faces of LFW the poorest fiftieth still had enough of everything;
# blurred by 5 px, of 40 px, or at an eighth of the light, they had next to nothing of one thing.
DETAIL = (0.03, 0.13)  # share of the spread of grey levels that a blur of 1.5 px takes away
SIZE = (36.0, 112.0)  # px, shorter side
ANGLE = (60.0, 0.0)  # degrees of yaw or pitch
DARK = (15.0, 75.0)  # mean grey level, 0..255
BRIGHT = (250.0, 190.0)
CONTRAST = (4.0, 20.0)  # spread of grey levels
ONE_SIDED = (0.75, 0.35)  # difference of both halves, as a share of their sum
CLEAR = (0.2, 0.9)  # what the attributes network tells of a vector's worth
MASKED = 0.4  # the most that a face with a mask on is open

FACE = (slice(24, 104), slice(20, 92))  # rows and columns of the crop that show no background


@dataclass(frozen=True, slots=True)
class Grade:
    """The parts of a face's quality that its aligned crop tells, each 0..1."""

    sharpness: float
    light: float
    openness: float

    def quality(self, side: int, turn: Orientation | None) -> Quality:
        """With its size in px and its pose; one that is not known is taken for frontal."""
        angle = max(abs(turn.yaw), abs(turn.pitch)) if turn else 0.0
        return Quality(
            sharpness=self.sharpness,
            size=ramp(side, *SIZE),
            pose=ramp(angle, *ANGLE),
            light=self.light,
            openness=self.openness,
        )


def grades(image: Image, points: Floats, attributes: Attributes | None) -> list[Grade]:
    """Of the faces at `points` (n, 5, 2). Without `attributes` every face counts as open."""
    opened = [1.0] * len(points) if attributes is None else _openness(attributes)
    crops = [align(image, five, ARCFACE, ARCFACE.width) for five in points]
    return [_grade(crop, share) for crop, share in zip(crops, opened, strict=True)]


def _openness(attributes: Attributes) -> list[float]:
    told = zip(attributes.quality.tolist(), attributes.masks.tolist(), strict=True)
    return [min(ramp(clear, *CLEAR), MASKED if mask else 1.0) for clear, mask in told]


def _grade(crop: Image, openness: float) -> Grade:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[FACE].astype(np.float64)
    mean, spread = float(grey.mean()), float(grey.std())
    # Of a picture that is blurred already, blurring it once more takes next to nothing.
    lost = float((grey - cv2.GaussianBlur(grey, (0, 0), 1.5)).std())
    left, right = (float(half.mean()) for half in np.array_split(grey, 2, axis=1))
    lit = (
        ramp(mean, *DARK),
        ramp(mean, *BRIGHT),
        ramp(spread, *CONTRAST),
        ramp(abs(left - right) / max(left + right, 1.0), *ONE_SIDED),
    )
    return Grade(ramp(lost / max(spread, 1.0), *DETAIL), min(lit), openness)
