"""Groups as they were a moment ago, for searches that would rather save the read."""

import time
from collections.abc import Callable

from app.domain.errors import GroupNotFound
from app.domain.ports import GroupReader
from app.domain.values import Group, Tenant

# A search may miss what was answered less than a second before it began, and nothing older. The
# rest of that second is for the search to begin.
MOMENT = 0.9
_MOST = 10_000


class RelaxedGroups:
    """Reads through `groups` and believes an answer for `MOMENT` seconds."""

    def __init__(self, groups: GroupReader, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._groups = groups
        self._clock = clock
        self._known: dict[tuple[int, str], tuple[float, Group]] = {}

    async def get(self, tenant: Tenant, group_id: str) -> Group:
        """Raises `GroupNotFound`."""
        name, now = (tenant.id, group_id), self._clock()
        known = self._known.get(name)
        if known is not None and now - known[0] < MOMENT:
            return known[1]
        return await self._read(tenant, group_id, now)

    async def _read(self, tenant: Tenant, group_id: str, began: float) -> Group:
        name = (tenant.id, group_id)
        try:
            group = await self._groups.get(tenant, group_id)
        except GroupNotFound:
            self._known.pop(name, None)
            raise
        if len(self._known) >= _MOST:
            self._known.clear()
        # Counted from before the read: what was answered since then may be missing from it.
        self._known[name] = (began, group)
        return group
