"""Long work on many things: some at a time, results in order, and patience with the database."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

from app.domain.errors import StoreUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# A database that restarts, or another writer with much to do, is back within a minute.
_PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


async def in_order(
    items: Iterable[Item], work: Callable[[Item], Awaitable[Answer]], ahead: int
) -> AsyncGenerator[tuple[Item, Answer], None]:
    """Each item with what `work` makes of it, in the order of `items`, `ahead` of them at work.

    What one raises ends all. Close the generator when leaving it early: that ends what runs.
    """
    waiting: deque[tuple[Item, asyncio.Task[Answer]]] = deque()
    try:
        for item in items:
            waiting.append((item, asyncio.ensure_future(work(item))))
            if len(waiting) >= ahead:
                yield await _first(waiting)
        while waiting:
            yield await _first(waiting)
    finally:
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


async def _first(waiting: deque[tuple[Item, asyncio.Task[Answer]]]) -> tuple[Item, Answer]:
    item, task = waiting[0]
    answer = await task
    waiting.popleft()
    return item, answer


async def patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """What `ask` answers, which may be asked again; `StoreUnavailable` after a minute of it."""
    for pause in _PAUSES:
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(pause)
    return await ask()


async def in_batches(
    source: AsyncGenerator[Item, None], most: int, seconds: float
) -> AsyncGenerator[list[Item], None]:
    """The same in lists of up to `most`, or of what came within about so many seconds."""
    batch, began = list[Item](), time.monotonic()
    async for item in source:
        batch.append(item)
        if len(batch) == most or time.monotonic() - began > seconds:
            yield batch
            batch, began = [], time.monotonic()
    if batch:
        yield batch
