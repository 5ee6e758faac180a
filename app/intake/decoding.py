"""From the bytes of a PNG or JPEG to upright RGB pixels: the gate first, then a decoder."""

from typing import Protocol

from app.domain.errors import ImageTooSmall
from app.domain.values import Image, ImageLimits
from app.intake.header import Header, inspect
from app.intake.pixels import Order


class Decoder(Protocol):
    """Turns what the gate let through into pixels. Blocking: call it off the event loop."""

    def decode(self, order: Order, essence: bytes) -> Image:
        """Pixels of `order.shape` in memory of their own.

        Raises `InvalidImageFile` when the pixels are damaged, cut short or take too much.
        """
        ...


def decode(data: bytes, limits: ImageLimits, decoder: Decoder) -> Image:
    """Upright pixels of the PNG or JPEG `data`.

    Raises:
        InvalidImageFormat, InvalidImageFile: see `app.intake.header.inspect`; InvalidImageFile
            also when the pixels themselves are damaged or cut short.
        ImageTooSmall: the file is sound, but a side is under `limits.min_side`.
    """
    header = inspect(data)
    pixels = decoder.decode(_order(header, limits.shrink_to), header.essence)
    if min(header.width, header.height) < limits.min_side:
        raise ImageTooSmall
    return pixels


def _order(header: Header, shrink_to: int | None) -> Order:
    size = (header.width, header.height)
    wanted = _target(size, shrink_to)
    return Order(header.format, *size, *wanted, header.orientation, len(header.essence))


def _target(size: tuple[int, int], shrink_to: int | None) -> tuple[int, int]:
    if shrink_to is None or max(size) <= shrink_to:
        return size
    scale = shrink_to / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
