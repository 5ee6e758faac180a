"""For whom work is done: goes with a request through every room, as asyncio's context does.

It decides only who is served first and what is not worth beginning; what a caller may see is
decided by the `Tenant` each use case is given.
"""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """Whose request it is: a tenant's id. `gone` is done once nobody waits for the answer."""

    tenant: int
    gone: asyncio.Future[None] | None = None


NOBODY = Caller(0)

CALLER: ContextVar[Caller] = ContextVar("caller", default=NOBODY)

BEHIND: ContextVar[bool] = ContextVar("behind", default=False)
"""Whether the caller's work is to use what others leave of the machine, and no more."""
