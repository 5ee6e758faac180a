"""Boxes, points and similarity transforms in pixels, and the pieces of a picture they cut out."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.values import Image

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]
"""An affine map from picture to crop, shape (2, 3)."""

# Values of a crop up to which one slow copy into a tensor is better than two quick ones.
SMALL_CROP = 3 * 64 * 64


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Faces as a network found them, in pixels of the picture, not clipped to it.

    `boxes` has shape (n, 4): left, top, right, bottom. `points` has shape (n, 5, 2): left eye,
    right eye, nose, left and right mouth corner. `scores` has shape (n,), 0..1.
    """

    boxes: Floats
    points: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, order: NDArray[np.intp]) -> "Detections":
        if len(order) == 1:  # mostly: and a slice, unlike a choice, keeps the interpreter
            row = int(order[0])
            one = slice(row, row + 1)
            return Detections(self.boxes[one], self.points[one], self.scores[one])
        return Detections(self.boxes[order], self.points[order], self.scores[order])

    def moved(self, *, shift: float, scale: float) -> "Detections":
        """The same faces where (x, y) is ((x - shift) / scale, ...)."""
        return Detections((self.boxes - shift) / scale, (self.points - shift) / scale, self.scores)

    def enlarged(self, factor: float) -> "Detections":
        """The same faces where each pixel has become `factor` of them along a side."""
        # A box is cut at the pixels' edges, and a point lies at a pixel's centre.
        points = (self.points + 0.5) * factor - 0.5
        return Detections(self.boxes * factor, points, self.scores)

    @classmethod
    def none(cls) -> "Detections":
        return cls(
            np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32)
        )


def warp(image: Image, matrix: Matrix, width: int, height: int) -> Image:
    """The piece of `image` that `matrix` maps to (0, 0, width, height); black outside.

    A bilinear warp reads four pixels however many lie beneath a pixel of the crop, so what is
    needed of a large face is first shrunk to two or three times the crop.
    """
    shrink = int(0.5 / max(_scale(matrix), 1e-6))
    if shrink >= 2:
        image, matrix = _shrunk(image, matrix, (width, height), shrink)
    crop = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(crop, dtype=np.uint8)


def _scale(matrix: Matrix) -> float:
    """How many crop pixels a picture's pixel becomes, along one side."""
    return math.sqrt(abs(float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])))


def _shrunk(
    image: Image, matrix: Matrix, size: tuple[int, int], shrink: int
) -> tuple[Image, Matrix]:
    left, top, right, bottom = _needed(image, matrix, size, margin=shrink)
    part = image[top:bottom, left:right]
    width, height = (right - left) // shrink, (bottom - top) // shrink
    if width < 1 or height < 1:
        return image, matrix
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    # Pixel centres lie at whole numbers: x = left + (x' + 0.5) * step - 0.5.
    steps = np.array([(right - left) / width, (bottom - top) / height])
    offsets = np.array([left, top]) + 0.5 * steps - 0.5
    linear = matrix[:, :2]
    return np.asarray(small, dtype=np.uint8), np.column_stack(
        [linear * steps, linear @ offsets + matrix[:, 2]]
    )


def _needed(
    image: Image, matrix: Matrix, size: tuple[int, int], *, margin: int
) -> tuple[int, int, int, int]:
    width, height = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
    back = cv2.invertAffineTransform(matrix)
    places = corners @ back.T
    low = np.floor(places.min(axis=0)).astype(int) - margin
    high = np.ceil(places.max(axis=0)).astype(int) + margin
    rows, columns = image.shape[:2]
    left, right = np.clip([low[0], high[0]], 0, columns)
    top, bottom = np.clip([low[1], high[1]], 0, rows)
    return int(left), int(top), int(right), int(bottom)


def box_matrix(box: Floats, width: int, height: int, *, angle: float = 0.0) -> Matrix:
    """Maps `box` (left, top, right, bottom), turned by `angle` about its centre, to the crop.

    `angle` is in degrees, clockwise on screen: a head tilted by it stands upright in the crop.
    """
    left, top, right, bottom = (float(value) for value in box)
    scale_x = width / max(right - left, 1e-3)
    scale_y = height / max(bottom - top, 1e-3)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    linear = np.array([[scale_x * cos, scale_x * sin], [-scale_y * sin, scale_y * cos]])
    centre = np.array([left + right, top + bottom]) / 2.0
    # The box covers whole pixels, whose centres lie half a pixel inside its edges.
    offset = np.array([width, height]) / 2.0 - 0.5 - linear @ (centre - 0.5)
    return np.column_stack([linear, offset])


class Scratch:
    """A tensor and as many bytes, used again: fresh memory's pages cost more than to fill them."""

    def __init__(self) -> None:
        self._tensor: Floats = np.empty(0, dtype=np.float32)
        self._planes: Image = np.empty(0, dtype=np.uint8)

    def shaped(self, *shape: int) -> tuple[Floats, Image]:
        """Both of this shape, with anything in them."""
        if self._tensor.shape != shape:
            self._tensor = np.empty(shape, dtype=np.float32)
            self._planes = np.empty(shape, dtype=np.uint8)
        return self._tensor, self._planes


class Scratches:
    """As many as are in use at a time, whichever threads use them."""

    def __init__(self) -> None:
        self._free: list[Scratch] = []

    @contextmanager
    def one(self) -> Iterator[Scratch]:
        """One that nobody else has during the block."""
        try:
            scratch = self._free.pop()  # one step, so no lock is needed
        except IndexError:
            scratch = Scratch()
        try:
            yield scratch
        finally:
            self._free.append(scratch)


def blob(
    crops: list[Image],
    *,
    color: Literal["rgb", "bgr"],
    mean: float = 0.0,
    scale: float = 1.0,
    scratch: Scratch | None = None,
) -> Floats:
    """RGB crops of one size as a network's input (n, 3, height, width): (pixel - mean) / scale."""
    shape, step = (len(crops), 3, *crops[0].shape[:2]), 1 if color == "rgb" else -1
    # Whoever lets go of the interpreter waits for the other threads to have it back: so a small
    # crop is brought over in one operation, although two are quicker where there are many pixels.
    if crops[0].size <= SMALL_CROP:
        tensor = np.empty(shape, dtype=np.float32)
        for place, crop in zip(tensor, crops, strict=True):
            np.copyto(place, crop.transpose(2, 0, 1)[::step])
    else:
        tensor, planes = (scratch or Scratch()).shaped(*shape)
        for flat, crop in zip(planes, crops, strict=True):
            # Split first, widen then: four times as fast as cv2.dnn.blobFromImages.
            cv2.split(crop, list(flat[::step]))
        np.copyto(tensor, planes)
    if mean != 0.0:
        tensor -= mean
    if scale != 1.0:
        tensor *= 1.0 / scale
    return tensor


def unit_rows(vectors: Floats) -> Floats:
    """Each row at length 1; a row of zeros, or one that is not finite, becomes zeros."""
    safe = np.nan_to_num(vectors.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    lengths = np.linalg.norm(safe, axis=1, keepdims=True)
    rows: Floats = (safe / np.where(lengths > 0.0, lengths, 1.0)).astype(np.float32)
    return rows
