"""The line in front of the machine: bounded, fair, and free of those who have gone."""

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from app.domain.callers import BEHIND, CALLER, Caller
from app.domain.errors import Abandoned, Overloaded
from app.services.line import CROWDED_SECONDS, Line, LineLimits

A, B, C = 1, 2, 3


@dataclass
class Work:
    """Requests that keep their lane until they are told to finish."""

    line: Line
    began: list[int] = field(default_factory=list)
    ends: list[asyncio.Event] = field(default_factory=list)
    gone: dict[asyncio.Task[None], asyncio.Future[None]] = field(default_factory=dict)

    def send(self, tenant: int) -> asyncio.Task[None]:
        gone = asyncio.get_running_loop().create_future()
        with calling(Caller(tenant, gone)):
            task = asyncio.create_task(self._run(tenant))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self.gone[task] = gone
        return task

    async def _run(self, tenant: int) -> None:
        async with self.line.turn():
            self.began.append(tenant)
            end = asyncio.Event()
            self.ends.append(end)
            await end.wait()

    async def finish(self, count: int = 1) -> None:
        """The oldest at work are done."""
        for end in self.ends[:count]:
            end.set()
        del self.ends[:count]
        await settle()


@contextmanager
def calling(caller: Caller):
    token = CALLER.set(caller)
    yield
    CALLER.reset(token)


async def settle() -> None:
    for _ in range(9):
        await asyncio.sleep(0)


async def queue(work: Work, *tenants: int) -> list[asyncio.Task[None]]:
    tasks = [work.send(tenant) for tenant in tenants]
    await settle()
    return tasks


def in_line(
    lanes: int = 1, room: int = 4, short: int = 1, patience: float = 60.0, ahead: int = 0
) -> Work:
    return Work(Line(LineLimits(lanes, room, short, patience, ahead)))


async def drain(work: Work) -> None:
    while work.ends:
        await work.finish()


async def test_no_more_work_at_a_time_than_there_are_lanes():
    work = in_line(lanes=2)

    await queue(work, A, A, A)

    assert (work.line.working, work.line.waiting) == (2, 1)
    await work.finish()
    assert (work.line.working, work.line.waiting) == (2, 0)
    await drain(work)
    assert work.line.working == 0


async def test_a_full_line_refuses_at_once():
    work = in_line(room=4)
    await queue(work, *[A] * 5)

    [late] = await queue(work, A)

    assert isinstance(late.exception(), Overloaded)
    with pytest.raises(Overloaded):
        work.line.check(A)
    await drain(work)


async def test_a_full_line_becomes_short_and_those_who_came_last_are_sent_away():
    work = in_line(room=4, short=2)
    _, *waiting = await queue(work, *[A] * 5)

    await queue(work, A)

    assert [task.done() for task in waiting] == [False, False, True, True]
    assert isinstance(waiting[-1].exception(), Overloaded)
    await drain(work)
    assert work.began == [A, A, A]


async def test_a_line_nobody_was_refused_at_for_a_while_is_long_again():
    now = 0.0
    work = Work(Line(LineLimits(1, 4, 1), clock=lambda: now))
    await queue(work, *[A] * 6)
    assert work.line.waiting == 1
    assert isinstance((await queue(work, A))[0].exception(), Overloaded)

    now += CROWDED_SECONDS
    await queue(work, *[A] * 3)

    assert work.line.waiting == 4
    await drain(work)


async def test_as_many_as_fit_are_never_refused_however_long_they_go_on():
    work = in_line(lanes=2, room=6)
    await queue(work, *[A] * 8)

    for _ in range(50):
        await work.finish()
        await queue(work, A)

    await drain(work)
    assert len(work.began) == 58


async def test_a_newcomer_finds_room_in_a_line_another_filled_and_is_next():
    work = in_line(room=4)
    await queue(work, *[A] * 5)

    await queue(work, B)
    await work.finish()

    assert work.began == [A, B]
    await drain(work)


async def test_a_newcomer_has_its_share_of_the_room_and_no_more():
    work = in_line(room=4, short=4)
    await queue(work, *[A] * 5)

    tasks = await queue(work, B, B, B)

    assert [task.done() for task in tasks] == [False, False, True]
    await drain(work)


async def test_a_queue_that_became_short_leaves_others_theirs():
    work = in_line(room=6)
    await queue(work, *[A] * 8)  # the last was refused

    tasks = await queue(work, *[B] * 4)

    assert [task.done() for task in tasks] == [False] * 4
    assert work.line.waiting == 5
    await drain(work)


async def test_lanes_are_shared_evenly_and_in_turn():
    work = in_line(lanes=3, room=60)
    await queue(work, *[A] * 9, *[B] * 9, *[C] * 9)

    await work.finish(3)

    assert sorted(work.began[3:6]) == [A, B, C]
    await work.finish(3)
    assert sorted(work.began[6:9]) == [A, B, C]
    await drain(work)
    assert work.began.count(A) == work.began.count(B) == work.began.count(C) == 9


async def test_a_tenant_alone_may_use_every_lane():
    work = in_line(lanes=4)

    await queue(work, *[A] * 4)

    assert work.line.working == 4
    await drain(work)


async def test_work_of_a_client_that_hung_up_never_begins_and_frees_its_place():
    work = in_line()
    _, leaving, staying = await queue(work, A, B, C)

    work.gone[leaving].set_result(None)
    await settle()

    assert isinstance(leaving.exception(), Abandoned)
    assert work.line.waiting == 1
    await drain(work)
    assert work.began == [A, C]
    assert staying.done()


async def test_a_client_that_hung_up_before_it_came_is_not_let_in():
    work = in_line()
    gone = asyncio.get_running_loop().create_future()
    gone.set_result(None)

    with calling(Caller(A, gone)), pytest.raises(Abandoned):
        async with work.line.turn():
            raise AssertionError

    assert work.line.working == 0


async def test_whoever_waits_too_long_is_refused():
    work = in_line(patience=0.01)

    _, waiting = await queue(work, A, A)
    await asyncio.wait([waiting])

    assert isinstance(waiting.exception(), Overloaded)
    assert work.line.waiting == 0
    await drain(work)


async def test_a_request_cancelled_in_line_or_as_it_is_called_loses_no_lane():
    work = in_line()
    _, waiting, called = await queue(work, A, A, A)

    waiting.cancel()
    await settle()
    work.ends.pop().set()
    await asyncio.sleep(0)  # the lane has been given away, and its new owner does not know yet
    called.cancel()
    await settle()

    assert (work.line.working, work.line.waiting) == (0, 0)


async def test_work_that_fails_frees_its_lane():
    line = Line(LineLimits(lanes=1))

    with pytest.raises(ValueError, match="broken"):
        async with line.turn():
            raise ValueError("broken")

    assert line.working == 0


async def test_a_crowded_line_is_never_longer_than_a_full_one():
    work = in_line(room=1, short=4)
    await queue(work, A, A)

    tasks = await queue(work, A, A)

    assert [isinstance(task.exception(), Overloaded) for task in tasks] == [True, True]
    await drain(work)


async def test_some_have_their_turn_ahead_of_a_lane():
    work = in_line(lanes=1, ahead=1)

    await queue(work, A, A, A)

    assert (work.line.working, work.line.waiting) == (2, 1)
    await drain(work)
    assert work.line.working == 0


async def test_who_has_nothing_at_work_does_not_wait_for_what_others_have_ahead():
    work = in_line(lanes=1, ahead=1)
    await queue(work, A, A, A)

    await queue(work, B, B)

    assert work.began == [A, A, B]
    assert work.line.waiting == 2
    await drain(work)


async def test_newcomers_never_double_what_is_at_work():
    work = in_line(lanes=1, ahead=1)

    await queue(work, A, A, B, C, 4, 5)

    assert work.began == [A, A, B, C]
    await drain(work)


async def test_what_a_flood_has_ahead_counts_as_waiting():
    work = in_line(lanes=1, ahead=1, room=2, short=1)
    _, _, *waiting = await queue(work, *[A] * 5)

    # Of one that waits, the only place is taken by what is ready; the others were sent away.
    assert [isinstance(task.exception(), Overloaded) for task in waiting] == [True] * 3
    await work.finish()
    await queue(work, A)
    assert (work.line.working, work.line.waiting) == (2, 0)
    await drain(work)


async def test_whoever_floods_works_behind_everybody_else():
    line = Line(LineLimits(lanes=1, room=1))
    seen: dict[int, list[bool]] = {}

    async def ask(tenant: int) -> None:
        CALLER.set(Caller(tenant))
        async with line.turn():
            seen.setdefault(tenant, []).append(BEHIND.get())
            await asyncio.sleep(0)

    before = line.crowded
    await asyncio.gather(*(ask(A) for _ in range(4)), return_exceptions=True)
    after = line.crowded
    await asyncio.gather(ask(A), ask(B))

    assert (before, after) == (False, True)
    assert seen[A] == [False, False, True]
    assert seen[B] == [False]
