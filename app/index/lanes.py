"""One group's questions: those that come while others are answered wait, and then go together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.domain.values import Group, Neighbour
from app.index.group_index import GroupIndex, Question

# Scores of one product fit the processor's cache, and nobody waits long for the others.
MOST_QUESTIONS = 64

Answers = list[list[Neighbour]]


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A question about a group as its caller saw it, and where the answer goes."""

    group: Group
    question: Question
    answer: asyncio.Future[list[Neighbour]]


class Lane:
    """A group's index, where one thing happens at a time; belongs to one event loop.

    Nothing that changes the index runs beside a search, so searches need no lock of their own, and
    a change waits for one search at most.
    """

    def __init__(self, answer: Callable[["Lane", Sequence[Waiting]], Awaitable[Answers]]) -> None:
        self.index = GroupIndex()
        self.reserved = 0
        self.group: Group | None = None
        self.alone = asyncio.Lock()
        self._answer = answer
        self._waiting: deque[Waiting] = deque()
        self._runner: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing happens here, and nobody waits for it."""
        return self._runner is None and not self.alone.locked()

    @property
    def nbytes(self) -> int:
        """Bytes of the index, or of what it is about to hold."""
        return max(self.index.nbytes, self.reserved)

    async def ask(self, group: Group, question: Question) -> list[Neighbour]:
        """Answer at least as new as `group.version`. Raises what reading the changes raises."""
        waiting = Waiting(group, question, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await waiting.answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                async with self.alone:
                    await self._answer_some(self._taken())
        finally:
            self._runner = None
            for waiting in self._waiting:
                waiting.answer.cancel()  # only when the loop ends: nobody waits for ever

    def _taken(self) -> list[Waiting]:
        """Those whose turn it is; whoever gave up meanwhile is left out."""
        taken: list[Waiting] = []
        while self._waiting and len(taken) < MOST_QUESTIONS:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():
                taken.append(waiting)
        return taken

    async def _answer_some(self, batch: Sequence[Waiting]) -> None:
        try:
            answers = await self._answer(self, batch) if batch else []
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)
        except Exception as error:  # noqa: BLE001 - every waiter must hear of it, whatever it is
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        finally:
            for waiting in batch:
                waiting.answer.cancel()  # a no-op once answered
