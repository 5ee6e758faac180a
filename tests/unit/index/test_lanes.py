"""Who goes together in one lane."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from app.domain.values import FaceRow, GroupChanges, Neighbour
from app.index import lanes
from app.index.group_index import Question
from app.index.lanes import Answers, Lane, Waiting
from tests.unit.index.test_faiss_indexes import group

ANYBODY = Question(np.ones(4, np.float32), 1)


class Answering:
    """Answers after a while, and remembers how many were answered together."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.batches: list[int] = []

    async def __call__(self, _lane: Lane, batch: Sequence[Waiting]) -> Answers:
        self.batches.append(len(batch))
        await asyncio.sleep(self.seconds)
        return [[Neighbour(FaceRow(1), 1.0)] for _ in batch]


async def ask_again_and_again(lane: Lane, times: int, thinking: float) -> None:
    for _ in range(times):
        await lane.ask(group(1, 1), ANYBODY)
        await asyncio.sleep(thinking)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A moment so long that no busy machine takes it for over."""
    monkeypatch.setattr(lanes, "A_MOMENT", 1_000.0)
    monkeypatch.setattr(lanes, "LONGEST_MOMENT", 20.0)


async def test_who_was_answered_together_and_asks_again_at_once_goes_together_again():
    answering = Answering(0.02)
    lane = Lane(answering)

    await asyncio.wait_for(
        asyncio.gather(*(ask_again_and_again(lane, 6, 0.001 * n) for n in range(16))), timeout=60
    )

    assert answering.batches[:6] == [16] * 6


async def test_few_who_ask_are_not_kept_waiting_for_more():
    answering = Answering(0.05)
    lane = Lane(answering)

    async def one_more() -> None:
        await asyncio.sleep(0.06)
        await lane.ask(group(1, 1), ANYBODY)

    some = asyncio.gather(
        lane.ask(group(1, 1), ANYBODY), lane.ask(group(1, 1), ANYBODY), one_more()
    )

    await asyncio.wait_for(some, timeout=10)
    assert sum(answering.batches) == 3


async def test_a_small_index_answers_all_who_ask_at_once_with_one_product():
    lane = Lane(Answering(0.0))
    vectors = np.eye(4, dtype=np.float32)
    lane.index.apply(GroupChanges(1, np.arange(4), vectors, np.empty(0, np.int64)))
    asked: list[int] = []
    search = lane.index.search

    def noted(questions: Sequence[Question]) -> Answers:
        asked.append(len(questions))
        return search(questions)

    lane.index.search = noted  # type: ignore[method-assign]  # to see how many come together
    found = await asyncio.gather(
        *(lane.glance(group(1, 1), Question(vector, 1)) for vector in vectors)
    )

    assert asked == [4]
    assert [best.row for [best] in found] == [0, 1, 2, 3]


async def test_a_glance_leaves_the_index_to_who_came_to_change_it():
    answering = Answering(0.02)
    lane = Lane(answering)

    found = await asyncio.gather(lane.glance(group(1, 1), ANYBODY), lane.ask(group(1, 2), ANYBODY))

    assert [best.row for [best] in found] == [1, 1]
    assert sum(answering.batches) == 2


async def test_a_glance_while_the_lane_is_taken_is_answered_afterwards():
    answering = Answering(0.0)
    lane = Lane(answering)

    async with lane.alone:
        asked = asyncio.create_task(lane.glance(group(1, 1), ANYBODY))
        await asyncio.sleep(0.01)
        before = asked.done()

    assert [best.row for best in await asyncio.wait_for(asked, timeout=10)] == [1]
    assert not before


async def test_a_search_that_breaks_is_told_to_all_who_glanced():
    lane = Lane(Answering(0.0))
    vectors = np.eye(4, dtype=np.float32)
    lane.index.apply(GroupChanges(1, np.arange(4), vectors, np.empty(0, np.int64)))
    unfit = Question(np.ones(3, np.float32), 1)

    told = await asyncio.gather(
        *(lane.glance(group(1, 1), unfit) for _ in range(2)), return_exceptions=True
    )

    assert [isinstance(error, Exception) for error in told] == [True, True]
