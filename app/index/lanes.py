"""One group's questions: those that come while others are answered wait, and then go together."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.domain.values import Group, Neighbour
from app.index.group_index import GroupIndex, Question

# A product of matrices takes half its time whatever the number of queries: so after one, those who
# were answered get a moment to ask again, where there are enough of them, before the next begins.
WORTH_A_MOMENT = 8  # questions
A_MOMENT = 0.3  # of the time the last product took
LONGEST_MOMENT = 0.02  # seconds
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
        self._glancing: list[Waiting] = []
        self._runner: asyncio.Task[None] | None = None
        self._many = asyncio.Event()
        self._wanted = 0

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
        self._line_up([waiting])
        return await waiting.answer

    async def glance(self, group: Group, question: Question) -> list[Neighbour]:
        """The same for a small index that is current: on the loop, with whoever else asks now.

        Everybody whose request is at hand asks before the loop comes round, so that one product
        answers all, and the vectors pass through the processor once.
        """
        loop = asyncio.get_running_loop()
        waiting = Waiting(group, question, loop.create_future())
        if not self._glancing:
            loop.call_soon(self._answer_glances)
        self._glancing.append(waiting)
        return await waiting.answer

    def _answer_glances(self) -> None:
        batch = [waiting for waiting in self._glancing if not waiting.answer.done()]
        self._glancing = []
        if not self.idle:  # somebody came who has to change the index first
            self._line_up(batch)
            return
        try:
            found = self.index.search([waiting.question for waiting in batch])
            for waiting, answer in zip(batch, found, strict=True):
                waiting.answer.set_result(answer)
        except Exception as error:  # noqa: BLE001 - every waiter must hear of it, whatever it is
            for waiting in batch:
                waiting.answer.set_exception(error)

    def _line_up(self, several: Sequence[Waiting]) -> None:
        self._waiting.extend(several)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        if len(self._waiting) >= self._wanted:
            self._many.set()

    async def _run(self) -> None:
        try:
            while self._waiting:
                async with self.alone:
                    batch, began = self._taken(), time.monotonic()
                    await self._answer_some(batch)
                await self._moment(len(batch), time.monotonic() - began)
        finally:
            self._runner = None
            for waiting in self._waiting:
                waiting.answer.cancel()  # only when the loop ends: nobody waits for ever

    async def _moment(self, answered: int, took: float) -> None:
        """Let those who were answered ask again, if so many are worth waiting for."""
        self._wanted = min(answered + len(self._waiting), MOST_QUESTIONS)
        if answered > 1 and self._wanted >= WORTH_A_MOMENT:
            self._many.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(A_MOMENT * took, LONGEST_MOMENT)):
                    await self._many.wait()

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
