"""The pictures that are measured with, all made of one that comes with the dependencies."""

import base64
import io

import cv2
import numpy as np
import skimage.data
from PIL import Image as Pictures

from app.domain.values import Glance, Image

TILE = 500
NOISE = 4.0  # grey levels; a camera's, so that a large picture compresses like a photo


def photo(width: int = 640, height: int = 480) -> Image:
    """The astronaut as high as the picture allows, on grey, with one face of a third of it."""
    astronaut = skimage.data.astronaut()[:480, :480]  # type: ignore[no-untyped-call]
    side = min(width, height)
    shown = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_CUBIC)
    canvas = np.full((height, width, 3), 96, dtype=np.uint8)
    left, top = (width - side) // 2, (height - side) // 2
    canvas[top : top + side, left : left + side] = shown
    return canvas


def camera_photo(width: int = 4000, height: int = 3000) -> Image:
    """`photo` of twelve megapixels with a camera's noise."""
    rng = np.random.default_rng(0)
    plain = photo(width, height)
    noise = np.rint(rng.standard_normal((TILE, TILE), dtype=np.float32) * NOISE)
    repeated = np.tile(noise.astype(np.int16), (height // TILE + 1, width // TILE + 1))
    noisy: Image = np.clip(plain + repeated[:height, :width, None], 0, 255).astype(np.uint8)
    return noisy


def jpeg(image: Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    Pictures.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def in_base64(file: bytes) -> str:
    return base64.b64encode(file).decode()


def bare_decode(file: bytes) -> Image:
    """What decoding costs anybody who uses Pillow."""
    with Pictures.open(io.BytesIO(file)) as picture:
        return np.asarray(picture.convert("RGB"))


def bare_glance(file: bytes, side: int) -> Glance:
    """The quickest way to at least `side` px of a large JPEG: its decoder leaves out the rest."""
    with Pictures.open(io.BytesIO(file)) as picture:
        width, height = picture.size
        picture.draft("RGB", (side, side * height // width))
        return Glance(np.asarray(picture), width, height)
