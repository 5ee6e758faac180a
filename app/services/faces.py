"""Listing and deleting the faces of a group."""

from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass
from functools import partial

from app.domain.errors import InvalidPageToken
from app.domain.ports import FaceIndex, FaceStore, GroupStore, PageTokens
from app.domain.values import (
    Cursor,
    FaceFilter,
    FaceRecord,
    FaceRow,
    Group,
    Listing,
    ModelVersion,
    PageScope,
    Tenant,
)
from app.services.conveyor import patiently

_MANY = 1_000  # faces read at a time where all are


@dataclass(frozen=True, slots=True)
class FacePage:
    """Faces newest first; `next_token` is empty on the last page."""

    model: ModelVersion
    faces: list[FaceRecord]
    next_token: str


class Faces:
    """The stored faces of a tenant's groups."""

    def __init__(
        self, groups: GroupStore, faces: FaceStore, index: FaceIndex, tokens: PageTokens
    ) -> None:
        self._groups = groups
        self._faces = faces
        self._index = index
        self._tokens = tokens

    async def delete(self, tenant: Tenant, group_id: str, face_id: str) -> None:
        """Forget one face for good, in memory too. Raises `GroupNotFound`, `FaceNotFound`."""
        group = await self._groups.get(tenant, group_id)
        row = await self._faces.delete(group, face_id)
        await self._index.discard(group.row, row)

    async def page(
        self,
        tenant: Tenant,
        group_id: str,
        limit: int,
        token: str | None,
        *,
        only: FaceFilter,
    ) -> FacePage:
        """One page; with `token` the limit and the filters frozen in it count.

        Raises `GroupNotFound`, `InvalidPageToken`.
        """
        group = await self._groups.get(tenant, group_id)
        scope = PageScope(tenant.id, Listing.FACES, group.row)
        cursor = self._tokens.read(scope, token) if token else Cursor(limit, filters=_frozen(only))
        # One more than shown tells whether there is a next page.
        after, shown = _row(cursor), FaceFilter(**cursor.filters)
        records = await self._faces.page(group, after, cursor.limit + 1, shown)
        faces = records[: cursor.limit]
        more = len(records) > len(faces)
        return FacePage(group.model, faces, self._next(scope, cursor, faces) if more else "")

    def _next(self, scope: PageScope, cursor: Cursor, shown: list[FaceRecord]) -> str:
        last = str(shown[-1].row)
        return self._tokens.issue(scope, Cursor(cursor.limit, last, cursor.filters))


async def every_face(faces: FaceStore, group: Group) -> AsyncGenerator[FaceRecord, None]:
    """All records of a group, newest first. Raises `StoreUnavailable` when it stays away."""
    before: FaceRow | None = None
    while True:
        page = await patiently(partial(faces.page, group, before, _MANY, FaceFilter()))
        for record in page:
            yield record
        if len(page) < _MANY:
            return
        before = page[-1].row


def _frozen(only: FaceFilter) -> dict[str, str]:
    return {name: value for name, value in asdict(only).items() if value is not None}


def _row(cursor: Cursor) -> FaceRow | None:
    if cursor.after is None:
        return None
    if not cursor.after.isdecimal():
        raise InvalidPageToken
    return FaceRow(int(cursor.after))
