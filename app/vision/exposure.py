"""What networks are shown of a picture in which nothing is bright: the same with more light."""

import cv2
import numpy as np

from app.domain.values import Image

# A picture is underexposed when at most this share of its values is brighter than this level: one
# bright face on black, or a lamp, and it stays as it is. So many values along its longer side tell.
UNDEREXPOSED = 64  # grey level, 0..255
BRIGHT_SHARE = 0.02
SAMPLES = 64

# Its brightest values, those of that share, are brought to this level, by at most so much.
WELL_LIT = 220.0
MOST_GAIN = 12.0


def lit(image: Image) -> Image:
    """`image` itself, or, where it is underexposed, a copy with more light."""
    step = max(1, max(image.shape[:2]) // SAMPLES)
    seen = image[step // 2 :: step, step // 2 :: step]
    if np.count_nonzero(seen > UNDEREXPOSED) > BRIGHT_SHARE * seen.size:
        return image
    brightest = float(np.quantile(seen, 1.0 - BRIGHT_SHARE))
    gain = min(WELL_LIT / max(brightest, 1.0), MOST_GAIN)
    return np.asarray(cv2.convertScaleAbs(image, alpha=max(gain, 1.0)), dtype=np.uint8)
