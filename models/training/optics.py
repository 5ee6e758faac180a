"""Knows how a lens, a shaking hand and a codec spoil a picture."""

import cv2
import numpy as np

Rng = np.random.Generator

GREY, COLOURED, NOISY, SPOILT = 0.1, 0.08, 0.15, 0.35  # how often
_LEVELS = np.arange(256, dtype=np.float32) / 255


def develop(image: np.ndarray, random: Rng) -> np.ndarray:
    """Another light, colour and sharpness for an RGB picture (height, width, 3)."""
    kind = random.random()
    if kind < GREY + COLOURED:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    coloured = GREY <= kind < GREY + COLOURED
    pixels = cv2.LUT(image, _curves(random, 0.7 if coloured else 0.15))
    if random.random() < NOISY:
        pixels = _noisy(pixels, random)
    return blur(pixels, random) if random.random() < SPOILT else np.asarray(pixels)


def _curves(random: Rng, tint: float) -> np.ndarray:
    """Exposure, contrast and `tint` as what each of 256 levels becomes: (1, 256, 3)."""
    gamma, offset = np.exp(random.uniform(-0.5, 0.5)), random.uniform(-0.14, 0.14)
    gain = random.uniform(0.55, 1.4) * (1 + random.uniform(-tint, tint, 3))
    levels = (_LEVELS**gamma)[:, None] * gain + offset
    curves: np.ndarray = np.clip(levels * 255, 0, 255).astype(np.uint8)[None]
    return curves


def _noisy(image: np.ndarray, random: Rng) -> np.ndarray:
    """Noise of a sensor in poor light, coarser or finer, the same for all three colours or not."""
    height, width = image.shape[:2]
    grain = int(random.integers(1, 3))
    noise = np.empty((height // grain, width // grain, 3), np.int8)
    cv2.setRNGSeed(int(random.integers(1 << 30)))  # NumPy's generator takes ten times as long
    spread = np.full(3, random.uniform(2, 14))
    cv2.randn(noise, np.zeros(3), spread)
    grown = cv2.resize(noise.astype(np.int16), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(image, grown, dtype=cv2.CV_8U))


def blur(image: np.ndarray, random: Rng) -> np.ndarray:
    """Out of focus, shaken, of few pixels, or compressed hard: one of the four."""
    kind = random.integers(4)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.6, 2.0)))
    if kind == 1:
        length = int(random.integers(3, 8))
        return np.asarray(cv2.blur(image, (length, 1) if random.random() < 0.5 else (1, length)))
    if kind == 2:
        few = 1 / random.uniform(1.3, 3.0)
        small = cv2.resize(image, None, fx=few, fy=few, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, image.shape[1::-1]))
    quality = int(random.integers(20, 70))
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
