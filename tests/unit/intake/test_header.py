"""The gate: what it lets through to the decoder, and what never gets there."""

import re
import struct

import pytest
from PIL import Image as Pillow

from app.domain.errors import InvalidImageFile, InvalidImageFormat
from app.intake.header import MAX_PIXELS, inspect
from tests.malformed import pictures as bad

OTHER_FORMATS = {
    "nothing": b"",
    "one byte of PNG": bad.PNG[:1],
    "almost a PNG": bad.PNG[:7],
    "two bytes of JPEG": b"\xff\xd8",
    "text": b"hello",
    "JSON": b"{}",
    "zeros": bytes(1000),
    "GIF": bad.encoded(bad.scene(), "GIF"),
    "BMP": bad.encoded(bad.scene(), "BMP"),
    "WebP": bad.encoded(bad.scene(), "WEBP"),
    "TIFF": bad.encoded(bad.scene(), "TIFF"),
    "PDF": bad.encoded(bad.scene(), "PDF"),
    "PPM": bad.encoded(bad.scene(), "PPM"),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n",
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0mif1avif",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "ZIP": b"PK\x03\x04" + bytes(100),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "HTML before a JPEG": b"<html></html>" + bad.jpeg(),
    "HTML before a PNG": b"<html></html>" + bad.png(),
    "a JPEG's tail": bad.jpeg()[2:],
}


@pytest.mark.parametrize("data", OTHER_FORMATS.values(), ids=OTHER_FORMATS)
def test_what_is_neither_png_nor_jpeg_is_named_so(data):
    with pytest.raises(InvalidImageFormat):
        inspect(data)


@pytest.mark.parametrize("data", [bad.png(), bad.jpeg(), bad.jpeg(progressive=True)])
def test_the_size_is_known_without_decoding(data):
    header = inspect(data)

    assert (header.width, header.height) == (128, 96)


LARGE = {
    "one bit, 900 megapixels": bad.grey_png(30_000, 30_000, depth=1, rows=1),
    "144 megapixels": bad.grey_png(12_000, 12_000, rows=1),
    "a side too long": bad.grey_png(16_385, 80, rows=1),
    "a side far too long": bad.grey_png(80, 60_000, rows=1),
    "one pixel over 50 megapixels": bad.grey_png(50_000_001 // 5000, 5001, rows=1),
    "no width": bad.grey_png(0, 100),
    "no height": bad.grey_png(100, 0),
    "a JPEG of 4.3 gigapixels": bad.resized_header(65_500, 65_500),
    "a JPEG with a side too long": bad.resized_header(80, 16_385),
    "a JPEG without height": bad.resized_header(100, 0),
    "a JPEG without width": bad.resized_header(0, 100),
}


@pytest.mark.parametrize("data", LARGE.values(), ids=LARGE)
def test_a_size_no_decoder_should_meet_is_refused(data):
    with pytest.raises(InvalidImageFile):
        inspect(data)


@pytest.mark.parametrize(("width", "height"), [(16_384, 80), (80, 16_384), (10_000, 5_000)])
def test_the_largest_sizes_pass(width, height):
    assert inspect(bad.grey_png(width, height, rows=1)).width == width


BROKEN_PNGS = {
    "signature only": bad.PNG,
    "signature and zeros": bad.PNG + bytes(100),
    "header only": bad.PNG + bad.ihdr(100, 100),
    "no data": bad.PNG + bad.ihdr(100, 100) + bad.IEND,
    "no end": bad.png()[: -len(bad.IEND)],
    "cut in its end": bad.png()[:-1],
    "cut in its data": bad.png()[:200],
    "data before the header": bad.PNG + bad.chunk(b"IDAT") + bad.ihdr(9, 9) + bad.IEND,
    "two headers": bad.behind_header(bad.png(), bad.ihdr(30_000, 30_000)),
    "a second header behind the data": bad.grey_png(99, 99, after=bad.ihdr(30_000, 30_000)),
    "data in two places": bad.grey_png(99, 99, after=bad.chunk(b"tEXt") + bad.chunk(b"IDAT")),
    "a short header": bad.PNG + bad.chunk(b"IHDR", bytes(12)) + bad.grey_png(9, 9)[33:],
    "a wrong checksum": bad.behind_header(bad.png(), bad.chunk(b"tRNS", b"\0\0", crc=1)),
    "a claim of 2 GB": bad.claiming(0x7FFF_FFFF),
    "a claim of 4 GB": bad.claiming(0xFFFF_FFFF),
    "a claim one byte too long": bad.claiming(12),
    "more chunks than anyone needs": bad.behind_header(bad.png(), bad.chunk(b"tEXt") * 10_000),
}


@pytest.mark.parametrize("data", BROKEN_PNGS.values(), ids=BROKEN_PNGS)
def test_a_png_with_broken_chunks_is_refused(data):
    with pytest.raises(InvalidImageFile):
        inspect(data)


@pytest.mark.parametrize(
    "header",
    [
        bad.ihdr(100, 100, depth=3),
        bad.ihdr(100, 100, depth=4, colour=2),
        bad.ihdr(100, 100, depth=16, colour=3),
        bad.ihdr(100, 100, colour=1),
        bad.ihdr(100, 100, colour=7),
        bad.ihdr(100, 100, methods=(1, 0, 0)),
        bad.ihdr(100, 100, methods=(0, 1, 0)),
        bad.ihdr(100, 100, methods=(0, 0, 2)),
    ],
)
def test_a_png_of_a_kind_that_does_not_exist_is_refused(header):
    file = bad.PNG + header + bad.chunk(b"IDAT", b"x") + bad.IEND

    with pytest.raises(InvalidImageFile):
        inspect(file)


@pytest.mark.parametrize("at", [40, 200, -40])
def test_a_flipped_bit_in_a_png_is_noticed(at):
    file = bytearray(bad.png())
    file[at] ^= 4

    with pytest.raises(InvalidImageFile):
        inspect(bytes(file))


BROKEN_JPEGS = {
    "three bytes": b"\xff\xd8\xff",
    "start and end": b"\xff\xd8\xff\xd9",
    "start and zeros": b"\xff\xd8" + bytes(100),
    "nothing but fill bytes": b"\xff\xd8" + b"\xff" * 10_000,
    "cut in its tables": bad.jpeg()[:100],
    "no scan": bad.jpeg()[: bad.jpeg().index(b"\xff\xda")],
    "two frames": bad.behind_start(bad.jpeg(), bad.segment(0xC0, bytes(15))),
    "a frame behind the scan": bad.jpeg()[:-2] + bad.segment(0xC0, bytes(15)) + b"\xff\xd9",
    "a scan before the frame": bad.behind_start(bad.jpeg(), bad.segment(0xDA, bytes(10))),
    "a frame without size": b"\xff\xd8" + bad.segment(0xC0, b"\x08") + bad.segment(0xDA, b""),
    "a second start": b"\xff\xd8" + bad.jpeg(),
    "a length of one": bad.behind_start(bad.jpeg(), b"\xff\xe0\0\x01"),
    "more segments than anyone needs": bad.behind_start(bad.jpeg(), b"\xff\xfe\0\x02" * 1001),
}


@pytest.mark.parametrize("data", BROKEN_JPEGS.values(), ids=BROKEN_JPEGS)
def test_a_jpeg_with_broken_segments_is_refused(data):
    with pytest.raises(InvalidImageFile):
        inspect(data)


def test_a_hundred_scans_pass_and_one_more_does_not():
    inspect(bad.with_scans(100))

    with pytest.raises(InvalidImageFile):
        inspect(bad.with_scans(101))


def test_scans_of_a_large_picture_count_by_its_pixels():
    crowded = bytearray(bad.with_scans(40))
    at = crowded.index(b"\xff\xc2") + 5
    crowded[at : at + 4] = struct.pack(">HH", 7000, 7000)

    with pytest.raises(InvalidImageFile):
        inspect(bytes(crowded))


def test_scans_hidden_in_a_comment_or_behind_the_end_do_not_count():
    scans = b"\xff\xda\0\x08" * 500

    hidden = bad.behind_start(bad.jpeg(), bad.segment(0xFE, scans)) + scans

    assert inspect(hidden).width == 128


def test_scans_behind_garbage_count():
    file = bad.jpeg()
    scan = b"\0\0\xff\xff\xd3\xff" + bad.segment(0xDA, bytes(10))

    with pytest.raises(InvalidImageFile):
        inspect(file[:-2] + scan * 100 + b"\xff\xd9")


@pytest.mark.parametrize("code", [0x01, 0x02, 0xBF])
def test_scans_behind_a_marker_that_is_reserved_count(code):
    scans = bad.segment(0xDA, bytes(10)) * 100

    with pytest.raises(InvalidImageFile):
        inspect(bad.jpeg()[:-2] + bad.segment(code, scans) + b"\xff\xd9")


def test_the_gate_is_narrower_than_pillows_own():
    assert Pillow.MAX_IMAGE_PIXELS is not None
    assert MAX_PIXELS < Pillow.MAX_IMAGE_PIXELS


def test_the_decoder_is_shown_no_text_profile_or_later_frame():
    text = bad.chunk(b"iTXt", b"secret") + bad.chunk(b"iCCP", b"x\0\0x")
    file = bad.behind_header(bad.apng(), text)

    essence = inspect(file).essence

    assert set(re.findall(rb"IHDR|iTXt|iCCP|acTL|fcTL|fdAT|IDAT|IEND", essence)) == {
        b"IHDR",
        b"IDAT",
        b"IEND",
    }


def test_the_decoder_is_shown_no_comment_thumbnail_or_profile():
    idle = b"".join(bad.segment(code, b"secret") for code in (0xE1, 0xE2, 0xED, 0xFE))
    file = bad.behind_start(bad.jpeg(), idle)

    essence = inspect(file).essence

    assert essence == bad.jpeg()
