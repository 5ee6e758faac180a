"""More comes than can be served: who is refused, how, and what is never begun."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import structlog

from app.domain.callers import CALLER, Caller
from app.services.line import Line, LineLimits
from tests.api import wire
from tests.api.scenes import FACE_OPERATIONS, GROUP, PREFIX, SOLO, open_scene
from tests.fakes import House

BODY = b'{"image": {"bytes": "' + SOLO.encode() + b'"}, "limit": 1}'


@pytest.fixture
def line():
    return Line(LineLimits(lanes=1, room=1))


@pytest.fixture
def scene(line):
    with open_scene(House(line=line)) as scene:
        scene.house.images.limits.clear()
        yield scene


@asynccontextmanager
async def busy(line: Line, waiting: int, tenant: int = 99):
    """The only lane is taken, and so many wait."""

    async def stand() -> None:
        async with line.turn():
            pass

    CALLER.set(Caller(tenant))
    async with line.turn():
        queue = [asyncio.create_task(stand()) for _ in range(waiting)]
        await asyncio.sleep(0)
        yield
    await asyncio.gather(*queue)


@pytest.mark.parametrize("path", FACE_OPERATIONS)
async def test_a_full_line_refuses_before_the_body_is_read(path, line, scene):
    body = iter([BODY])
    target = f"{PREFIX}/{scene.key}{path}"

    async with busy(line, waiting=1, tenant=scene.mine.tenant.id):
        answer = await wire.send(scene.client.app, "POST", target, chunks=body)

    assert answer.told == (-50000, "InternalServerError")
    assert answer.headers["x-error-detail"] == "overloaded"
    assert answer.headers["retry-after"] == "1"
    assert list(body) == [BODY]


async def test_another_tenant_is_let_in_where_the_first_is_refused(line, scene):
    target = f"{PREFIX}/{scene.other_key}/detect"

    async with busy(line, waiting=1, tenant=scene.mine.tenant.id):
        asking = asyncio.create_task(wire.send(scene.client.app, "POST", target, chunks=[BODY]))
        await asyncio.sleep(0.01)
        assert line.waiting == 2

    assert (await asking).code == 0


@pytest.mark.parametrize("path", ["/groups?limit=1", f"/groups/{GROUP}"])
async def test_what_needs_no_picture_is_answered_meanwhile(path, line, scene):
    async with busy(line, waiting=1):
        answer = await wire.send(scene.client.app, "GET", f"{PREFIX}/{scene.key}{path}")

    assert answer.code == 0


async def test_a_wrong_key_is_told_before_that_there_is_no_room(line, scene):
    async with busy(line, waiting=1):
        answer = await wire.send(scene.client.app, "POST", f"{PREFIX}/unknown/detect")

    assert answer.code == -41000


async def test_work_of_a_client_that_hung_up_in_line_is_dropped(line, scene):
    target = f"{PREFIX}/{scene.key}/detect"

    with structlog.testing.capture_logs() as lines:
        async with busy(line, waiting=0):
            client = wire.Leaving(scene.client.app, "POST", target, BODY)
            await client.settled(lambda: line.waiting == 1)
            client.hang_up()
            await client.settled(lambda: line.waiting == 0)

    assert await client.answered() == []
    assert [entry["status"] for entry in lines] == [499]
    assert scene.house.images.limits == []
    assert line.working == 0


async def test_a_client_that_hung_up_once_its_work_began_costs_nobody_a_lane(line, scene):
    target = f"{PREFIX}/{scene.key}/detect"
    client = wire.Leaving(scene.client.app, "POST", target, BODY)

    client.hang_up()
    await client.answered()

    assert (line.working, line.waiting) == (0, 0)
