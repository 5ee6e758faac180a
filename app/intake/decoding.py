"""From the bytes of a PNG or JPEG to upright RGB pixels, with Pillow alone."""

import io

import numpy as np
from PIL import Image as Pillow

from app.domain.errors import ImageTooSmall, InvalidImageFile
from app.domain.values import Image, ImageLimits
from app.intake.header import Header, inspect

_TURNS = {  # EXIF orientation to what brings the picture upright
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
_OPAQUE = 255


def decode(data: bytes, limits: ImageLimits) -> Image:
    """Upright pixels of the PNG or JPEG `data`, in memory of their own.

    Transparent parts show white, as on a page; of several frames only the first is read.

    Raises:
        InvalidImageFormat, InvalidImageFile: see `app.intake.header.inspect`; InvalidImageFile
            also when the pixels themselves are damaged or cut short.
        ImageTooSmall: the file is sound, but a side is under `limits.min_side`.
    """
    header = inspect(data)
    pixels = _decode(header, limits.shrink_to)
    if min(header.width, header.height) < limits.min_side:
        raise ImageTooSmall
    return pixels


def _decode(header: Header, shrink_to: int | None) -> Image:
    try:
        return _pixels(header, shrink_to)
    except Exception:  # noqa: BLE001 - Pillow raises ValueError, SyntaxError, MemoryError and more
        # No cause is kept: its message may repeat parts of the file.
        raise InvalidImageFile from None


def _pixels(header: Header, shrink_to: int | None) -> Image:
    # The gate's bounds lie under Pillow's own bomb warning, so that warning is never reached and
    # no global of Pillow has to be changed.
    with Pillow.open(io.BytesIO(header.essence), formats=[header.format]) as picture:
        if picture.size != (header.width, header.height):
            raise ValueError("the decoder reads another size than the gate")
        size = _target(picture.size, shrink_to)
        picture.draft(None, size)  # a JPEG comes out of its decoder half or quarter size
        rgb = _shrunk(_as_rgb(picture), size)
        return np.array(_upright(rgb, header.orientation))


def _target(size: tuple[int, int], shrink_to: int | None) -> tuple[int, int]:
    if shrink_to is None or max(size) <= shrink_to:
        return size
    scale = shrink_to / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _as_rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode.startswith("I"):
        return _from_16_bit(picture)
    if picture.has_transparency_data:
        return _on_white(picture.convert("RGBA"))
    picture.load()
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _on_white(picture: Pillow.Image) -> Pillow.Image:
    alpha = picture.getchannel("A")
    rgb = picture.convert("RGB")
    if alpha.getextrema() == (_OPAQUE, _OPAQUE):
        return rgb
    page = Pillow.new("RGB", picture.size, "white")
    page.paste(rgb, mask=alpha)
    return page


def _from_16_bit(picture: Pillow.Image) -> Pillow.Image:
    # Pillow clips 16-bit grey at 255 on its own; the upper byte is the 8-bit picture.
    upper = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
    return Pillow.fromarray(upper).convert("RGB")


def _shrunk(picture: Pillow.Image, size: tuple[int, int]) -> Pillow.Image:
    return picture if picture.size == size else picture.resize(size, Pillow.Resampling.BILINEAR)


def _upright(picture: Pillow.Image, orientation: int) -> Pillow.Image:
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)
