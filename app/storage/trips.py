"""Look-ups in PostgreSQL: those that come while others are on their way go together, in one trip.

A trip is a hop to a thread and back, and a message to the database and back. Both cost many times
what a look-up does, and the toolkit that runs other statements costs as much again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

import psycopg
from psycopg.types.numeric import Int8
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.storage.driving import Values
from app.storage.reading import Lookup

# While one is under way another may start, so that nobody waits for more than one before theirs.
AT_A_TIME = 2
# Look-ups of one trip; the answers to so many fit the buffers on the way.
MOST = 64

Answers: TypeAlias = list[Sequence[Values]]
Run: TypeAlias = Callable[[Callable[[Connection], Answers]], Awaitable[Answers]]


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """One look-up, and where its rows go."""

    lookup: Lookup
    key: Mapping[str, object]
    answer: asyncio.Future[Sequence[Values]]


class Trips:
    """Belongs to one event loop, the first; `run` runs a trip in a thread that has a connection."""

    def __init__(self, run: Run) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._run = run
        self._asked: deque[_Asked] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    def possible(self) -> bool:
        """Whether the caller is on this object's loop, which is the first one unless that ended."""
        here = asyncio.get_running_loop()
        if self._loop is None or self._loop.is_closed():
            self._loop = here
        return self._loop is here

    async def look_up(self, lookup: Lookup, key: Mapping[str, object]) -> Sequence[Values]:
        """The rows as they are, or were after this was asked. Raises what `run` raises."""
        asked = _Asked(lookup, key, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if len(self._under_way) < AT_A_TIME:
            # Without the context of whoever happens to be the first of the party.
            task = asyncio.get_running_loop().create_task(self._travel(), context=Context())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return await asked.answer

    async def _travel(self) -> None:
        """Trip after trip, until nobody waits for one."""
        while party := self._party():
            try:
                found = await self._run(partial(_fetched, party))
                for asked, rows in zip(party, found, strict=True):
                    if not asked.answer.done():
                        asked.answer.set_result(rows)
            except Exception as error:  # noqa: BLE001 - every waiter must hear of it, whatever it is
                for asked in party:
                    if not asked.answer.done():
                        asked.answer.set_exception(error)
            finally:
                for asked in party:
                    asked.answer.cancel()  # a no-op once answered

    def _party(self) -> list[_Asked]:
        """Who goes next; whoever gave up meanwhile stays behind."""
        party: list[_Asked] = []
        while self._asked and len(party) < MOST:
            asked = self._asked.popleft()
            if not asked.answer.done():
                party.append(asked)
        return party


def _fetched(party: Sequence[_Asked], connection: Connection) -> Answers:
    """Raises `DBAPIError`, like everything that is run on a connection of the toolkit."""
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    try:
        if len(party) == 1:
            return [_sent(driver, party[0])()]
        with driver.pipeline():
            return [rows() for rows in [_sent(driver, asked) for asked in party]]
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate(error)
        raise DBAPIError(None, None, error, connection_invalidated=driver.closed) from error


def _sent(driver: "psycopg.Connection[Any]", asked: _Asked) -> Callable[[], Sequence[Values]]:
    """Send a look-up; what is returned waits for its rows."""
    cursor = driver.cursor(binary=True)
    # Numbers all as the largest kind: for another kind the statement would be prepared anew.
    key = {name: Int8(v) if type(v) is int else v for name, v in asked.key.items()}
    cursor.execute(asked.lookup.postgres.sql, key)
    return lambda: asked.lookup.postgres.processed(cursor.fetchall())
