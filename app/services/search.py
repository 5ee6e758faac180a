"""Finding the faces of a group that look like a given one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from app.domain.ports import FaceIndex, FaceStore, GroupReader
from app.domain.values import (
    Embedding,
    Face,
    FaceRecord,
    FaceRow,
    Group,
    ImageLimits,
    ImageReference,
    ModelVersion,
    Tenant,
    Wanted,
)
from app.services.detect import DetectFaces, largest
from app.services.scoring import Scoring

# Faces of a group from which a search takes longer than telling the vector early costs.
WORTH_BEGINNING = 20_000


@dataclass(frozen=True, slots=True)
class Match:
    """A stored face and its similarity to the query, 0..100."""

    face: FaceRecord
    similarity: float


@dataclass(frozen=True, slots=True)
class Criteria:
    """How many matches at most, and from which similarity 0..100 on a face is one."""

    limit: int
    threshold: float


@dataclass(frozen=True, slots=True)
class ImageMatches:
    """Matches of the picture's largest face, most similar first."""

    model: ModelVersion
    source: Face
    matches: list[Match]


class _Ahead:
    """A search that begins with the vector, while the rest of the face is still looked at.

    Whatever breaks off the block breaks off the search.
    """

    def __init__(self, search: Callable[[Embedding], Awaitable[list[Match]]]) -> None:
        self._search = search
        self.task: asyncio.Future[list[Match]] | None = None

    def begin(self, embedding: Embedding) -> None:
        self.task = asyncio.ensure_future(self._search(embedding))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.task is not None and error is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


class SearchFaces:
    """Searches one group, by picture or by one of its own faces."""

    def __init__(
        self,
        groups: GroupReader,
        faces: FaceStore,
        detect: DetectFaces,
        scoring: Scoring,
        index: FaceIndex,
    ) -> None:
        self._groups = groups
        self._faces = faces
        self._detect = detect
        self._scoring = scoring
        self._index = index

    async def by_face(
        self, tenant: Tenant, group_id: str, face_id: str, criteria: Criteria
    ) -> list[Match]:
        """The face itself is left out. Raises `GroupNotFound`, `FaceNotFound`."""
        group, record, embedding = await self._faces.find_in(tenant, group_id, face_id)
        return await self._matches(group, embedding, criteria, leave_out=record.row)

    async def by_image(
        self,
        tenant: Tenant,
        group_id: str,
        image: ImageReference,
        limits: ImageLimits,
        *,
        wanted: Wanted,
        criteria: Criteria,
    ) -> ImageMatches:
        """Raises `GroupNotFound`, `ImageError`, `ImageTooSmall`, `NoFaceFound`."""
        group = await self._groups.get(tenant, group_id)

        # The group as it was when the request came in is enough: whatever was answered before
        # the search began is in that version.
        def search(embedding: Embedding) -> Awaitable[list[Match]]:
            return self._matches(group, embedding, criteria)

        async with _Ahead(search) as ahead:
            found = await self._detect(
                image,
                limits,
                replace(wanted, embeddings=1, max_faces=1),
                group.model,
                early=ahead.begin if group.face_count >= WORTH_BEGINNING else None,
            )
            source, embedding = largest(found)
            matches = await (ahead.task or search(embedding))
        return ImageMatches(group.model, source, matches)

    async def _matches(
        self,
        group: Group,
        query: Embedding,
        criteria: Criteria,
        *,
        leave_out: FaceRow | None = None,
    ) -> list[Match]:
        near = await self._index.nearest(group, query, criteria.limit, leave_out=leave_out)
        similarity = self._scoring.calibration(group.model, group.row).similarity
        likely = {n.row: s for n in near if (s := similarity(n.cosine)) >= criteria.threshold}
        records = await self._faces.records(group, list(likely)) if likely else {}
        matches = [Match(record, likely[row]) for row, record in records.items()]
        matches.sort(key=lambda match: (-match.similarity, match.face.face_id))
        return matches[: criteria.limit]
