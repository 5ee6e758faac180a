"""Knows how a lens, a shaking hand and a codec spoil a picture."""

import cv2
import numpy as np

Rng = np.random.Generator


def blur(image: np.ndarray, random: Rng) -> np.ndarray:
    """Out of focus, shaken, or compressed hard: one of the three."""
    kind = random.integers(3)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.6, 2.0)))
    if kind == 1:
        length = int(random.integers(3, 8))
        return np.asarray(cv2.blur(image, (length, 1) if random.random() < 0.5 else (1, length)))
    quality = int(random.integers(20, 70))
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
