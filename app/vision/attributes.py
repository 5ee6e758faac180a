"""What the aligned face itself tells: whether a mask is worn, the pose, the quality."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.values import Image
from app.vision.alignment import ARCFACE, align
from app.vision.geometry import Floats, blob
from app.vision.sessions import Session, batched

SIDE = 112
MASK_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Attributes:
    """For n faces: masks (n,) bool, turns (n, 2) yaw and pitch in degrees, quality (n,) 0..1."""

    masks: NDArray[np.bool_]
    turns: NDArray[np.float64]
    quality: Floats


class Aligned:
    """A network that reads ArcFace's 112x112 crop, RGB, (pixel - 127.5) / 127.5."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, image: Image, points: Floats) -> Attributes:
        """The attributes of the faces at `points` (n, 5, 2)."""
        crops = [align(image, five, ARCFACE, SIDE) for five in points]
        tensor = blob(crops, color="rgb", mean=127.5, scale=127.5)
        mask, turns, quality = batched(self._session, tensor, ["mask", "pose", "quality"])
        return Attributes(mask[:, 0] >= MASK_THRESHOLD, turns.astype(np.float64), quality[:, 0])
