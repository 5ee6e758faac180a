"""Who may use the machine next: a bounded line before decoding and inference, fair by tenant."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.domain.callers import CALLER
from app.domain.errors import Abandoned, LineFull, WaitedTooLong
from app.domain.stages import Stage, Timed

Place = asyncio.Future[None]

# How long after a refusal a tenant's queue stays short. A client told to come back in a second that
# does so finds it short no more; one that hammers on keeps it short, for itself alone.
CROWDED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LineLimits:
    """How many may work at a time (`lanes`), and wait.

    `room` is how many may wait before anybody is refused, and `short` how many of those who send
    more than can be served: waiting longer serves nobody better. `patience` is in seconds.
    """

    lanes: int
    room: int = 64
    short: int = 4
    patience: float = 10.0


class Line:
    """`limits.lanes` requests work at a time; the others wait, each tenant in a queue of its own.

    A lane that falls free goes to the tenant with the fewest at work, among equals to the one that
    was not served for longest: a tenant may use every lane nobody else wants, and no more than its
    share when others wait. A full line still lets in a tenant that has less than its share waiting.
    """

    def __init__(self, limits: LineLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._working: Counter[int] = Counter()
        self._waiting: dict[int, deque[Place]] = {}
        self._turns = 0
        self._last_turn: dict[int, int] = {}  # of the tenants that are at work or wait
        self._crowded_until: dict[int, float] = {}

    @property
    def lanes(self) -> int:
        """Requests that may be at work at a time."""
        return self._limits.lanes

    @property
    def working(self) -> int:
        """Requests at work."""
        return self._working.total()

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return sum(map(len, self._waiting.values()))

    def check(self, tenant: int) -> None:
        """Raises `Overloaded` if there is no place for one more request of this tenant."""
        if self._has_room_for(tenant):
            return
        now = self._clock()
        self._crowded_until = {t: until for t, until in self._crowded_until.items() if until > now}
        self._crowded_until[tenant] = now + CROWDED_SECONDS
        self._shorten(tenant)
        raise LineFull

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a lane for the caller, and keep it for the block.

        Raises:
            Overloaded: at once when the line is full; later when it has become crowded since, or
                the wait was longer than the limit.
            Abandoned: the caller has gone.
        """
        tenant = CALLER.get().tenant
        await self._enter(tenant)
        try:
            yield
        finally:
            self._leave(tenant)

    async def _enter(self, tenant: int) -> None:
        _still_wanted()
        self.check(tenant)
        if self.working < self._limits.lanes:
            self._begin(tenant)
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(place)
        try:
            with Timed(Stage.LINE):
                await self._called(place)
        except BaseException:
            self._give_up(tenant, place)
            raise

    async def _called(self, place: Place) -> None:
        """Wait at `place` until it is called, for as long as somebody waits for the answer."""
        gone = CALLER.get().gone

        def leave(_: object) -> None:
            if not place.done():
                place.set_exception(Abandoned())

        if gone is not None:
            gone.add_done_callback(leave)
        try:
            async with asyncio.timeout(self._limits.patience):
                await place
        except TimeoutError:
            raise WaitedTooLong from None
        finally:
            if gone is not None:
                gone.remove_done_callback(leave)

    def _give_up(self, tenant: int, place: Place) -> None:
        queue = self._waiting.get(tenant, deque())
        if place in queue:
            queue.remove(place)
            self._forget(tenant)
        elif _was_called(place):
            self._leave(tenant)

    def _begin(self, tenant: int) -> None:
        self._turns += 1
        self._last_turn[tenant] = self._turns
        self._working[tenant] += 1

    def _leave(self, tenant: int) -> None:
        self._working[tenant] -= 1
        while self._waiting and self.working < self._limits.lanes:
            self._call_next()
        self._forget(tenant)

    def _call_next(self) -> None:
        tenant = min(self._waiting, key=lambda t: (self._working[t], self._last_turn.get(t, 0)))
        place = self._waiting[tenant].popleft()
        if not place.done():
            self._begin(tenant)
            place.set_result(None)
        self._forget(tenant)

    def _forget(self, tenant: int) -> None:
        """Keep nothing of a tenant that has nothing here."""
        if not self._waiting.get(tenant, True):
            del self._waiting[tenant]
        if not self._working[tenant]:
            del self._working[tenant]
            if tenant not in self._waiting:
                self._last_turn.pop(tenant, None)

    def _has_room_for(self, tenant: int) -> bool:
        if self.working < self._limits.lanes:
            return True
        mine, all_of_us = len(self._waiting.get(tenant, ())), self.waiting
        if self._clock() < self._crowded_until.get(tenant, 0.0):
            return mine < self._share_of(self._limits.short, tenant)
        if all_of_us < self._limits.room:
            return True
        return all_of_us < 2 * self._limits.room and mine < self._share_of(
            self._limits.room, tenant
        )

    def _share_of(self, room: int, tenant: int) -> int:
        here = {*self._working, *self._waiting, tenant}
        return max(1, min(room, self._limits.room) // len(here))

    def _shorten(self, tenant: int) -> None:
        """Send away those of a tenant who came last and would wait too long now."""
        queue = self._waiting.get(tenant, deque())
        while len(queue) > self._share_of(self._limits.short, tenant):
            place = queue.pop()
            if not place.done():
                place.set_exception(LineFull())


def _still_wanted() -> None:
    gone = CALLER.get().gone
    if gone is not None and gone.done():
        raise Abandoned


def _was_called(place: Place) -> bool:
    return place.done() and not place.cancelled() and place.exception() is None
