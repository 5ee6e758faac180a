"""Knows how to draw a face mask on a face from its five points."""

import cv2
import numpy as np

from app.vision.geometry import Matrix
from models.training.data import Image
from models.training.geometry import RIM, TEMPLATE, Points, apply, similarity

Rng = np.random.Generator

# Outline on the 112 template: nose bridge, cheeks, jaw, chin. Left half; the right is its mirror.
_BRIDGE = (56.0, 62.0)
_LEFT = ((36.0, 66.0), (14.0, 74.0), (18.0, 98.0), (34.0, 116.0))
_CHIN = (56.0, 122.0)
_JITTER = 3.0  # px of the template
_COLOURS = (
    (235, 238, 240),
    (150, 195, 225),
    (120, 180, 190),
    (30, 30, 34),
    (90, 95, 105),
    (220, 190, 200),
)


def draw_on_stored(crop: Image, random: Rng) -> Image:
    """A copy of a stored crop (128, 128, 3) with a mask on it."""
    return draw(crop, TEMPLATE + RIM, random)


def draw_slipped(crop: Image, random: Rng) -> Image:
    """A copy of a stored crop with a mask that leaves the nose, or all but the chin, bare."""
    return draw(crop, TEMPLATE + RIM, random, slip=random.uniform(22, 40))


def draw(image: Image, points: Points, random: Rng, *, slip: float = 0.0) -> Image:
    """A copy of `image` with a mask over nose, mouth and chin of the face with these `points`.

    `slip` pulls its upper edge down, in pixels of the 112 template.
    """
    onto = similarity(TEMPLATE, points)
    outline = apply(onto, _outline(random, slip))
    shape = np.round(outline).astype(np.int32)
    cover = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(cover, [shape], 255, lineType=cv2.LINE_AA)
    painted = _cloth(image, onto, random)
    share = cover[..., None] / np.float32(255)
    return (image * (1 - share) + painted * share).astype(np.uint8)


def _outline(random: Rng, slip: float) -> Points:
    right = [(112 - x, y) for x, y in reversed(_LEFT)]
    plain = np.array([_BRIDGE, *_LEFT, _CHIN, *right], np.float32)
    plain[plain[:, 1] < 90, 1] += slip
    lower = random.uniform(-3, 6) * np.array([0, 1])
    return (plain + random.normal(0, _JITTER, plain.shape) + lower).astype(np.float32)


def _cloth(image: Image, onto: Matrix, random: Rng) -> np.ndarray:
    """Colour of the cloth for each pixel of `image`: one tone, shaded across, with folds."""
    tone = np.array(_COLOURS[random.integers(len(_COLOURS))], np.float32)
    tone = np.clip(tone + random.normal(0, 14, 3), 0, 255)
    height, width = image.shape[:2]
    centre = apply(onto, np.array([[56, 92]], np.float32))[0]
    unit = max(float(np.linalg.norm(onto[:, 0])) * 40, 1.0)
    across = (np.arange(width, dtype=np.float32) - centre[0]) / unit
    down = (np.arange(height, dtype=np.float32) - centre[1]) / unit
    light = 1 - 0.15 * across[None] ** 2 + random.uniform(-0.15, 0.15) * across[None]
    folds = 1 + random.uniform(0, 0.06) * np.sin(down[:, None] * random.uniform(6, 14))
    brightness = random.uniform(0.55, 1.05)
    return np.asarray(np.clip(tone * (light * folds)[..., None] * brightness, 0, 255))
