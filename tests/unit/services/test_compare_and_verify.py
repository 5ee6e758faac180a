"""Two pictures, or a picture and a registered face."""

import asyncio

import pytest

from app.domain.errors import (
    FaceNotFound,
    GroupNotFound,
    ImageTimeout,
    InvalidImageBytes,
    InvalidImageFormat,
    InvalidImageUrl,
    NoFaceFound,
    Picture,
)
from app.domain.values import Base64Image
from app.services.line import Line, LineLimits
from tests.fakes import ADA, BOB, HALF_ADA, Drawn, FakeImages, FakeVision, House, person
from tests.unit.services.rooms import EVERYTHING, LIMITS, TENANT, Rooms

SOURCE = Drawn(ADA, 200)


async def compare(rooms, source, target, threshold=75.0):
    return await rooms.services.compare(
        source, target, LIMITS, wanted=EVERYTHING, threshold=threshold
    )


async def verify(rooms, face_id, image, group="staff"):
    return await rooms.services.verify(TENANT, group, face_id, image, LIMITS, wanted=EVERYTHING)


async def test_compare_parts_the_target_at_the_threshold_inclusive(rooms):
    target = rooms.picture(
        Drawn(BOB, 150), Drawn(HALF_ADA, 120, left=150), Drawn(ADA, 100, left=300)
    )

    result = await compare(rooms, rooms.picture(SOURCE), target)

    assert [other.similarity for other in result.matched] == [100.0, 75.0]
    assert [other.similarity for other in result.unmatched] == [50.0]
    assert [other.face.side for other in result.matched] == [100, 120]


async def test_compare_uses_the_largest_face_of_the_source(rooms):
    source = rooms.picture(Drawn(BOB, 100), Drawn(ADA, 200, left=200))

    result = await compare(rooms, source, rooms.picture(Drawn(ADA, 100)))

    assert (result.source.side, result.matched[0].similarity) == (200, 100.0)


async def test_unmatched_faces_also_come_most_similar_first(rooms):
    target = rooms.picture(Drawn(person(-1, 0, 0, 0), 200), Drawn(BOB, 100, left=300))

    result = await compare(rooms, rooms.picture(SOURCE), target)

    assert [other.similarity for other in result.unmatched] == [50.0, 0.0]


async def test_a_target_without_faces_is_a_comparison_with_nobody(rooms):
    result = await compare(rooms, rooms.picture(SOURCE), rooms.picture())

    assert (result.matched, result.unmatched) == ([], [])


async def test_a_source_without_faces_cannot_be_compared(rooms):
    with pytest.raises(NoFaceFound):
        await compare(rooms, rooms.picture(), rooms.picture(SOURCE))


async def test_the_error_of_the_target_is_told_when_the_source_is_fine(rooms):
    with pytest.raises(InvalidImageBytes):
        await compare(rooms, rooms.picture(SOURCE), Base64Image("unknown"))


class SlowSource(FakeVision):
    """Takes a moment over the source, so that the target is first to fail."""

    async def analyze(self, picture, wanted, model=None, *, early=None):
        if picture.file == Base64Image("source"):
            await asyncio.sleep(0.01)
        return await super().analyze(picture, wanted, model, early=early)


async def test_the_error_of_the_source_wins_even_when_it_comes_later(rooms):
    rooms.services.detect._vision = SlowSource(rooms.house.album)
    rooms.house.spoil("source", ImageTimeout())
    rooms.house.spoil("target", InvalidImageFormat())

    with pytest.raises(ImageTimeout):
        await compare(rooms, Base64Image("source"), Base64Image("target"))


class SlowTarget(FakeVision):
    """Takes for ever over the target, and remembers whether it was told to stop."""

    def __init__(self, album):
        super().__init__(album)
        self.stopped = False

    async def analyze(self, picture, wanted, model=None, *, early=None):
        if picture.file == Base64Image("source"):
            await asyncio.sleep(0.001)
            raise InvalidImageBytes
        try:
            await asyncio.sleep(2)
        except asyncio.CancelledError:
            self.stopped = True
            raise
        raise InvalidImageFormat


async def test_work_on_the_target_stops_when_the_source_is_bad(rooms):
    rooms.services.detect._vision = slow = SlowTarget(rooms.house.album)

    with pytest.raises(InvalidImageBytes):
        await compare(rooms, Base64Image("source"), Base64Image("target"))

    assert slow.stopped


class SlowDownload(FakeImages):
    """Fetches the target for ever, or fails at once; notes whether it was told to stop."""

    def __init__(self, failure=None):
        super().__init__()
        self.failure = failure
        self.stopped = False

    async def fetch(self, reference, limits):
        if reference == Base64Image("target"):
            if self.failure is not None:
                raise self.failure
            try:
                await asyncio.sleep(2)
            except asyncio.CancelledError:
                self.stopped = True
                raise
        elif reference == Base64Image("lost"):
            await asyncio.sleep(0.001)
            raise InvalidImageUrl
        return reference


async def test_the_download_of_the_target_stops_when_that_of_the_source_fails():
    images = SlowDownload()

    with pytest.raises(InvalidImageUrl) as failed:
        await compare(Rooms(House(images=images)), Base64Image("lost"), Base64Image("target"))

    assert images.stopped
    assert failed.value.picture is Picture.SOURCE


async def test_a_source_that_cannot_be_decoded_wins_over_a_target_that_cannot_be_fetched():
    rooms = Rooms(House(images=SlowDownload(InvalidImageUrl())))
    rooms.house.spoil("source", InvalidImageFormat())
    rooms.house.show("fine", SOURCE)

    with pytest.raises(InvalidImageFormat):
        await compare(rooms, Base64Image("source"), Base64Image("target"))
    with pytest.raises(InvalidImageUrl) as failed:
        await compare(rooms, Base64Image("fine"), Base64Image("target"))

    assert failed.value.picture is Picture.TARGET


async def test_a_comparison_is_one_turn_in_a_line_with_room_for_no_more():
    rooms = Rooms(House(line=Line(LineLimits(lanes=1, room=1))))
    both = rooms.picture(SOURCE), rooms.picture(SOURCE)

    done = await asyncio.gather(compare(rooms, *both), compare(rooms, *both))

    assert [len(result.matched) for result in done] == [1, 1]
    assert rooms.house.line.working == 0


async def test_compare_uses_the_newest_model(rooms):
    rooms.house.open_another_model()

    result = await compare(rooms, rooms.picture(SOURCE), rooms.picture(SOURCE))

    assert result.model == "fake-2"


async def test_verify_tells_the_similarity_of_the_largest_face_whatever_it_is(rooms):
    [(ada, _), (bob, _)] = (await rooms.register(SOURCE, Drawn(BOB, 100, left=300))).added
    picture = rooms.picture(SOURCE, Drawn(BOB, 100, left=300))

    same, other = (
        await verify(rooms, ada.face_id, picture),
        await verify(rooms, bob.face_id, picture),
    )

    assert (same.similarity, other.similarity) == (100.0, 50.0)
    assert (same.face, other.face) == (ada, bob)
    assert same.source.side == 200


async def test_verify_uses_the_model_of_the_group(rooms):
    [(ada, _)] = (await rooms.register(Drawn(person(2, 1, 0, 0), 200))).added
    rooms.house.open_another_model()

    result = await verify(rooms, ada.face_id, rooms.picture(Drawn(person(2, 1, 0, 0), 200)))

    assert result.similarity == pytest.approx(100.0, abs=1e-5)


async def test_verify_checks_the_group_then_the_face_then_the_picture(rooms):
    [(ada, _)] = (await rooms.register(SOURCE)).added
    bad = Base64Image("unknown")

    with pytest.raises(GroupNotFound):
        await verify(rooms, "nobody", bad, group="absent")
    with pytest.raises(FaceNotFound):
        await verify(rooms, "nobody", bad)
    with pytest.raises(InvalidImageBytes):
        await verify(rooms, ada.face_id, bad)
    with pytest.raises(NoFaceFound):
        await verify(rooms, ada.face_id, rooms.picture())
