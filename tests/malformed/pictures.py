"""Makes the pictures attackers and broken cameras send, from nothing but Pillow and zlib."""

import io
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

PNG = b"\x89PNG\r\n\x1a\n"
IEND = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))

Pixels = NDArray[np.uint8]

# What brings each EXIF orientation upright, said in NumPy so that it shares nothing with Pillow.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


def scene(width=128, height=96) -> Pixels:
    """A smooth picture without any symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    red, green, blue = x / width, y / height, (x * x / width + y) / (width + height)
    return (255 * np.stack([red, green, blue], axis=-1)).astype(np.uint8)


def encoded(picture: Pillow.Image | Pixels, file_format: str, **options) -> bytes:
    image = picture if isinstance(picture, Pillow.Image) else Pillow.fromarray(picture)
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def png(pixels=None, **options) -> bytes:
    return encoded(scene() if pixels is None else pixels, "PNG", **options)


def jpeg(pixels=None, **options) -> bytes:
    return encoded(scene() if pixels is None else pixels, "JPEG", **{"quality": 90, **options})


# --- PNG by hand


def chunk(kind: bytes, data: bytes = b"", crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def ihdr(width, height, depth=8, colour=2, methods=(0, 0, 0)) -> bytes:
    """`methods` are those of compression, filtering and interlacing."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *methods))


def grey_png(width: int, height: int, *, depth=8, before=b"", after=b"", rows=None):
    """A black picture; `before` and `after` are chunks around its IDAT."""
    stride = 1 + (width * depth + 7) // 8
    data = zlib.compress(bytes(stride) * (height if rows is None else rows), 9)
    return PNG + ihdr(width, height, depth, 0) + before + chunk(b"IDAT", data) + after + IEND


def behind_header(file: bytes, extra: bytes) -> bytes:
    """`file`, a PNG, with more chunks right behind its IHDR."""
    cut = len(PNG) + 25
    return file[:cut] + extra + file[cut:]


def claiming(length: int) -> bytes:
    """56 bytes of PNG whose second chunk claims `length` more."""
    return PNG + ihdr(100, 100) + struct.pack(">I", length) + b"IDAT" + bytes(15)


def apng(frames=3, *, broken=False) -> bytes:
    images = [Pillow.fromarray(np.roll(scene(), 9 * n, axis=1)) for n in range(frames)]
    file = encoded(images[0], "PNG", save_all=True, append_images=images[1:])
    if not broken:
        return file
    at = file.index(b"fdAT") + 12
    return file[:at] + bytes(40) + file[at + 40 :]


# --- JPEG by hand


def segment(code: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data


def behind_start(file: bytes, extra: bytes) -> bytes:
    """`file`, a JPEG, with more segments right behind its SOI."""
    return file[:2] + extra + file[2:]


def tiff(orientation: int, order: str = ">", kind: int = 3) -> bytes:
    """An EXIF block that says nothing but the orientation."""
    mark = b"MM\0*" if order == ">" else b"II*\0"
    value = struct.pack(order + ("HH" if kind == 3 else "I"), *([orientation, 0][: 5 - kind]))
    head = struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, 1)
    return mark + head + value + struct.pack(order + "I", 0)


def turned_png(pixels: Pixels, orientation: int) -> bytes:
    return behind_header(png(pixels), chunk(b"eXIf", tiff(orientation)))


def turned_jpeg(pixels: Pixels, exif: bytes) -> bytes:
    return behind_start(jpeg(pixels), segment(0xE1, b"Exif\0\0" + exif))


def with_scans(count: int, width=128, height=96) -> bytes:
    """A progressive JPEG whose last scan is repeated until there are `count`.

    Large ones are black, or they would not fit into a request.
    """
    large = width * height > 1_000_000
    pixels = np.zeros((height, width, 3), np.uint8) if large else scene(width, height)
    file = jpeg(pixels, progressive=True)
    last, end = file.rindex(b"\xff\xda"), len(file) - 2
    return file[:end] + file[last:end] * (count - file.count(b"\xff\xda")) + file[end:]


def resized_header(width: int, height: int) -> bytes:
    """A JPEG that says it is `width` x `height`, whatever its data hold."""
    file = bytearray(jpeg())
    at = file.index(b"\xff\xc0") + 5
    file[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(file)


# --- damage


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """`count` seeded ways to damage small, sound files of several kinds."""
    dice = random.Random(seed)  # noqa: S311 - a replayable game, no secret
    files = sound_files()
    for _ in range(count):
        file = bytearray(dice.choice(files))
        for _ in range(dice.choice((1, 1, 2, 5, 20))):
            dice.choice((_flip, _cut, _splice, _overwrite))(dice, file, files)
        yield bytes(file)


def sound_files() -> list[bytes]:
    picture = Pillow.fromarray(scene(100, 90))
    modes = ("L", "LA", "RGBA", "P", "1", "I;16")
    pngs = [encoded(picture.convert("L").convert(mode), "PNG") for mode in modes]
    plain = [png(scene(100, 90)), apng(), turned_png(scene(90, 100), 6)]
    jpegs = [encoded(picture.convert(mode), "JPEG") for mode in ("L", "RGB", "CMYK")]
    exif = [turned_jpeg(scene(90, 100), tiff(8)), jpeg(scene(100, 90), progressive=True)]
    return [*pngs, *plain, *jpegs, *exif]


def _flip(dice, file, files):
    if file:
        file[dice.randrange(len(file))] ^= 1 << dice.randrange(8)


def _cut(dice, file, files):
    del file[dice.randrange(len(file) + 1) :]


def _splice(dice, file, files):
    other, at = dice.choice(files), dice.randrange(len(file) + 1)
    begin = dice.randrange(len(other))
    file[at:at] = other[begin : begin + dice.randrange(200)]


def _overwrite(dice, file, files):
    at = dice.randrange(len(file) + 1)
    file[at : at + 4] = dice.choice((bytes(4), b"\xff" * 4, b"\xff\xda\xff\xc0", b"\x7f\0\0\0"))
