"""From the checked parts of a PNG or JPEG to upright RGB pixels, with Pillow alone.

Runs in the decoder processes, so it knows nothing of the rest of the product: `Order` is what
crosses the border, as bytes of one length.
"""

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image as Pillow

_TURNS = {  # EXIF orientation to what brings the picture upright
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
LYING = 5  # from this orientation on, width and height change places
_OPAQUE = 255
_BAND_PIXELS = 1_000_000
_LAYOUT = struct.Struct("<4s6I")


class Order(NamedTuple):
    """What is to be decoded: `length` bytes of `format` ("PNG", "JPEG") become pixels.

    `width` and `height` are pixels as stored, `to_width` and `to_height` those wanted, both before
    `orientation` (EXIF 1..8) is applied.
    """

    format: str
    width: int
    height: int
    to_width: int
    to_height: int
    orientation: int
    length: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the upright pixels: rows, columns, channels."""
        if self.orientation >= LYING:
            return self.to_width, self.to_height, 3
        return self.to_height, self.to_width, 3

    def pack(self) -> bytes:
        """As it crosses the border."""
        return _LAYOUT.pack(self.format.encode(), *self[1:])

    @classmethod
    def unpack(cls, data: bytes) -> "Order":
        """What `pack` made."""
        kind, *numbers = _LAYOUT.unpack(data)
        return cls(kind.rstrip(b"\0").decode(), *numbers)


ORDER_BYTES = _LAYOUT.size


def render(order: Order, essence: bytes) -> Iterator[bytes]:
    """Upright RGB, row by row, a byte a channel, in bands so that little is held twice.

    Transparent parts show white, as on a page; of several frames only the first is read. Raises
    whatever Pillow raises, which may be anything.
    """
    # The gate's bounds lie under Pillow's own bomb warning, so that warning is never reached and
    # no global of Pillow has to be changed.
    with Pillow.open(io.BytesIO(essence), formats=[order.format]) as picture:
        if picture.size != (order.width, order.height):
            raise ValueError("the decoder reads another size than the gate")
        size = (order.to_width, order.to_height)
        picture.draft(
            None, _at_least(order)
        )  # a JPEG comes out of its decoder half or quarter size
        yield from _bands(_upright(_shrunk(_as_rgb(picture), size), order.orientation))


def _at_least(order: Order) -> tuple[int, int]:
    """What to ask of the decoder: it counts whole steps, while what it gives is rounded up."""
    sides = ((order.width, order.to_width), (order.height, order.to_height))
    width, height = (max(1, wanted - (wanted < whole)) for whole, wanted in sides)
    return width, height


def _bands(picture: Pillow.Image) -> Iterator[bytes]:
    width, height = picture.size
    rows = max(1, _BAND_PIXELS // width)
    if rows >= height:  # a crop would be one copy more
        yield picture.tobytes()
        return
    for top in range(0, height, rows):
        yield picture.crop((0, top, width, min(top + rows, height))).tobytes()


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
    upper = picture.convert("I;16").tobytes()[1::2]
    return Pillow.frombytes("L", picture.size, upper).convert("RGB")


def _shrunk(picture: Pillow.Image, size: tuple[int, int]) -> Pillow.Image:
    return picture if picture.size == size else picture.resize(size, Pillow.Resampling.BILINEAR)


def _upright(picture: Pillow.Image, orientation: int) -> Pillow.Image:
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)
