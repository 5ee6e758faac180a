"""Making, listing, describing and deleting groups."""

import sys
from contextlib import suppress
from dataclasses import dataclass

from app.domain.errors import GroupExists
from app.domain.ports import FaceIndex, GroupStore, PageTokens, Vision
from app.domain.values import Cursor, Group, Listing, ModelVersion, PageScope, Tenant

# Revisions that know no quota of groups.
UNLIMITED = sys.maxsize


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Groups by id ascending; `next_token` is empty on the last page."""

    groups: list[Group]
    next_token: str


class Groups:
    """The groups of a tenant. `quota` is how many a tenant may have."""

    def __init__(
        self,
        store: GroupStore,
        index: FaceIndex,
        vision: Vision,
        tokens: PageTokens,
        *,
        quota: int,
    ) -> None:
        self._store = store
        self._index = index
        self._vision = vision
        self._tokens = tokens
        self._quota = quota

    async def create(self, tenant: Tenant, group_id: str, *, limited: bool = True) -> None:
        """Make an empty group of the default model; without `limited` no quota counts.

        Raises `GroupExists`, `GroupQuotaExceeded`.
        """
        model = self._vision.default_model
        quota = self._quota if limited else UNLIMITED
        await self._store.create(tenant, group_id, model, quota=quota)

    async def details(self, tenant: Tenant, group_id: str) -> Group:
        """Raises `GroupNotFound`."""
        return await self._store.get(tenant, group_id)

    async def delete(self, tenant: Tenant, group_id: str) -> None:
        """Remove the group from the database and from memory. Raises `GroupNotFound`."""
        group = await self._store.delete(tenant, group_id)
        self._index.forget(group.row)

    async def page(self, tenant: Tenant, limit: int, token: str | None) -> GroupPage:
        """One page; with `token` its frozen limit counts. Raises `InvalidPageToken`."""
        scope = PageScope(tenant.id, Listing.GROUPS)
        cursor = Cursor(limit) if token is None else self._tokens.read(scope, token)
        # One more than shown tells whether there is a next page.
        groups = await self._store.page(tenant, cursor.after, cursor.limit + 1)
        shown = groups[: cursor.limit]
        more = len(groups) > len(shown)
        return GroupPage(shown, self._next(scope, cursor, shown) if more else "")

    def _next(self, scope: PageScope, cursor: Cursor, shown: list[Group]) -> str:
        return self._tokens.issue(scope, Cursor(cursor.limit, shown[-1].id, cursor.filters))


async def ensure_group(
    store: GroupStore, tenant: Tenant, group_id: str, model: ModelVersion, *, quota: int
) -> None:
    """Make a group where there is none of this id. Raises `GroupQuotaExceeded`."""
    with suppress(GroupExists):
        await store.create(tenant, group_id, model, quota=quota)
