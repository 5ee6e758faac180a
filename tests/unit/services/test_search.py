"""Who is found, in which order, and who is not."""

import asyncio
from dataclasses import replace

import pytest

from app.domain.errors import FaceNotFound, GroupNotFound, InternalError, NoFaceFound
from app.domain.values import Base64Image, FaceRow, Neighbour
from app.services.search import Criteria
from tests.fakes import (
    ADA,
    BOB,
    CLEO,
    HALF_ADA,
    Drawn,
    FakeChanges,
    FakeIndex,
    FakeVision,
    House,
    person,
)
from tests.unit.services.rooms import EVERYTHING, LIMITS, TENANT, Rooms


def ids(matches):
    return [match.face.face_id for match in matches]


async def enrol(rooms, *people):
    """One face each; their ids."""
    added = [(await rooms.register(Drawn(who, 100))).added[0] for who in people]
    return [record.face_id for record, _ in added]


async def test_the_most_similar_come_first_with_calibrated_similarities(rooms):
    bob, half, ada = await enrol(rooms, BOB, HALF_ADA, ADA)

    found = await rooms.search(Drawn(ADA, 200))

    assert ids(found.matches) == [ada, half, bob]
    assert [match.similarity for match in found.matches] == [100.0, 75.0, 50.0]
    assert found.model == "fake-1"


async def test_only_the_largest_face_of_the_picture_is_searched(rooms):
    ada, _ = await enrol(rooms, ADA, BOB)

    found = await rooms.search(Drawn(BOB, 100), Drawn(ADA, 200, left=200), threshold=90)

    assert ids(found.matches) == [ada]
    assert found.source.side == 200


@pytest.mark.parametrize(("threshold", "count"), [(75.0, 1), (75.000001, 0)])
async def test_a_match_reaches_the_threshold_or_passes_it(threshold, count, rooms):
    await enrol(rooms, HALF_ADA)

    found = await rooms.search(Drawn(ADA, 200), threshold=threshold)

    assert len(found.matches) == count


async def test_no_more_matches_than_the_limit(rooms):
    people = await enrol(rooms, BOB, ADA, HALF_ADA)

    found = await rooms.search(Drawn(ADA, 200), limit=2)

    assert ids(found.matches) == [people[1], people[2]]


async def test_equal_faces_come_by_their_ids_also_where_the_limit_cuts(rooms):
    people = await enrol(rooms, *[ADA] * 7)

    all_of_them = await rooms.search(Drawn(ADA, 200))
    first = await rooms.search(Drawn(ADA, 200), limit=3)

    assert ids(all_of_them.matches) == sorted(people)
    assert ids(first.matches) == sorted(people)[:3]


async def test_a_face_that_searches_leaves_itself_out_and_its_place_to_another(rooms):
    ada, twin, half = await enrol(rooms, ADA, ADA, HALF_ADA)

    found = await rooms.services.search.by_face(TENANT, "staff", ada, Criteria(2, 1.0))

    assert ids(found) == [twin, half]


async def test_a_deleted_face_is_not_found(rooms):
    ada, twin = await enrol(rooms, ADA, ADA)
    await rooms.services.faces.delete(TENANT, "staff", ada)

    found = await rooms.search(Drawn(ADA, 200))

    assert ids(found.matches) == [twin]
    with pytest.raises(FaceNotFound):
        await rooms.services.search.by_face(TENANT, "staff", ada, Criteria(1, 1.0))


class Forgetful(FakeIndex):
    """An index that saw a face just before it was deleted."""

    async def nearest(self, group, query, limit, *, leave_out=None):
        gone = Neighbour(FaceRow(10_000), 1.0)
        return [gone, *await super().nearest(group, query, limit, leave_out=leave_out)]


async def test_a_face_deleted_between_index_and_records_is_dropped():
    house = House()
    house.index = Forgetful(FakeChanges(house.database))
    rooms = Rooms(house)
    await rooms.group()
    [ada] = await enrol(rooms, ADA)

    found = await rooms.search(Drawn(ADA, 200))

    assert ids(found.matches) == [ada]


async def test_groups_are_searched_apart(rooms):
    await rooms.group("guests")
    await rooms.register(Drawn(ADA, 100), group="guests")

    found = await rooms.search(Drawn(ADA, 200))

    assert found.matches == []


async def test_an_empty_group_has_no_matches(rooms):
    assert (await rooms.search(Drawn(ADA, 200))).matches == []


async def test_a_picture_of_nobody_cannot_search(rooms):
    with pytest.raises(NoFaceFound):
        await rooms.search()


async def test_the_group_is_looked_up_before_the_face_and_the_picture(rooms):
    search = rooms.services.search
    criteria = Criteria(1, 1.0)

    with pytest.raises(GroupNotFound):
        await search.by_face(TENANT, "absent", "nobody", criteria)
    with pytest.raises(GroupNotFound):
        await search.by_image(
            TENANT, "absent", Base64Image("unknown"), LIMITS, wanted=EVERYTHING, criteria=criteria
        )


@pytest.mark.parametrize(
    "who", [ADA, BOB, HALF_ADA, person(3, 2, 1, 0), person(-1, 0.1, 0.2, 0.3)], ids=str
)
async def test_search_compare_and_verify_give_the_same_similarity(who, rooms):
    [known] = await enrol(rooms, person(0.9, 0.3, -0.2, 0.1))
    query, other = Drawn(who, 200), Drawn(person(0.9, 0.3, -0.2, 0.1), 100)

    found = await rooms.search(query, threshold=0.0)
    compared = await rooms.services.compare(
        rooms.picture(query), rooms.picture(other), LIMITS, wanted=EVERYTHING, threshold=0.0
    )
    verified = await rooms.services.verify(
        TENANT, "staff", known, rooms.picture(query), LIMITS, wanted=EVERYTHING
    )

    assert found.matches[0].similarity == compared.matched[0].similarity == verified.similarity


async def test_the_source_keeps_what_was_asked_for_and_nothing_more(rooms):
    source = (await rooms.search(Drawn(CLEO, 200, mask=True))).source
    bare = await rooms.services.search.by_image(
        TENANT,
        "staff",
        rooms.picture(Drawn(CLEO, 200, mask=True)),
        LIMITS,
        wanted=replace(EVERYTHING, orientation=False),
        criteria=Criteria(1, 1.0),
    )

    assert (source.mask, source.orientation is not None) == (True, True)
    assert (bare.source.mask, bare.source.orientation) == (True, None)


class Telling(FakeVision):
    """Tells the vector early, waits until `go`, and then fails where it is to."""

    def __init__(self, album):
        super().__init__(album)
        self.go = asyncio.Event()
        self.failure: Exception | None = None

    async def analyze(self, picture, wanted, model=None, *, early=None):
        faces = await super().analyze(picture, wanted, model, early=early)
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return faces


class Watched(FakeIndex):
    """Notes who was searched for, and waits until `go`."""

    def __init__(self, changes):
        super().__init__(changes)
        self.asked, self.stopped, self.go = asyncio.Event(), False, asyncio.Event()

    async def nearest(self, group, query, limit, *, leave_out=None):
        self.asked.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped = True
            raise
        return await super().nearest(group, query, limit, leave_out=leave_out)


@pytest.fixture
def telling(rooms, monkeypatch):
    monkeypatch.setattr("app.services.search.WORTH_BEGINNING", 1)
    vision = Telling(rooms.house.album)
    rooms.services.detect._vision = vision
    return vision


@pytest.fixture
def watched(rooms):
    index = Watched(FakeChanges(rooms.house.database))
    rooms.services.search._index = index
    return index


async def test_the_index_is_searched_while_the_rest_of_the_face_is_looked_at(
    rooms, telling, watched
):
    [ada] = await enrol_with(rooms, telling, ADA)
    searching = asyncio.create_task(rooms.search(Drawn(ADA, 200)))

    await asyncio.wait_for(watched.asked.wait(), 1)
    assert not telling.go.is_set()
    telling.go.set()
    watched.go.set()

    assert ids((await searching).matches) == [ada]


async def test_a_small_group_is_searched_when_all_is_known(rooms, telling, watched, monkeypatch):
    await enrol_with(rooms, telling, ADA)
    monkeypatch.setattr("app.services.search.WORTH_BEGINNING", 2)
    searching = asyncio.create_task(rooms.search(Drawn(ADA, 200)))
    await asyncio.sleep(0.01)

    begun_early = watched.asked.is_set()
    telling.go.set()
    watched.go.set()
    await searching

    assert not begun_early
    assert watched.asked.is_set()


async def test_a_picture_that_fails_after_all_stops_its_search(rooms, telling, watched):
    await enrol_with(rooms, telling, ADA)
    telling.failure = InternalError()
    searching = asyncio.create_task(rooms.search(Drawn(ADA, 200)))
    await asyncio.wait_for(watched.asked.wait(), 1)

    telling.go.set()

    with pytest.raises(InternalError):
        await searching
    assert watched.stopped


async def test_who_stops_waiting_stops_the_search_that_has_begun(rooms, telling, watched):
    await enrol_with(rooms, telling, ADA)
    searching = asyncio.create_task(rooms.search(Drawn(ADA, 200)))
    await asyncio.wait_for(watched.asked.wait(), 1)

    searching.cancel()

    with pytest.raises(asyncio.CancelledError):
        await searching
    assert watched.stopped


async def enrol_with(rooms, telling, *people):
    """The same as `enrol` of a vision that waits."""
    telling.go.set()
    added = await enrol(rooms, *people)
    telling.go.clear()
    return added
