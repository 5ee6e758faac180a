"""The gate in front of the decoder: what a file claims to be, and whether that may be decoded."""

from dataclasses import dataclass
from typing import Literal

from app.domain.errors import InvalidImageFile, InvalidImageFormat
from app.intake.jpeg import START, read_jpeg
from app.intake.png import SIGNATURE, read_png

MAX_SIDE = 16_384
MAX_PIXELS = 50_000_000
# A progressive JPEG touches every pixel once per scan: 100 kB in 5,453 scans take 10 s. These
# bounds are about one second of libjpeg-turbo, and beyond what any encoder writes (ten scans).
MAX_SCANS = 100
MAX_SCANNED_PIXELS = 1_600_000_000


@dataclass(frozen=True, slots=True)
class Header:
    """What the gate let through.

    `width` and `height` are pixels as stored, before `orientation` (EXIF 1..8) is applied.
    `essence` is the file without the parts no pixel depends on.
    """

    format: Literal["PNG", "JPEG"]
    width: int
    height: int
    orientation: int
    essence: bytes


def inspect(data: bytes) -> Header:
    """Read and bound the header of `data` without decoding anything.

    Raises:
        InvalidImageFormat: `data` begins neither as a PNG nor as a JPEG.
        InvalidImageFile: it does, but is damaged or would cost too much to decode.
    """
    header = _read(data)
    _check_size(header.width, header.height)
    return header


def _read(data: bytes) -> Header:
    if data.startswith(SIGNATURE):
        png = read_png(data)
        return Header("PNG", png.width, png.height, png.orientation, png.essence)
    if data.startswith(START) and len(data) > len(START):
        jpeg = read_jpeg(data)
        _check_scans(jpeg.scans, jpeg.width * jpeg.height)
        return Header("JPEG", jpeg.width, jpeg.height, jpeg.orientation, jpeg.essence)
    raise InvalidImageFormat


def _check_size(width: int, height: int) -> None:
    if not (width and height):
        raise InvalidImageFile("the image has no width or no height")
    if max(width, height) > MAX_SIDE:
        raise InvalidImageFile(f"the image is over {MAX_SIDE} px on one side")
    if width * height > MAX_PIXELS:
        raise InvalidImageFile(f"the image has more than {MAX_PIXELS} pixels")


def _check_scans(scans: int, pixels: int) -> None:
    if scans > MAX_SCANS or pixels * scans > MAX_SCANNED_PIXELS:
        raise InvalidImageFile("the JPEG has too many scans")
