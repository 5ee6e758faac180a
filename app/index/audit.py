"""Whether the indexes still hold what the database holds: looked at again and again, gently."""

import asyncio
import secrets
import time

import structlog

from app.domain.errors import FaceError
from app.domain.ports import FaceDigests
from app.domain.values import FaceRow, Group
from app.index.faiss_indexes import FaissIndexes

_log = structlog.stdlib.get_logger(__name__)

# Faces compared at a time: a search that comes meanwhile waits a few milliseconds for them.
PAGE = 1_000
# Seconds of rest for each second of work, so that an audit takes a tenth of one core at most.
REST = 9.0
# A face that was erased may leave the index a moment before its change is read, so what differs
# is looked at again before it counts.
LOOKS = 3
FROM_THE_BEGINNING = FaceRow(0)


class IndexAudit:
    """Compares each loaded group with the database by count and keyed digest, page by page.

    A group that differs is loaded anew at once; `looked` counts the groups, `rebuilt`
    those.
    """

    def __init__(self, indexes: FaissIndexes, digests: FaceDigests) -> None:
        self._indexes = indexes
        self._digests = digests
        self._key = secrets.token_bytes(32)
        self.looked = self.rebuilt = 0

    async def run(self, *, every: float) -> None:
        """Begin a round each `every` seconds, for ever; a round that takes longer is finished."""
        while True:
            began = time.monotonic()
            await self.round()
            await asyncio.sleep(max(0.0, began + every - time.monotonic()))

    async def round(self) -> None:
        """Look at every group that is loaded now."""
        for group in self._indexes.held():
            try:
                await self.check(group)
            except FaceError as error:
                # Gone meanwhile, or the database is away: whoever searches will hear of it.
                _log.info("index_not_audited", group_row=group.row, kind=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - one broken look must not end all others
                # The kind alone: values in a traceback may be vectors.
                _log.error("index_audit_broke", group_row=group.row, kind=type(error).__name__)

    async def check(self, group: Group) -> None:
        """Look at one group, and load it anew when it differs. Raises what reading it raises."""
        self.looked += 1
        after: FaceRow | None = FROM_THE_BEGINNING
        while after is not None:
            began = time.monotonic()
            agreed, behind = await self._look(group, after)
            if not agreed:
                self.rebuilt += 1
                _log.error("index_drifted", group_row=group.row)
                await self._indexes.rebuild(group)
                return
            after = behind
            await asyncio.sleep(REST * (time.monotonic() - began))

    async def _look(self, group: Group, after: FaceRow) -> tuple[bool, FaceRow | None]:
        """Whether the page behind `after` agrees, and where the next begins, if there is one."""
        differed = 0
        while differed < LOOKS:
            page = await asyncio.to_thread(self._digests.digest, group, after, PAGE, self._key)
            mine = await self._indexes.digest(group, page, after, self._key)
            if mine is None:
                if not self._indexes.holds(group):
                    return True, None
                continue  # changed between the two reads: both anew
            if mine == page.digest:
                return True, page.next
            differed += 1
        return False, None
