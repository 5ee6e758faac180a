"""Knows which cell of the detector answers for which face."""

from dataclasses import dataclass

import numpy as np

from app.vision.detectors import STRIDES
from app.vision.geometry import Floats

# Face sizes (px, square root of the area) each stride answers for. They overlap: two chances.
REACH = {8: (0.0, 60.0), 16: (30.0, 150.0), 32: (90.0, 1e6)}
RADIUS = 1.5  # strides around a face's centre


@dataclass(frozen=True, slots=True)
class Cells:
    """All cells of an input, strides one after the other: corner (n, 2) and stride (n,), px."""

    corners: Floats
    strides: Floats

    @classmethod
    def of(cls, height: int, width: int) -> "Cells":
        parts = []
        for stride in STRIDES:
            y, x = np.mgrid[0 : height // stride, 0 : width // stride]
            parts.append((np.stack([x.ravel(), y.ravel()], 1) * stride, np.full(x.size, stride)))
        corners = np.concatenate([corner for corner, _ in parts]).astype(np.float32)
        return cls(corners, np.concatenate([s for _, s in parts]).astype(np.float32))


def assign(cells: Cells, boxes: Floats, ignored: Floats) -> np.ndarray:
    """For each cell the index of its face, -1 for background, -2 where nothing is asked of it."""
    answer = np.full(len(cells.corners), -1)
    answer[_inside(cells.corners, ignored).any(1)] = -2
    if not len(boxes):
        return answer
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    away = np.abs(cells.corners[:, None] - centres).max(2) / cells.strides[:, None]
    sizes = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
    low, high = (np.array([REACH[int(s)][end] for s in cells.strides]) for end in (0, 1))
    fits = (sizes >= low[:, None]) & (sizes < high[:, None])
    candidate = fits & (away < RADIUS) & _inside(cells.corners, boxes)
    distance = np.where(candidate, away, np.inf)
    chosen = candidate.any(1)
    answer[chosen] = distance[chosen].argmin(1)
    return answer


def _inside(corners: Floats, boxes: Floats) -> np.ndarray:
    """Whether each of n corners is inside each of m boxes: (n, m)."""
    lower, upper = corners[:, None] >= boxes[:, :2], corners[:, None] <= boxes[:, 2:]
    return np.asarray((lower & upper).all(2))
