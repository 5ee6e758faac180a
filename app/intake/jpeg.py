"""What a JPEG's markers tell before anything is decoded, and the segments a decoder needs.

Markers, segment lengths and stuffed bytes: ITU-T T.81, annex B.1.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from app.domain.errors import InvalidImageFile
from app.intake.exif import UPRIGHT, orientation_of

START = b"\xff\xd8"

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_APP0, _APP1, _APP14, _APP15, _COM = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..15; not DHT, JPG, DAC
# Thumbnails, profiles, further pictures and comments never reach the decoder; APP0 (JFIF) and
# APP14 (Adobe) do, they say how colours are stored.
_IDLE = frozenset(range(_APP0, _APP15 + 1)) - {_APP0, _APP14} | {_COM}
_EXIF = b"Exif\0\0"
# The markers that mean something: not stuffed zeros, fill bytes or restart markers. Found behind
# entropy-coded data and behind garbage too, which decoders skip as well; so is a reserved marker
# (below C0), whose length counts for nothing: scans could hide behind it.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
# A photo has about ten segments and some dozens with large profiles; each scan may bring tables.
_MAX_SEGMENTS = 1_000


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """`width` and `height` in pixels as stored; `essence` is the file without idle segments."""

    width: int
    height: int
    scans: int
    orientation: int
    essence: bytes


@dataclass(frozen=True, slots=True)
class _Segment:
    """A marker's code, where the marker begins, its data, and where that ends."""

    code: int
    start: int
    data: memoryview
    end: int


def read_jpeg(data: bytes) -> JpegHeader:
    """Look at every marker of `data`, which begins with `START`.

    Raises:
        InvalidImageFile: segments are missing, out of order, or absurdly many.
    """
    segments = list(islice(_segments(data), _MAX_SEGMENTS + 1))
    if len(segments) > _MAX_SEGMENTS:
        raise InvalidImageFile("the JPEG has too many segments")
    width, height = _read_size(segments)
    scans = sum(segment.code == _SOS for segment in segments)
    return JpegHeader(width, height, scans, _read_orientation(segments), _essence(data, segments))


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments up to EOI, or to the first broken one: no decoder comes further either."""
    view, at = memoryview(data), len(START)
    while found := _MARKER.search(data, at):
        start, at, code = found.start(), found.end(), data[found.end() - 1]
        begin, at = at + 2, at + int.from_bytes(data[at : at + 2])
        if code in {_SOI, _EOI} or not begin <= at <= len(data):
            return
        yield _Segment(code, start, view[begin:at], at)


def _read_size(segments: list[_Segment]) -> tuple[int, int]:
    codes = [segment.code for segment in segments]
    frames = [segment for segment in segments if segment.code in _SIZES]
    # A second frame header could change the size that was checked.
    if len(frames) != 1 or _SOS not in codes or codes.index(_SOS) < codes.index(frames[0].code):
        raise InvalidImageFile("the JPEG's segments are missing or not in order")
    frame = frames[0].data
    if len(frame) < 6:
        raise InvalidImageFile("the JPEG's header is cut short")
    return int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3])


def _read_orientation(segments: list[_Segment]) -> int:
    for segment in segments:
        if segment.code == _APP1 and segment.data[: len(_EXIF)] == _EXIF:
            return orientation_of(bytes(segment.data[len(_EXIF) :]))
    return UPRIGHT


def _essence(data: bytes, segments: list[_Segment]) -> bytes:
    view, kept, at = memoryview(data), [], 0
    for segment in segments:
        if segment.code in _IDLE:
            kept.append(view[at : segment.start])
            at = segment.end
    return b"".join([*kept, view[at:]]) if kept else data
