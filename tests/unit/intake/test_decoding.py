"""Decoding: every kind of PNG and JPEG comes out upright and RGB, everything else is refused."""

import io
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from app.domain.errors import ImageTooSmall, InvalidImageFile, InvalidImageFormat
from app.domain.values import Image, ImageLimits
from app.intake import decoding
from app.intake.pixels import Order, render
from tests.malformed import pictures as bad

LIMITS = ImageLimits()


class Here:
    """Decodes in this process."""

    def decode(self, order: Order, essence: bytes) -> Image:
        try:
            pixels = b"".join(render(order, essence))
        except Exception:  # noqa: BLE001 - as a decoder process does
            raise InvalidImageFile from None
        return np.frombuffer(pixels, np.uint8).reshape(order.shape).copy()


def decode(data, limits):
    return decoding.decode(data, limits, Here())


def by_pillow(data):
    return np.array(Pillow.open(io.BytesIO(data)).convert("RGB"))


def test_a_png_comes_out_as_it_was():
    pixels = decode(bad.png(), LIMITS)

    assert np.array_equal(pixels, bad.scene())


def test_a_jpeg_comes_out_as_pillow_reads_it():
    pixels = decode(bad.jpeg(), LIMITS)

    assert np.array_equal(pixels, by_pillow(bad.jpeg()))


@pytest.mark.parametrize("data", [bad.png(), bad.jpeg(), bad.turned_png(bad.scene(), 6)])
def test_pixels_lie_in_memory_of_their_own(data):
    pixels = decode(data, LIMITS)

    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_of_a_png_is_turned_upright(orientation):
    pixels = decode(bad.turned_png(bad.scene(), orientation), LIMITS)

    assert np.array_equal(pixels, bad.UPRIGHT[orientation](bad.scene()))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_of_a_jpeg_is_turned_upright(orientation, kind, order):
    stored = by_pillow(bad.jpeg())

    pixels = decode(bad.turned_jpeg(bad.scene(), bad.tiff(orientation, order, kind)), LIMITS)

    assert np.array_equal(pixels, bad.UPRIGHT[orientation](stored))


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"garbage",
        bad.tiff(0),
        bad.tiff(9),
        bad.tiff(6)[:12],
        bad.tiff(6)[:19],
        bad.tiff(6).replace(b"\x01\x12", b"\x01\x13"),
        bad.tiff(6).replace(b"\x01\x12\x00\x03", b"\x01\x12\x00\x02"),
        b"MM\0*\xff\xff\xff\xff" + bytes(20),
        b"MM\0*\0\0\0\x08\xff\xff" + bytes(20),
    ],
)
def test_broken_exif_means_upright(exif):
    pixels = decode(bad.turned_jpeg(bad.scene(), exif), LIMITS)

    assert np.array_equal(pixels, by_pillow(bad.jpeg()))


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA"])
def test_every_colour_model_of_png_becomes_rgb(mode):
    file = bad.encoded(Pillow.fromarray(bad.scene()).convert("L").convert(mode), "PNG")

    assert np.array_equal(decode(file, LIMITS), by_pillow(file))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
def test_every_colour_model_of_jpeg_becomes_rgb(mode):
    file = bad.encoded(Pillow.fromarray(bad.scene()).convert(mode), "JPEG", quality=95)
    original = Pillow.fromarray(bad.scene()).convert(mode).convert("RGB")

    difference = np.abs(decode(file, LIMITS).astype(int) - np.array(original))

    assert difference.mean() < 3


def test_sixteen_bit_grey_keeps_its_brightness():
    grey = bad.scene()[..., 0]
    file = bad.encoded(Pillow.fromarray(grey.astype(np.uint16) * 257), "PNG")

    assert np.array_equal(decode(file, LIMITS), np.stack([grey] * 3, axis=-1))


def test_sixteen_bit_grey_with_a_transparent_value_is_read():
    file = bad.encoded(Pillow.fromarray(bad.scene()[..., 0].astype(np.uint16) * 257), "PNG")

    pixels = decode(bad.behind_header(file, bad.chunk(b"tRNS", b"\0\0")), LIMITS)

    assert np.array_equal(pixels[..., 1], bad.scene()[..., 0])


def test_transparent_parts_show_white():
    picture = np.dstack([bad.scene(), np.full((96, 128), 255, np.uint8)])
    picture[:50, :, 3] = 0

    pixels = decode(bad.png(picture), LIMITS)

    assert (pixels[:50] == 255).all()
    assert np.array_equal(pixels[50:], bad.scene()[50:])


def test_a_transparent_colour_shows_white():
    picture = bad.scene()
    picture[:10] = (1, 2, 3)

    pixels = decode(bad.png(picture, transparency=(1, 2, 3)), LIMITS)

    assert (pixels[:10] == 255).all()
    assert np.array_equal(pixels[10:], bad.scene()[10:])


def test_a_palette_with_transparent_entries_shows_white_there():
    picture = Pillow.fromarray(bad.scene()).convert("L").convert("P")
    file = bad.encoded(picture, "PNG", transparency=bytes([0] * 100 + [255] * 156))
    shown = np.array(picture.convert("RGB"))
    shown[np.array(picture) < 100] = 255

    pixels = decode(file, LIMITS)

    assert np.array_equal(pixels, shown)


def test_interlaced_pngs_are_read():
    one = zlib.compress(b"".join(bytes(row) for row in _adam7_rows(96, 96)))
    header = bad.ihdr(96, 96, colour=0, methods=(0, 0, 1))

    pixels = decode(bad.PNG + header + bad.chunk(b"IDAT", one) + bad.IEND, LIMITS)

    assert pixels.shape == (96, 96, 3)


def _adam7_rows(width, height):
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    for x, y, across, down in (*passes, (0, 1, 1, 2)):
        for _ in range(y, height, down):
            yield [0] + [99] * len(range(x, width, across))


@pytest.mark.parametrize("broken", [False, True])
def test_only_the_first_frame_of_an_animation_is_read(broken):
    pixels = decode(bad.apng(broken=broken), LIMITS)

    assert np.array_equal(pixels, bad.scene())


def test_only_the_first_picture_of_an_mpo_is_read():
    first, second = Pillow.fromarray(bad.scene()), Pillow.fromarray(bad.scene()[::-1])
    file = bad.encoded(first, "MPO", save_all=True, append_images=[second], quality=90)

    assert np.array_equal(decode(file, LIMITS), by_pillow(bad.jpeg()))


@pytest.mark.parametrize("file", [bad.png(), bad.jpeg(), bad.jpeg(progressive=True)])
def test_what_trails_behind_a_picture_is_ignored(file):
    pixels = decode(file + b"PK\x03\x04" * 500, LIMITS)

    assert np.array_equal(pixels, by_pillow(file))


def test_broken_text_and_profiles_do_not_spoil_a_png():
    broken = bad.chunk(b"zTXt", b"key\0\0not zlib") + bad.chunk(b"iCCP", b"x\0\0no", crc=7)

    pixels = decode(bad.behind_header(bad.png(), broken), LIMITS)

    assert np.array_equal(pixels, bad.scene())


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_text_bomb_is_never_inflated(kind):
    bomb = bad.chunk(kind, b"key\0\0" + zlib.compress(bytes(50_000_000), 9))
    file = bad.behind_header(bad.png(), bomb)
    tracemalloc.start()

    decode(file, LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2_000_000


def test_data_that_inflate_to_more_than_the_picture_are_not_inflated():
    file = bad.grey_png(100, 100, rows=1_000_000)
    tracemalloc.start()

    decode(file, LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2_000_000


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("file", [bad.png(), bad.jpeg(), bad.jpeg(progressive=True)])
def test_a_picture_cut_short_is_refused(file, share):
    with pytest.raises(InvalidImageFile):
        decode(file[: int(len(file) * share)], LIMITS)


def without_half_its_data(width, height):
    data = zlib.compress(bad.scene(width, height).tobytes() * 2)
    body = bad.chunk(b"IDAT", data[: len(data) // 4])
    return bad.PNG + bad.ihdr(width, height) + body + bad.IEND


def test_a_png_with_sound_chunks_and_too_few_data_is_refused():
    with pytest.raises(InvalidImageFile):
        decode(without_half_its_data(100, 100), LIMITS)


def test_data_that_are_no_zlib_are_refused():
    file = bad.PNG + bad.ihdr(100, 100) + bad.chunk(b"IDAT", b"no zlib at all") + bad.IEND

    with pytest.raises(InvalidImageFile):
        decode(file, LIMITS)


def test_a_palette_picture_without_palette_is_refused_or_read_but_never_crashes():
    file = bad.grey_png(100, 100).replace(bad.ihdr(100, 100, 8, 0), bad.ihdr(100, 100, 8, 3))

    assert outcome(file) in {"pixels", InvalidImageFile}


@pytest.mark.parametrize(("width", "height"), [(79, 80), (80, 79), (79, 79), (1, 1), (1, 4000)])
def test_a_side_under_eighty_pixels_is_too_small(width, height):
    with pytest.raises(ImageTooSmall):
        decode(bad.png(bad.scene(width, height)), LIMITS)


def test_eighty_pixels_a_side_are_enough():
    assert decode(bad.png(bad.scene(80, 80)), LIMITS).shape == (80, 80, 3)


def test_a_small_file_that_is_broken_is_broken_first():
    with pytest.raises(InvalidImageFile):
        decode(without_half_its_data(20, 20), LIMITS)


def test_pictures_stay_as_large_as_they_are_by_default():
    assert decode(bad.jpeg(bad.scene(3000, 1000)), LIMITS).shape == (1000, 3000, 3)


@pytest.mark.parametrize("make", [bad.jpeg, bad.png])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((300, 200), (200, 300)),
        ((512, 100), (100, 512)),
        ((600, 300), (256, 512)),
        ((300, 4000), (512, 38)),
        ((2048, 1536), (384, 512)),
    ],
)
def test_an_older_revision_scales_large_pictures_down(make, size, expected):
    pixels = decode(make(bad.scene(*size)), ImageLimits(shrink_to=512))

    assert pixels.shape[:2] == expected


def test_a_picture_scaled_down_shows_the_same():
    large = bad.scene(2000, 1500)

    pixels = decode(bad.jpeg(large), ImageLimits(shrink_to=500)).astype(int)

    small = np.array(Pillow.fromarray(large).resize((500, 375), Pillow.Resampling.BOX))
    assert np.abs(pixels[..., :2] - small[..., :2]).mean() < 2


def test_a_picture_scaled_down_is_turned_upright_too():
    pixels = decode(bad.turned_jpeg(bad.scene(600, 300), bad.tiff(6)), ImageLimits(shrink_to=512))

    assert pixels.shape == (512, 256, 3)


def test_an_error_says_nothing_of_the_file():
    file = bad.PNG + bad.ihdr(100, 100) + bad.chunk(b"IDAT", b"secret") + bad.IEND

    with pytest.raises(InvalidImageFile) as caught:
        decode(file, LIMITS)

    assert caught.value.__cause__ is None
    assert "secret" not in repr(caught.value)


def outcome(data):
    """What became of `data`: "pixels", or the error's class. Anything else escapes."""
    try:
        pixels = decode(data, LIMITS)
    except (InvalidImageFile, InvalidImageFormat, ImageTooSmall) as error:
        return type(error)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    return "pixels"


@pytest.mark.parametrize("seed", range(4))
def test_damaged_pictures_are_read_or_refused_and_nothing_else(seed):
    outcomes = {outcome(data) for data in bad.mutations(seed, 250)}

    assert outcomes == {"pixels", InvalidImageFile, InvalidImageFormat}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([bad.PNG, b"\xff\xd8\xff", b"\xff\xd8\xff\xe1"]), st.binary(max_size=300))
def test_random_bytes_behind_a_signature_are_refused(signature, data):
    assert outcome(signature + data) is InvalidImageFile


def glance(data, limits=LIMITS):
    return decoding.glance(data, limits, Here())


def gradient(width, height):
    """Red grows to the right and green downwards, so a pixel's place can be told from it."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([across, down, np.full_like(across, 128)], axis=2).astype(np.uint8)


def file_of(image, kind, **options):
    file = io.BytesIO()
    Pillow.fromarray(image).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1919, 1080), (1919, 1080)),
        ((1920, 1080), (960, 540)),
        ((2001, 1501), (1001, 751)),
        ((3840, 2001), (960, 501)),
        ((7681, 500), (961, 63)),
    ],
)
def test_a_glance_at_a_large_jpeg_shows_every_second_fourth_or_eighth_pixel(size, shown):
    image = gradient(*size)

    seen = glance(file_of(image, "JPEG", quality=95))

    assert (seen.width, seen.height) == size
    assert seen.pixels.shape == (shown[1], shown[0], 3)
    assert seen.is_whole == (size == shown)
    expected = np.asarray(Pillow.fromarray(image).resize(shown, Pillow.Resampling.BOX))
    # The last column and row may stand for fewer pixels than the others.
    off = np.abs(seen.pixels[:-1, :-1].astype(int) - expected[:-1, :-1])
    assert off.max() <= 4


def test_a_glance_lies_as_a_viewer_shows_the_picture():
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise

    seen = glance(file_of(gradient(2000, 1000), "JPEG", exif=exif))

    assert (seen.width, seen.height) == (1000, 2000)
    assert seen.pixels.shape == (1000, 500, 3)
    assert seen.pixels[5, -5, 0] < 20


def test_of_a_picture_to_be_scaled_down_a_glance_tells_the_size_it_will_have():
    seen = glance(file_of(gradient(4000, 2000), "JPEG"), ImageLimits(shrink_to=2048))

    assert (seen.width, seen.height) == (2048, 1024)
    assert seen.pixels.shape == (500, 1000, 3)


def test_a_png_is_seen_whole_since_its_decoder_can_leave_nothing_out():
    assert glance(file_of(gradient(2000, 100), "PNG")).is_whole


def test_a_glance_at_a_picture_that_is_too_narrow_is_refused_by_its_own_size():
    with pytest.raises(ImageTooSmall):
        glance(file_of(gradient(2000, 79), "JPEG"))
