"""Knows what surrounds and covers faces: parts of photos without one, and shapes cut from them."""

from collections.abc import Sequence

import cv2
import numpy as np

from app.vision.geometry import Floats
from models.training.data import Image

Rng = np.random.Generator

TRIES = 8
SMALLEST_PART = 24  # px of a photo that fill a ground
MARGIN = 0.15  # of a face's box; hair and chin are no ground
PLAIN = 0.12  # how often a ground is one tone


class Grounds:
    """Draws grounds from photos (height, width, 3) with the boxes (n, 4) of the faces on them."""

    def __init__(self, photos: Sequence[tuple[Image, Floats]]) -> None:
        self._photos = photos

    def draw(self, width: int, height: int, random: Rng) -> Image:
        """A part of a photo that touches no face, stretched to (height, width, 3); or one tone."""
        if random.random() >= PLAIN:
            for _ in range(TRIES):
                part = self._part(random)
                if part is not None:
                    return np.asarray(cv2.resize(part, (width, height)))
        tone = random.integers(0, 256, 3) if random.random() < 0.5 else np.zeros(3)
        return np.broadcast_to(tone.astype(np.uint8), (height, width, 3)).copy()

    def _part(self, random: Rng) -> Image | None:
        image, faces = self._photos[int(random.integers(len(self._photos)))]
        size = np.array(image.shape[1::-1])
        least = np.minimum(SMALLEST_PART, size)
        sides = (least + random.random(2) ** 2 * (size - least)).astype(int)
        corner = (random.random(2) * (size - sides)).astype(int)
        end = corner + sides
        grown = (faces[:, 2:] - faces[:, :2]) * MARGIN
        touched = ((faces[:, 2:] + grown > corner) & (faces[:, :2] - grown < end)).all(1)
        if touched.any():
            return None
        part: Image = image[corner[1] : end[1], corner[0] : end[0]]
        return part


def ellipse(frame: tuple[int, ...], box: Floats, reach: float, random: Rng) -> Floats:
    """Shares 0..1 (height, width, 1) inside an ellipse `reach` times `box`, softly ended."""
    cover = np.zeros(frame[:2], np.float32)
    centre = (box[:2] + box[2:]) / 2
    half = np.maximum((box[2:] - box[:2]) / 2 * reach, 2)
    place = tuple(np.round(centre).astype(int).tolist())
    axes = tuple(np.round(half).astype(int).tolist())
    cv2.ellipse(cover, place, axes, 0, 0, 360, 1.0, -1)
    softness = max(float(half.min()) * random.uniform(0.02, 0.15), 0.4)
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), softness), np.float32)[..., None]


def hide(image: Image, box: Floats, grounds: Grounds, random: Rng) -> Image:
    """A copy of `image` with something before one side of `box`, a fifth to two fifths of it."""
    size = box[2:] - box[:2]
    side, depth = int(random.integers(4)), random.uniform(0.15, 0.4)
    # From the left, the top, the right or the bottom edge inwards, and as far out again.
    across, end = side % 2, side // 2
    corner, far = box[:2] - 0.25 * size, box[2:] + 0.25 * size
    edge = box[:2][across] if end == 0 else box[2:][across]
    inner = edge + (1 if end == 0 else -1) * depth * size[across]
    corner[across], far[across] = (
        (edge - depth * size[across], inner) if end == 0 else (inner, edge + depth * size[across])
    )
    limit = np.array(image.shape[1::-1])
    (left, top), (right, bottom) = (np.clip(p, 0, limit).astype(int) for p in (corner, far))
    if right - left < 2 or bottom - top < 2:
        return image
    covered = image.copy()
    covered[top:bottom, left:right] = grounds.draw(int(right - left), int(bottom - top), random)
    return covered
