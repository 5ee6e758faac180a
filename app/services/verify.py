"""Checking whether a picture shows a registered face."""

from dataclasses import dataclass, replace

from app.domain.calibration import cosine
from app.domain.ports import FaceStore, GroupStore
from app.domain.values import Face, FaceRecord, ImageLimits, ImageReference, Tenant, Wanted
from app.services.detect import DetectFaces, largest
from app.services.scoring import Scoring


@dataclass(frozen=True, slots=True)
class Verification:
    """How similar, 0..100, the picture's largest face is to the registered one."""

    similarity: float
    face: FaceRecord
    source: Face


class VerifyFace:
    """Compares one stored face with the largest of a picture."""

    def __init__(
        self, groups: GroupStore, faces: FaceStore, detect: DetectFaces, scoring: Scoring
    ) -> None:
        self._groups = groups
        self._faces = faces
        self._detect = detect
        self._scoring = scoring

    async def __call__(
        self,
        tenant: Tenant,
        group_id: str,
        face_id: str,
        image: ImageReference,
        limits: ImageLimits,
        *,
        wanted: Wanted,
    ) -> Verification:
        """Raises `GroupNotFound`, `FaceNotFound`, `ImageError`, `ImageTooSmall`, `NoFaceFound`."""
        group = await self._groups.get(tenant, group_id)
        record, registered = await self._faces.find(group, face_id)
        found = await self._detect(
            image, limits, replace(wanted, embeddings=1, max_faces=1), group.model
        )
        source, embedding = largest(found)
        table = self._scoring.calibration(group.model, group.row)
        return Verification(table.similarity(cosine(registered, embedding)), record, source)
