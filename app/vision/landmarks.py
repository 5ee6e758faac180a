"""The five points of a face, placed more finely than a detector places them."""

import numpy as np
from numpy.typing import NDArray

from app.domain.values import Image
from app.vision.geometry import Detections, Floats, Matrix, blob, box_matrix, warp
from app.vision.pose import rolls, wrapped
from app.vision.sessions import Session, batched

SIDE = 48

# The network learnt from upright faces. A face that seems tilted by more than this, in degrees, is
# shown to it again, turned upright, until it seems as tilted as it was turned.
UPRIGHT = 8.0
SETTLED = 2.0
TURNS = 4


class Retail0009:
    """landmarks-regression-retail-0009: the tight box at 48x48, BGR 0..255, gives 10 fractions."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def refine(self, image: Image, found: Detections) -> Floats:
        """The five points (n, 5, 2) of the faces found, in pixels of `image`."""
        points = self._placed(image, found.boxes, np.zeros(len(found)))
        angles = rolls(points)
        tilted = np.flatnonzero(
            (np.abs(angles) > UPRIGHT) | (np.abs(rolls(found.points)) > UPRIGHT)
        )
        # Far from upright the detector, which looks at more than the box, knows better.
        angles[tilted] = rolls(found.points[tilted])
        for _ in range(TURNS):
            if not len(tilted):
                break
            points[tilted] = self._placed(image, found.boxes[tilted], angles[tilted])
            told = rolls(points[tilted])
            moved = np.abs(wrapped(told - angles[tilted]))
            angles[tilted] = told
            tilted = tilted[moved > SETTLED]
        return points

    def _placed(self, image: Image, boxes: Floats, angles: NDArray[np.float64]) -> Floats:
        """The points (n, 5, 2) of heads tilted clockwise on screen by `angles` (n,), degrees."""
        matrices = [
            box_matrix(upright(box, float(angle)), SIDE, SIDE, angle=float(angle))
            for box, angle in zip(boxes, angles, strict=True)
        ]
        crops = [warp(image, matrix, SIDE, SIDE) for matrix in matrices]
        fractions = batched(self._session, blob(crops, color="bgr"))[0].reshape(-1, 5, 2)
        # A crop is cut at the pixels' edges, and a point lies at a pixel's centre.
        places = fractions.astype(np.float64) * SIDE - 0.5
        placed = [_back(matrix, five) for matrix, five in zip(matrices, places, strict=True)]
        return np.array(placed, dtype=np.float32)


def upright(box: Floats, angle: float) -> Floats:
    """The box a face would have upright: its sides change places as it is tilted to one side."""
    lying = np.sin(np.radians(angle)) ** 2
    centre, sides = (box[:2] + box[2:]) / 2.0, box[2:] - box[:2]
    half = (sides * (1.0 - lying) + sides[::-1] * lying) / 2.0
    turned: Floats = np.concatenate([centre - half, centre + half]).astype(np.float32)
    return turned


def _back(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where `matrix` takes these points (n, 2) from."""
    (a, b, across), (c, d, down) = matrix.tolist()
    x, y = points[:, 0] - across, points[:, 1] - down
    # Written out: for two by two a solver is slow, and lets go of the interpreter.
    there = np.stack([d * x - b * y, a * y - c * x], axis=1) / (a * d - b * c)
    return np.asarray(there, dtype=np.float64)
