"""The table that was applied counts: the group's own before the server's before the pack's."""

import pytest

from app.domain.calibration import Calibration
from tests.fakes import ADA, HALF_ADA, MODEL, Drawn
from tests.unit.services.rooms import EVERYTHING, LIMITS, TENANT, Rooms

STEEP = Calibration([-1.0, 0.4, 1.0], [0.0, 90.0, 100.0])
FLAT = Calibration([-1.0, 0.6, 1.0], [0.0, 5.0, 100.0])


@pytest.fixture
async def rooms():
    made = Rooms()
    await made.group()
    return made


async def searched(rooms: Rooms, group: str = "staff") -> float:
    (match,) = (await rooms.search(Drawn(HALF_ADA, 200), group=group)).matches
    return match.similarity


async def test_a_groups_own_table_scores_its_searches(rooms: Rooms):
    await rooms.group("guests")
    for group in ("staff", "guests"):
        await rooms.register(Drawn(ADA, 200), group=group)
    own = await rooms.services.groups.details(TENANT, "staff")
    rooms.house.applied.known = {(MODEL, own.row): STEEP, (MODEL, None): FLAT}

    assert await searched(rooms) == STEEP.similarity(0.5)
    assert await searched(rooms, "guests") == FLAT.similarity(0.5)


async def test_a_comparison_and_a_verification_follow_it_too(rooms: Rooms):
    done = await rooms.register(Drawn(ADA, 200))
    rooms.house.applied.known = {(MODEL, None): STEEP}
    face_id = done.added[0][0].face_id

    verified = await rooms.services.verify(
        TENANT, "staff", face_id, rooms.picture(Drawn(HALF_ADA, 200)), LIMITS, wanted=EVERYTHING
    )
    compared = await rooms.services.compare(
        rooms.picture(Drawn(ADA, 200)),
        rooms.picture(Drawn(HALF_ADA, 200)),
        LIMITS,
        wanted=EVERYTHING,
        threshold=1.0,
    )

    assert verified.similarity == STEEP.similarity(0.5)
    assert compared.matched[0].similarity == STEEP.similarity(0.5)


async def test_another_table_leaves_the_ranking_as_it_is(rooms: Rooms):
    await rooms.register(Drawn(ADA, 200))
    await rooms.register(Drawn(HALF_ADA, 200))
    orders = []
    for table in (STEEP, FLAT):
        rooms.house.applied.known = {(MODEL, None): table}
        found = (await rooms.search(Drawn(ADA, 200))).matches
        orders.append([match.face.face_id for match in found])

    assert orders[0] == orders[1]
    assert len(orders[0]) == 2
