"""The way from what a request says to pixels."""

import asyncio
import base64
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from app.domain.errors import (
    ImageTimeout,
    ImageTooLarge,
    ImageTooSmall,
    InvalidImageBytes,
    InvalidImageFile,
    InvalidImageFormat,
    Overloaded,
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


class HeldExecutor(Executor):
    """Begins no job before it is told to."""

    def __init__(self):
        self.jobs: list[tuple[Future[Any], Any, Any]] = []

    def submit(self, job, /, *args, **kwargs):
        future: Future[Any] = Future()
        self.jobs.append((future, job, args))
        return future

    def begin(self):
        for future, job, args in self.jobs:
            if future.set_running_or_notify_cancel():
                future.set_result(job(*args))


@pytest.fixture
def downloads():
    return FakeDownloads()


@pytest.fixture
def intake(downloads):
    intake = Intake(downloads, Here(), ThreadPoolExecutor(1), room=1)
    yield intake
    intake.close()


def as_text(data: bytes) -> Base64Image:
    return Base64Image(base64.b64encode(data).decode())


async def test_bytes_become_pixels(intake):
    source: ImageSource = intake

    pixels = await source.open(as_text(bad.png()), LIMITS)

    assert np.array_equal(pixels, bad.scene())


async def test_a_url_becomes_pixels(intake, downloads):
    downloads.answer = bad.png()

    pixels = await intake.open(ImageUrl("http://example.com/a.png"), ImageLimits(max_bytes=77_777))

    assert np.array_equal(pixels, bad.scene())
    assert downloads.asked == [("http://example.com/a.png", 77_777)]


async def test_an_uploaded_file_becomes_pixels(intake):
    pixels = await intake.open(UploadedImage(bad.png()), LIMITS)

    assert np.array_equal(pixels, bad.scene())


async def test_an_uploaded_file_is_measured_by_its_own_bytes(intake):
    data = bad.png()

    assert (await intake.open(UploadedImage(data), ImageLimits(max_bytes=len(data)))).any()
    with pytest.raises(ImageTooLarge):
        await intake.open(UploadedImage(data), ImageLimits(max_bytes=len(data) - 1))


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
        await intake.open(reference, LIMITS)


async def test_what_a_download_meets_is_passed_on(intake, downloads):
    downloads.answer = ImageTimeout()

    with pytest.raises(ImageTimeout):
        await intake.open(ImageUrl("http://example.com/"), LIMITS)


async def test_a_page_instead_of_a_picture_is_no_picture(intake, downloads):
    downloads.answer = b"<html>sign in first</html>"

    with pytest.raises(InvalidImageFormat):
        await intake.open(ImageUrl("http://example.com/"), LIMITS)


@pytest.mark.parametrize(
    "reference",
    [as_text(bad.png()), UploadedImage(bad.png()), ImageUrl("http://example.com/")],
)
async def test_a_picture_is_one_job_off_the_event_loop(downloads, reference):
    downloads.answer, executor = bad.png(), HeldExecutor()
    intake = Intake(downloads, Here(), executor, room=1)
    task = asyncio.create_task(intake.open(reference, LIMITS))
    await asyncio.sleep(0.01)

    executor.begin()
    await task

    assert len(executor.jobs) == 1


async def test_a_job_nobody_waits_for_is_never_begun(downloads):
    executor = HeldExecutor()
    intake = Intake(downloads, Here(), executor, room=1)
    task = asyncio.create_task(intake.open(as_text(bad.png()), LIMITS))
    await asyncio.sleep(0.01)

    task.cancel()
    await asyncio.wait([task])

    [(future, _, _)] = executor.jobs
    assert future.cancelled()


async def test_a_picture_too_many_is_refused_before_any_work(downloads):
    executor = HeldExecutor()
    intake = Intake(downloads, Here(), executor, room=2)
    waiting = [asyncio.create_task(intake.open(as_text(bad.png()), LIMITS)) for _ in range(2)]
    await asyncio.sleep(0.01)

    with pytest.raises(Overloaded):
        await intake.open(as_text(bad.png()), LIMITS)

    assert len(executor.jobs) == 2
    executor.begin()
    await asyncio.gather(*waiting)


async def test_there_is_room_again_when_pictures_are_done_or_given_up(downloads):
    executor = HeldExecutor()
    intake = Intake(downloads, Here(), executor, room=2)
    waiting = [asyncio.create_task(intake.open(as_text(bad.png()), LIMITS)) for _ in range(2)]
    await asyncio.sleep(0.01)

    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    executor.begin()
    await waiting[1]
    executor.jobs.clear()
    more = [asyncio.create_task(intake.open(as_text(bad.png()), LIMITS)) for _ in range(2)]
    await asyncio.sleep(0.01)
    executor.begin()

    assert all(pixels.any() for pixels in await asyncio.gather(*more))
