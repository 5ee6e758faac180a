"""Who may use the machine next: a bounded line before decoding and inference, fair by tenant."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType

from app.domain.callers import BEHIND, CALLER
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
    more than can be served: waiting longer serves nobody better. `patience` is in seconds. `ahead`
    more have their turn before there is a lane for them, so that none stands empty while they make
    ready what it is for.
    """

    lanes: int
    room: int = 64
    short: int = 4
    patience: float = 10.0
    ahead: int = 0


class Line:
    """`limits.lanes` requests work at a time; the others wait, each tenant in a queue of its own.

    A lane that falls free goes to the tenant with the fewest at work, among equals to the one that
    was not served for longest: a tenant may use every lane nobody else wants, and no more than its
    share when others wait. A full line still lets in a tenant that has less than its share waiting.

    Where some have their turn ahead, a tenant with nothing at work waits for none: what others have
    made ready must not come before it. What a tenant that sends too many is let do, it does
    `BEHIND` everybody else.
    """

    def __init__(self, limits: LineLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._working: Counter[int] = Counter()
        self._waiting: dict[int, deque[Place]] = {}
        self._turns = 0
        self._last_turn: dict[int, int] = {}  # of the tenants that are at work or wait
        self._crowded_until: dict[int, float] = {}
        self._last_refusal = -CROWDED_SECONDS

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

    @property
    def crowded(self) -> bool:
        """Whether anybody was refused a moment ago."""
        return self._clock() < self._last_refusal + CROWDED_SECONDS

    def check(self, tenant: int) -> None:
        """Raises `Overloaded` if there is no place for one more request of this tenant."""
        if self._has_room_for(tenant):
            return
        now = self._clock()
        self._crowded_until = {t: until for t, until in self._crowded_until.items() if until > now}
        self._crowded_until[tenant] = now + CROWDED_SECONDS
        self._last_refusal = now
        self._shorten(tenant)
        raise LineFull

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for a lane for the caller, and keep it for the block.

        Raises:
            Overloaded: at once when the line is full; later when it has become crowded since, or
                the wait was longer than the limit.
            Abandoned: the caller has gone.
        """
        return _Turn(self, CALLER.get().tenant)

    async def enter(self, tenant: int) -> None:
        """Wait for a turn of `tenant`; `leave` when done. Raises as `turn`."""
        _still_wanted()
        self.check(tenant)
        if self._is_crowded(tenant):
            BEHIND.set(True)
        if self._may_begin(tenant):
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
            self.leave(tenant)

    def _begin(self, tenant: int) -> None:
        self._turns += 1
        self._last_turn[tenant] = self._turns
        self._working[tenant] += 1

    def leave(self, tenant: int) -> None:
        """Give back the turn that `enter` waited for."""
        self._working[tenant] -= 1
        while self._waiting and self._may_begin(following := self._next()):
            self._call(following)
        self._forget(tenant)

    def _may_begin(self, tenant: int) -> bool:
        turns = self._limits.lanes + self._limits.ahead
        if self.working < turns:
            return True
        return self._limits.ahead > 0 and not self._working[tenant] and self.working < 2 * turns

    def _next(self) -> int:
        return min(self._waiting, key=lambda t: (self._working[t], self._last_turn.get(t, 0)))

    def _call(self, tenant: int) -> None:
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
        if self._is_crowded(tenant):
            return mine < self._few_of(tenant)
        if self._may_begin(tenant) or all_of_us < self._limits.room:
            return True
        return all_of_us < 2 * self._limits.room and mine < self._share_of(
            self._limits.room, tenant
        )

    def _share_of(self, room: int, tenant: int) -> int:
        here = {*self._working, *self._waiting, tenant}
        return max(1, min(room, self._limits.room) // len(here))

    def _is_crowded(self, tenant: int) -> bool:
        return self._clock() < self._crowded_until.get(tenant, 0.0)

    def _few_of(self, tenant: int) -> int:
        """How many may wait of one that sends too many; who has a turn and no lane waits, too."""
        ready = max(0, self._working[tenant] - self._limits.lanes)
        return self._share_of(self._limits.short, tenant) - ready

    def _shorten(self, tenant: int) -> None:
        """Send away those of a tenant who came last and would wait too long now."""
        queue = self._waiting.get(tenant, deque())
        few = max(0, self._few_of(tenant))
        while len(queue) > few:
            place = queue.pop()
            if not place.done():
                place.set_exception(LineFull())
        self._forget(tenant)


class _Turn(AbstractAsyncContextManager[None]):
    """Of a tenant in a line."""

    __slots__ = ("_line", "_tenant")

    def __init__(self, line: Line, tenant: int) -> None:
        self._line, self._tenant = line, tenant

    async def __aenter__(self) -> None:
        await self._line.enter(self._tenant)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.leave(self._tenant)


def _still_wanted() -> None:
    gone = CALLER.get().gone
    if gone is not None and gone.done():
        raise Abandoned


def _was_called(place: Place) -> bool:
    return place.done() and not place.cancelled() and place.exception() is None
