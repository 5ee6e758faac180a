"""Knows where an aligned face's points lie in a stored crop, and how boxes overlap."""

import numpy as np
from numpy.typing import NDArray

from app.vision.alignment import ARCFACE, Template
from app.vision.alignment import similarity as to_template
from app.vision.geometry import Floats, Matrix, warp
from models.training.data import Image

Points = NDArray[np.float32]
"""Five points (5, 2) in pixels: left eye, right eye, nose tip, left and right mouth corner."""

CROP = ARCFACE.width
TEMPLATE: Points = ARCFACE.points.astype(np.float32)
# Stored crops keep a rim around the 112 frame, so that shifting one never shows an invented edge.
RIM = 8
STORED = CROP + 2 * RIM


def similarity(source: Points, target: Points) -> Matrix:
    """The least-squares rotation, scale and shift that takes `source` to `target`."""
    return to_template(source, Template(target.astype(np.float64), CROP, CROP))


def stored_crop(image: Image, points: Points) -> Image:
    """The aligned 112 crop with its rim: (128, 128, 3)."""
    return warp(image, similarity(points, TEMPLATE + np.float32(RIM)), STORED, STORED)


def apply(matrix: Matrix, points: NDArray[np.floating]) -> Points:
    """`points` (n, 2) where `matrix` takes them."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def intersection_over_union(box: Floats, others: Floats) -> Floats:
    """Overlap (n,) in 0..1 of `box` (4,) with each of `others` (n, 4)."""
    corner, other = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.clip(other - corner, 0, None).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return np.asarray(common / np.maximum(areas - common, 1e-9), np.float32)
