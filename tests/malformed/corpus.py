"""Every kind of malformed picture, made or read from disk, with the codes it may be answered."""

import csv
import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Pillow

from tests.malformed import pictures as make

SOUND = frozenset({0})
NO_PICTURE = frozenset({-45040})
BROKEN = frozenset({-45080})
SMALL = frozenset({-40000})
EMPTY = frozenset({-40000, -45030, -45040})  # by JSON, or as a file without bytes
EITHER = SOUND | BROKEN
# Whatever a damaged file is answered with, it is one of these.
ANY = SOUND | NO_PICTURE | BROKEN | SMALL | EMPTY


@dataclass(frozen=True, slots=True)
class Case:
    """A file and the result codes it may be answered with on detect."""

    name: str
    data: bytes
    codes: frozenset[int]


def synthetic() -> list[Case]:
    """What the project makes itself."""
    return [*_bombs(), *_cuts(), *_liars(), *_foreign(), *_small(), *_sound()]


def mutated(seed: int, count: int) -> Iterator[Case]:
    """`count` seeded ways to damage sound files; the same for the same seed."""
    for n, data in enumerate(make.mutations(seed, count)):
        yield Case(f"mutation {seed}/{n}", data, ANY)


def from_folder(folder: Path) -> list[Case]:
    """A corpus kept outside the project: `NAME.tsv` lists what lies in the folder `NAME`."""
    cases = []
    for table in sorted(folder.glob("*.tsv")):
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        cases += [_listed(table.with_suffix(""), row) for row in rows]
    return cases


def _listed(folder: Path, row: dict[str, str]) -> Case:
    data = (folder / row["file"]).read_bytes()
    if sha256 := row.get("sha256"):
        assert hashlib.sha256(data).hexdigest() == sha256, row["file"]
    return Case(row["file"], data, _codes(row.get("expected_code") or row["expected_resultCode"]))


def _codes(text: str) -> frozenset[int]:
    # A star marks pictures under 80 px a side: the contract answers those -40000.
    codes = {int(code) for code in re.findall(r"-4\d{4}|\b0\b", text)}
    if "*" in text:
        codes |= SMALL
    return frozenset(codes | EMPTY if -45030 in codes else codes)


def _cases(prefix: str, files: Iterable[bytes], codes: frozenset[int]) -> list[Case]:
    return [Case(f"{prefix} {n}", data, codes) for n, data in enumerate(files)]


def _bombs() -> list[Case]:
    text = make.chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(20_000_000), 9))
    profile = make.chunk(b"iCCP", b"key\0\0" + zlib.compress(bytes(20_000_000), 9))
    scans = [make.with_scans(101), make.with_scans(1_000), make.with_scans(60, 5_200, 5_200)]
    giants = [
        make.grey_png(30_000, 30_000, depth=1, rows=1_000),
        make.grey_png(16_385, 80, rows=80),
        make.grey_png(80, 16_385),
        make.grey_png(7_072, 7_072, depth=1),
        make.PNG + make.ihdr(2**31 - 1, 2**31 - 1) + make.chunk(b"IDAT", b"x") + make.IEND,
        make.claiming(2**32 - 1),
        make.resized_header(65_500, 65_500),
        make.resized_header(16_385, 100),
    ]
    claims = [make.claiming(length) for length in (2**31 - 1, 2**31, 2**32 - 12, 100)]
    chunks = make.behind_header(make.png(), make.chunk(b"tEXt", b"k\0v") * 10_001)
    segments = make.behind_start(make.jpeg(), make.segment(0xFE, b"x") * 1_001)
    return [
        *_cases(
            "text bomb", [make.behind_header(make.png(), bomb) for bomb in (text, profile)], SOUND
        ),
        *_cases("scan bomb", scans, BROKEN),
        *_cases("giant", giants, BROKEN),
        *_cases("claimed length", claims, BROKEN),
        *_cases("many parts", [chunks, segments], BROKEN),
        Case("data beyond the picture", make.grey_png(100, 100, rows=200_000), SOUND),
        Case("many frames", make.apng(60), SOUND),
    ]


def _cuts() -> list[Case]:
    kinds = {
        "png": make.png(),
        "jpeg": make.jpeg(),
        "progressive": make.jpeg(progressive=True),
        "turned": make.turned_jpeg(make.scene(), make.tiff(6)),
    }
    cases = []
    for name, file in kinds.items():
        shares = [int(len(file) * share) for share in (0.02, 0.2, 0.5, 0.75, 0.9)]
        cases += _cases(f"{name} cut", [file[:end] for end in (len(file) - 20, *shares)], BROKEN)
        cases += _cases(f"{name} barely begun", [file[:1], file[:2]], NO_PICTURE)
    signatures = [make.PNG, make.PNG + make.IEND, b"\xff\xd8\xff\xd9", b"\xff\xd8\xff"]
    return [*cases, *_cases("nothing but a signature", signatures, BROKEN)]


def _liars() -> list[Case]:
    png, jpeg = make.png(), make.jpeg()
    header = make.ihdr(128, 96)
    pngs = [
        png.replace(header, make.ihdr(0, 96)),
        png.replace(header, make.ihdr(128, 0)),
        png.replace(header, make.ihdr(128, 96, depth=3)),
        png.replace(header, make.ihdr(128, 96, colour=5)),
        png.replace(header, make.ihdr(128, 96, methods=(1, 0, 0))),
        png.replace(header, header + header),
        png.replace(header, header[:-1] + b"\0"),
        png.replace(b"IDAT", b"IDAX"),
        make.PNG + header + make.chunk(b"IDAT", b"no zlib") + make.IEND,
        make.PNG + header + make.IEND,
    ]
    frame = jpeg.index(b"\xff\xc0")
    size = struct.unpack(">H", jpeg[frame + 2 : frame + 4])[0]
    jpegs = [
        make.resized_header(0, 96),
        make.resized_header(128, 0),
        jpeg[:frame] + jpeg[frame + 2 + size :],
        jpeg[: frame + 2 + size] + jpeg[frame:],
        jpeg.replace(b"\xff\xda", b"\xff\xfe", 1),
        jpeg[: frame + 2] + b"\xff\xff" + jpeg[frame + 4 :],
    ]
    return [
        *_cases("lying png", pngs, BROKEN),
        *_cases("lying jpeg", jpegs, BROKEN),
        Case("a row too few", png.replace(header, make.ihdr(128, 97)), EITHER),
    ]


def _foreign() -> list[Case]:
    picture = Pillow.fromarray(make.scene())
    kinds = ("GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "PDF", "JPEG2000", "TGA")
    texts = [b"hello", b"{}", b"<svg xmlns='http://www.w3.org/2000/svg'/>", bytes(1_000)]
    lead = [b"<html>" + make.png(), b"\n" + make.jpeg(), b"\x89PNG\n\x1a\n" + make.png()[8:]]
    files = [*(make.encoded(picture, kind) for kind in kinds), *texts, *lead]
    return [*_cases("no picture", files, NO_PICTURE), Case("nothing", b"", EMPTY)]


def _small() -> list[Case]:
    sizes = ((79, 79), (79, 80), (80, 79), (1, 1), (1, 4_000))
    return _cases("small", [make.png(make.scene(*size)) for size in sizes], SMALL)


def _sound() -> list[Case]:
    """Odd, and to be read all the same."""
    exifs = [b"", b"garbage", *(make.tiff(n) for n in (0, 1, 6, 9)), make.tiff(6)[:12]]
    turned = [make.turned_jpeg(make.scene(), exif) for exif in exifs]
    trailing = [file + b"PK\x03\x04" * 500 for file in (make.png(), make.jpeg())]
    broken_text = make.chunk(b"zTXt", b"key\0\0no zlib", crc=7)
    return [
        *_cases("every kind", make.sound_files(), SOUND),
        *_cases("exif", turned, SOUND),
        *_cases("trailing bytes", trailing, SOUND),
        Case("broken later frames", make.apng(broken=True), SOUND),
        Case("broken text", make.behind_header(make.png(), broken_text), SOUND),
    ]
