"""The way from what a request says to pixels."""

import base64
from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.domain.errors import (
    ImageTimeout,
    ImageTooLarge,
    ImageTooSmall,
    InvalidImageBytes,
    InvalidImageFile,
    InvalidImageFormat,
)
from app.domain.values import Base64Image, ImageLimits, ImageUrl, UploadedImage
from app.intake.images import Intake
from tests.malformed import pictures as bad
from tests.unit.intake.test_decoding import Here

if TYPE_CHECKING:
    from app.domain.ports import ImageSource

LIMITS = ImageLimits()


class FakeDownloads:
    """Gives the same answer for every address."""

    def __init__(self):
        self.answer: bytes | Exception = b""
        self.asked: list[tuple[str, int]] = []

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        self.asked.append((url, max_bytes))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def downloads():
    return FakeDownloads()


@pytest.fixture
def intake(downloads):
    return Intake(downloads, Here())


def as_text(data: bytes) -> Base64Image:
    return Base64Image(base64.b64encode(data).decode())


async def opened(source: "ImageSource", reference, limits=LIMITS):
    file = await source.fetch(reference, limits)
    return source.picture(file, limits).whole()


async def test_bytes_become_pixels(intake):
    pixels = await opened(intake, as_text(bad.png()))

    assert np.array_equal(pixels, bad.scene())


async def test_a_url_becomes_pixels(intake, downloads):
    downloads.answer = bad.png()

    pixels = await opened(
        intake, ImageUrl("http://example.com/a.png"), ImageLimits(max_bytes=77_777)
    )

    assert np.array_equal(pixels, bad.scene())
    assert downloads.asked == [("http://example.com/a.png", 77_777)]


async def test_an_uploaded_file_becomes_pixels(intake):
    assert np.array_equal(await opened(intake, UploadedImage(bad.png())), bad.scene())


async def test_an_uploaded_file_is_measured_by_its_own_bytes(intake):
    data = bad.png()

    assert (await opened(intake, UploadedImage(data), ImageLimits(max_bytes=len(data)))).any()
    with pytest.raises(ImageTooLarge):
        await opened(intake, UploadedImage(data), ImageLimits(max_bytes=len(data) - 1))


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        (UploadedImage(b""), InvalidImageFormat),
        (UploadedImage(b"hello"), InvalidImageFormat),
        (UploadedImage(base64.b64encode(bad.png())), InvalidImageFormat),
        (UploadedImage(bad.PNG), InvalidImageFile),
        (UploadedImage(bad.png(bad.scene(79, 80))), ImageTooSmall),
        (Base64Image(""), InvalidImageBytes),
        (Base64Image("!!!!"), InvalidImageBytes),
        (as_text(b"hello"), InvalidImageFormat),
        (as_text(bad.PNG), InvalidImageFile),
        (as_text(bad.png(bad.scene(79, 80))), ImageTooSmall),
        (as_text(bytes(3_000_001)), ImageTooLarge),
    ],
)
async def test_each_way_to_be_wrong_has_its_name(intake, reference, error):
    with pytest.raises(error):
        await opened(intake, reference)


async def test_what_a_download_meets_is_passed_on(intake, downloads):
    downloads.answer = ImageTimeout()

    with pytest.raises(ImageTimeout):
        await opened(intake, ImageUrl("http://example.com/"))


async def test_a_page_instead_of_a_picture_is_no_picture(intake, downloads):
    downloads.answer = b"<html>sign in first</html>"

    with pytest.raises(InvalidImageFormat):
        await opened(intake, ImageUrl("http://example.com/"))


async def test_nothing_is_decoded_before_somebody_looks(downloads):
    decoder = Counting()
    picture = Intake(downloads, decoder).picture(as_text(bad.png()), LIMITS)
    before = decoder.orders

    picture.glance()

    assert (before, decoder.orders) == (0, 1)


class Counting(Here):
    """Counts what it is asked to decode."""

    def __init__(self):
        self.orders = 0

    def decode(self, order, essence):
        self.orders += 1
        return super().decode(order, essence)
