"""What a PNG's chunks tell before anything is inflated, and the few of them a decoder needs.

Chunk layout, and which sizes, depths and colour types there are: PNG specification, third edition
(W3C 2025), 5.3 and 11.2.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from app.domain.errors import InvalidImageFile
from app.intake.exif import UPRIGHT, orientation_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Text, colour profiles and later frames are where bombs and parser bugs live, and no pixel of the
# picture depends on them: the decoder never sees them.
_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# 3 MB in chunks of 1 KB are 3,000; far more chunks than that only serve to cost time.
_MAX_CHUNKS = 10_000
_FRAME_BYTES = 12  # length, type and CRC around the data of each chunk
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


@dataclass(frozen=True, slots=True)
class PngHeader:
    """`width` and `height` in pixels as stored; `essence` is the file without idle chunks."""

    width: int
    height: int
    orientation: int
    essence: bytes


@dataclass(frozen=True, slots=True)
class _Chunk:
    """`frame` is the whole chunk with its length and CRC, `data` what it carries."""

    kind: bytes
    frame: memoryview
    data: memoryview


def read_png(data: bytes) -> PngHeader:
    """Look at every chunk of `data`, which begins with `SIGNATURE`.

    Raises:
        InvalidImageFile: a chunk is cut, damaged or out of place, or no decoder may take it.
    """
    chunks = list(islice(_chunks(data), _MAX_CHUNKS + 1))
    _check_order(chunks)
    needed = [chunk for chunk in chunks if chunk.kind in _NEEDED]
    for chunk in needed:
        _check_crc(chunk)
    width, height = _read_size(chunks[0].data)
    essence = SIGNATURE + b"".join(chunk.frame for chunk in needed)
    return PngHeader(width, height, _read_orientation(chunks), essence)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks up to IEND; what trails behind it is nobody's business."""
    view, at, kind = memoryview(data), len(SIGNATURE), b""
    while kind != b"IEND":
        # The declared length is compared, never allocated: 56 bytes may claim 4 GB.
        end = at + _FRAME_BYTES + int.from_bytes(view[at : at + 4])
        if end > len(data):
            raise InvalidImageFile("the PNG is cut short")
        kind = bytes(view[at + 4 : at + 8])
        yield _Chunk(kind, view[at:end], view[at + 8 : end - 4])
        at = end


def _check_order(chunks: list[_Chunk]) -> None:
    kinds = [chunk.kind for chunk in chunks]
    if len(kinds) > _MAX_CHUNKS:
        raise InvalidImageFile("the PNG has too many chunks")
    # A second header behind the first could change the size that was checked.
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") != 1 or not _unbroken(kinds, b"IDAT"):
        raise InvalidImageFile("the PNG's chunks are not in order")


def _unbroken(kinds: list[bytes], kind: bytes) -> bool:
    count = kinds.count(kind)
    first = kinds.index(kind) if count else 0
    return count > 0 and kinds[first : first + count] == [kind] * count


def _check_crc(chunk: _Chunk) -> None:
    stored = int.from_bytes(chunk.frame[-4:])
    if zlib.crc32(chunk.frame[4:-4]) != stored:
        raise InvalidImageFile("the PNG is damaged")


def _read_size(header: memoryview) -> tuple[int, int]:
    if len(header) != 13:
        raise InvalidImageFile("the PNG's header has a wrong length")
    depth, colour, compression, filtering, interlace = header[8:]
    sane = depth in _DEPTHS.get(colour, ()) and compression == filtering == 0 and interlace <= 1
    if not sane:
        raise InvalidImageFile("the PNG's header names a format that does not exist")
    return int.from_bytes(header[:4]), int.from_bytes(header[4:8])


def _read_orientation(chunks: list[_Chunk]) -> int:
    exif = next((chunk.data for chunk in chunks if chunk.kind == b"eXIf"), None)
    return UPRIGHT if exif is None else orientation_of(bytes(exif))
