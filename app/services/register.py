"""Adding the faces of a picture to a group."""

import itertools
import secrets
from dataclasses import dataclass, replace

from app.domain.errors import FaceQuotaExceeded
from app.domain.ports import FaceStore, GroupStore
from app.domain.values import (
    Eligibility,
    Face,
    FaceRecord,
    ImageLimits,
    ImageReference,
    ModelVersion,
    NewFace,
    Tenant,
    Wanted,
)
from app.services.detect import DetectFaces, embedding_of

LONGEST_REASONS = 2_000  # characters; proxies refuse headers of more than a few thousand


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of each face of the picture, largest first.

    `added` pairs the stored record with the face found. `partial` is True when the group's
    quota kept out faces that would have been added. `reasons` say why faces were refused, where
    their quality counts.
    """

    model: ModelVersion
    added: list[tuple[FaceRecord, Face]]
    not_added: list[Face]
    partial: bool
    reasons: str = ""


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """What to register. `limit` is how many of the largest eligible faces are added at most."""

    image: ImageReference
    limit: int
    external_image_id: str | None
    wanted: Wanted


class RegisterFaces:
    """Stores vectors of a picture's faces; `quota` is how many faces a group may have."""

    def __init__(
        self,
        groups: GroupStore,
        faces: FaceStore,
        detect: DetectFaces,
        *,
        quota: int,
        eligibility: Eligibility,
    ) -> None:
        self._groups = groups
        self._faces = faces
        self._detect = detect
        self._quota = quota
        self._eligibility = eligibility

    async def __call__(
        self, tenant: Tenant, group_id: str, request: RegisterRequest, limits: ImageLimits
    ) -> Registration:
        """Raises `GroupNotFound`, `FaceQuotaExceeded`, `ImageError`, `ImageTooSmall`."""
        group = await self._groups.get(tenant, group_id)
        if group.face_count >= self._quota:
            raise FaceQuotaExceeded
        wanted = replace(request.wanted, embeddings=request.limit, eligible=self._eligibility)
        found = await self._detect(request.image, limits, wanted, group.model)
        chosen = [face for face in found if face.embedding is not None]
        new = _new_faces(chosen, request.external_image_id)
        records = await self._faces.add(group, new, quota=self._quota) if new else []
        added = list(zip(records, chosen, strict=False))
        stored = {id(face) for _, face in added}
        rest = [face for face in found if id(face) not in stored]
        reasons = refusals(rest) if self._eligibility.grades else ""
        return Registration(
            group.model, added, rest, partial=len(records) < len(new), reasons=reasons
        )


def refusals(not_added: list[Face]) -> str:
    """Why these faces were not added, by their place among them; no more than a header holds."""
    told = [
        f"face {place} not added: {', '.join(face.objections)}"
        for place, face in enumerate(not_added, start=1)
        if face.objections
    ]
    return "; ".join(told)[:LONGEST_REASONS]


def _new_faces(faces: list[Face], external_image_id: str | None) -> list[NewFace]:
    image_id = random_id()
    return [
        NewFace(
            face_id=random_id(),
            image_id=image_id,
            external_image_id=external_image_id,
            box=face.box,
            confidence=face.confidence,
            embedding=embedding_of(face),
        )
        for face in faces
    ]


def random_id() -> str:
    """128 random bits in the 8-4-4-4-12 form of the guides' samples.

    Not a version 4 UUID: that fixes six bits, and OWASP ASVS 5.0 (11.5.1) asks for 128.
    """
    return hyphened(secrets.token_hex(16))


def hyphened(digits: str) -> str:
    """32 hexadecimal digits in that form."""
    cuts = (0, 8, 12, 16, 20, 32)
    return "-".join(digits[a:b] for a, b in itertools.pairwise(cuts))
