"""The pictures a check sends: a photo of six people that insightface ships, and spoilt ones."""

import struct
import zlib
from base64 import b64encode
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
NOT_BASE64 = "this is not base64!"
UNKNOWN_HOST = "https://picture.invalid/face.jpg"  # RFC 2606: no name there ever resolves


@cache
def crowd() -> bytes:
    """A JPEG with six people, each large enough to be registered."""
    # Found, not imported: importing insightface takes seconds.
    spec = find_spec("insightface")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("insightface is not installed")
    return (Path(spec.origin).parent / "data" / "images" / "t1.jpg").read_bytes()


@cache
def padded(size: int) -> bytes:
    """The crowd in a file of `size` bytes; what follows the end of a JPEG counts for nothing."""
    return crowd().ljust(size, b"\0")


@cache
def blank(side: int) -> bytes:
    """A grey PNG of `side` x `side` px without a face."""
    rows = (b"\0" + b"\x80" * side) * side
    header = struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return PNG + b"".join(_chunk(kind, content) for kind, content in chunks)


@cache
def no_picture() -> bytes:
    """A file that says it is a PNG and cannot be decoded."""
    return PNG + b"not a picture" * 20


@cache
def base64(picture: bytes) -> str:
    """A picture as JSON carries it."""
    return b64encode(picture).decode()


def _chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)
