"""Listing and deleting the faces of a group."""

from dataclasses import dataclass

from app.domain.errors import InvalidPageToken
from app.domain.ports import FaceStore, GroupStore, PageTokens
from app.domain.values import (
    Cursor,
    FaceRecord,
    FaceRow,
    Listing,
    ModelVersion,
    PageScope,
    Tenant,
)


@dataclass(frozen=True, slots=True)
class FacePage:
    """Faces newest first; `next_token` is empty on the last page."""

    model: ModelVersion
    faces: list[FaceRecord]
    next_token: str


class Faces:
    """The stored faces of a tenant's groups."""

    def __init__(self, groups: GroupStore, faces: FaceStore, tokens: PageTokens) -> None:
        self._groups = groups
        self._faces = faces
        self._tokens = tokens

    async def delete(self, tenant: Tenant, group_id: str, face_id: str) -> None:
        """Forget one face for good. Raises `GroupNotFound`, `FaceNotFound`."""
        group = await self._groups.get(tenant, group_id)
        await self._faces.delete(group, face_id)

    async def page(self, tenant: Tenant, group_id: str, limit: int, token: str | None) -> FacePage:
        """One page; with `token` its frozen limit counts.

        Raises `GroupNotFound`, `InvalidPageToken`.
        """
        group = await self._groups.get(tenant, group_id)
        scope = PageScope(tenant.id, Listing.FACES, group.row)
        cursor = Cursor(limit) if token is None else self._tokens.read(scope, token)
        # One more than shown tells whether there is a next page.
        records = await self._faces.page(group, _row(cursor), cursor.limit + 1)
        shown = records[: cursor.limit]
        more = len(records) > len(shown)
        return FacePage(group.model, shown, self._next(scope, cursor, shown) if more else "")

    def _next(self, scope: PageScope, cursor: Cursor, shown: list[FaceRecord]) -> str:
        last = str(shown[-1].row)
        return self._tokens.issue(scope, Cursor(cursor.limit, last, cursor.filters))


def _row(cursor: Cursor) -> FaceRow | None:
    if cursor.after is None:
        return None
    if not cursor.after.isdecimal():
        raise InvalidPageToken
    return FaceRow(int(cursor.after))
