"""From the bytes of a PNG or JPEG to upright RGB pixels: the gate first, then a decoder."""

from typing import Protocol

from app.domain.errors import ImageTooSmall, InternalError, InvalidImageSize
from app.domain.values import Glance, Image, ImageLimits
from app.intake.header import Header, inspect
from app.intake.pixels import LYING, Order

# Detectors are shown at most 640 px of a longer side; half as many again leave room for the
# networks that look at the faces found.
GLANCE_SIDE = 960


class Decoder(Protocol):
    """Turns what the gate let through into pixels. Blocking: call it off the event loop."""

    def decode(self, order: Order, essence: bytes) -> Image:
        """Pixels of `order.shape` in memory of their own.

        Raises `InvalidImageFile` when the pixels are damaged, cut short or take too much.
        """
        ...


class Elsewhere:
    """Satisfies `Decoder` where pictures are opened in other processes, and none in this one."""

    def decode(self, order: Order, essence: bytes) -> Image:  # noqa: ARG002 - the port's
        """Raises `InternalError`."""
        raise InternalError("no picture is opened in this process")


def decode(data: bytes, limits: ImageLimits, decoder: Decoder) -> Image:
    """Upright pixels of the PNG or JPEG `data`.

    Raises:
        InvalidImageFormat, InvalidImageFile: see `app.intake.header.inspect`; InvalidImageFile
            also when the pixels themselves are damaged or cut short.
        ImageTooSmall: the file is sound, but a side is under `limits.min_side`.
        InvalidImageSize: the file is sound, but a side is not `limits.only_side`.
    """
    header = inspect(data)
    return _pixels(header, _target(_size(header), limits.shrink_to), limits, decoder)


def glance(data: bytes, limits: ImageLimits, decoder: Decoder) -> Glance:
    """The same, from a half, quarter or eighth of the pixels along each side where that will do.

    A JPEG's decoder leaves out what nobody will see. Raises as `decode`.
    """
    header = inspect(data)
    size = _target(_size(header), limits.shrink_to)
    step = _step(header)
    shown = size if step == 1 else (-(-header.width // step), -(-header.height // step))
    pixels = _pixels(header, shown, limits, decoder)
    lying = header.orientation >= LYING
    width, height = reversed(size) if lying else size
    return Glance(pixels, width, height)


def _pixels(
    header: Header, wanted: tuple[int, int], limits: ImageLimits, decoder: Decoder
) -> Image:
    whole = _size(header)
    order = Order(header.format, *whole, *wanted, header.orientation, len(header.essence))
    pixels = decoder.decode(order, header.essence)
    if min(whole) < limits.min_side:
        raise ImageTooSmall
    if limits.only_side is not None and pixels.shape[:2] != (limits.only_side, limits.only_side):
        raise InvalidImageSize
    return pixels


def _step(header: Header) -> int:
    """How many pixels along a side may become one."""
    if header.format != "JPEG":
        return 1
    longest = max(_size(header))
    return next((step for step in (8, 4, 2) if longest >= step * GLANCE_SIDE), 1)


def _size(header: Header) -> tuple[int, int]:
    return header.width, header.height


def _target(size: tuple[int, int], shrink_to: int | None) -> tuple[int, int]:
    if shrink_to is None or max(size) <= shrink_to:
        return size
    scale = shrink_to / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
