"""The five points of a face, placed more finely than a detector places them."""

import numpy as np

from app.domain.values import Image
from app.vision.geometry import Floats, blob, box_matrix, warp
from app.vision.sessions import Session, batched

SIDE = 48


class Retail0009:
    """landmarks-regression-retail-0009: the tight box at 48x48, BGR 0..255, gives 10 fractions."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def refine(self, image: Image, boxes: Floats) -> Floats:
        """The five points (n, 5, 2) inside `boxes` (n, 4), all in pixels of `image`."""
        crops = [warp(image, box_matrix(box, SIDE, SIDE), SIDE, SIDE) for box in boxes]
        fractions = batched(self._session, blob(crops, color="bgr"))[0].reshape(-1, 5, 2)
        corners = boxes[:, None, :2]
        # A box is cut at the pixels' edges, and a point lies at a pixel's centre.
        placed: Floats = corners + fractions * (boxes[:, None, 2:] - corners) - 0.5
        return placed.astype(np.float32)
