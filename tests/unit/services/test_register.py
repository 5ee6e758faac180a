"""Which faces of a picture are added to a group, and which are not."""

import re

import pytest

from app.domain.errors import FaceQuotaExceeded, GroupNotFound, InvalidImageBytes
from app.domain.values import Base64Image, Wanted
from app.services.register import RegisterRequest, random_id
from tests.fakes import ADA, BOB, CLEO, Drawn, House
from tests.unit.services.rooms import EVERYTHING, LIMITS, TENANT, Rooms

LARGE, MIDDLE, SMALL = Drawn(ADA, 200), Drawn(BOB, 150, left=200), Drawn(CLEO, 100, left=350)


def sides(faces):
    return [face.side for face in faces]


async def test_faces_are_added_largest_first(rooms):
    done = await rooms.register(SMALL, LARGE, MIDDLE)

    assert sides(face for _, face in done.added) == [200, 150, 100]
    assert [record.box for record, _ in done.added] == [face.box for _, face in done.added]
    assert (done.not_added, done.partial) == ([], False)


async def test_the_limit_counts_faces_added(rooms):
    done = await rooms.register(SMALL, LARGE, MIDDLE, limit=2)

    assert sides(face for _, face in done.added) == [200, 150]
    assert sides(done.not_added) == [100]
    assert not done.partial


@pytest.mark.parametrize(
    "unfit",
    [
        Drawn(CLEO, 59, left=300),
        Drawn(CLEO, 250, left=300, yaw=46.0),
        Drawn(CLEO, 250, left=300, yaw=-46.0),
        Drawn(CLEO, 250, left=300, pitch=45.1),
        Drawn(CLEO, 250, left=300, pitch=-60.0),
    ],
    ids=["59 px", "yaw 46", "yaw -46", "pitch 45.1", "pitch -60"],
)
async def test_a_face_too_small_or_turned_too_far_is_not_added_and_does_not_count(unfit, rooms):
    done = await rooms.register(unfit, LARGE, SMALL, limit=2)

    assert sides(face for _, face in done.added) == [200, 100]
    assert sides(done.not_added) == [unfit.side]


@pytest.mark.parametrize(
    "fit",
    [Drawn(CLEO, 60), Drawn(CLEO, 100, yaw=45.0, pitch=-45.0)],
    ids=["60 px", "45 degrees"],
)
async def test_a_face_just_large_and_frontal_enough_is_added(fit, rooms):
    done = await rooms.register(fit)

    assert len(done.added) == 1


async def test_a_turned_face_is_kept_out_even_when_nobody_asks_for_orientations(rooms):
    done = await rooms.register(Drawn(ADA, 200, yaw=60.0), wanted=Wanted())

    assert done.added == []
    assert [face.orientation for face in done.not_added] == [None]


async def test_a_picture_of_nobody_adds_nobody_and_leaves_the_group_as_it_was(rooms):
    done = await rooms.register()

    group = await rooms.services.groups.details(TENANT, "staff")
    assert (done.added, done.not_added, done.partial) == ([], [], False)
    assert (group.version, group.face_count) == (0, 0)


async def test_a_group_nearly_full_takes_the_largest_that_fit():
    rooms = Rooms(House(face_quota=3))
    await rooms.group()
    await rooms.register(LARGE)

    done = await rooms.register(SMALL, LARGE, MIDDLE)

    assert sides(face for _, face in done.added) == [200, 150]
    assert sides(done.not_added) == [100]
    assert done.partial


async def test_a_limit_that_keeps_faces_out_is_no_partial_success():
    rooms = Rooms(House(face_quota=1))
    await rooms.group()

    done = await rooms.register(SMALL, LARGE, limit=1)

    assert not done.partial


async def test_faces_unfit_anyway_are_no_partial_success():
    rooms = Rooms(House(face_quota=1))
    await rooms.group()

    done = await rooms.register(Drawn(BOB, 59, left=300), LARGE)

    assert not done.partial


async def test_a_full_group_is_told_before_the_picture_is_opened():
    rooms = Rooms(House(face_quota=1))
    await rooms.group()
    await rooms.register(LARGE)
    request = RegisterRequest(Base64Image("unknown"), 1, None, EVERYTHING)

    with pytest.raises(FaceQuotaExceeded):
        await rooms.services.register(TENANT, "staff", request, LIMITS)


async def test_an_absent_group_is_told_before_the_picture_is_opened(rooms):
    request = RegisterRequest(Base64Image("unknown"), 1, None, EVERYTHING)

    with pytest.raises(GroupNotFound):
        await rooms.services.register(TENANT, "absent", request, LIMITS)
    with pytest.raises(InvalidImageBytes):
        await rooms.services.register(TENANT, "staff", request, LIMITS)


async def test_vectors_are_made_with_the_model_of_the_group(rooms):
    rooms.house.open_another_model()
    await rooms.group("newer")

    for group, model in (("staff", "fake-1"), ("newer", "fake-2")):
        done = await rooms.register(Drawn(ADA, 200), group=group)
        stored = (await rooms.search(Drawn(ADA, 200), group=group, threshold=100.0)).matches

        assert done.model == model
        assert [match.face for match in stored] == [record for record, _ in done.added]


def test_ids_are_128_random_bits_in_the_form_of_the_guides():
    ids = [random_id() for _ in range(500)]

    assert len(set(ids)) == 500
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one) for one in ids)
    # Every place takes every digit: no version, no variant.
    assert all(len({one[place] for one in ids}) == 16 for place in (0, 14, 19, 35))
