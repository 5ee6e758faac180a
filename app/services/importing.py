"""Registering the photos of a folder: each once, however often it is begun again."""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import sha256

from app.domain.errors import FaceQuotaExceeded, ImageError, ImageTooSmall
from app.domain.ports import AuditTrail, FaceStore, GroupStore
from app.domain.values import (
    AuditEntry,
    Eligibility,
    Face,
    FaceFilter,
    FaceRecord,
    Group,
    Identity,
    ImageLimits,
    NewFace,
    Photo,
    Tenant,
    UploadedImage,
    Wanted,
)
from app.services.conveyor import in_batches, in_order, patiently
from app.services.detect import DetectFaces, embedding_of
from app.services.faces import every_face
from app.services.register import hyphened, random_id

EARLIER = "it was there already"
# Orientations are there to tell whether a face may be registered, so asking for them is free.
_WANTED = Wanted(orientation=True, embeddings=1)
# A transaction costs as much as decoding a photo, and a batch of them hardly more than one.
_BATCH = 8
_SECONDS = 0.5


class Outcome(Enum):
    """What became of a photo."""

    REGISTERED = "registered"
    NO_FACE = "no face"
    SEVERAL = "several faces"
    TOO_SMALL = "too small"
    TURNED = "turned away"
    POOR = "poor quality"
    DUPLICATE = "duplicate"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Imported:
    """One photo's outcome; `face_id` where its face is in the group, `detail` for a person."""

    photo: Photo
    outcome: Outcome
    face_id: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ImportRules:
    """How photos are registered.

    `limits` of a file, `eligible` faces only, and of several such faces the largest (`largest`) or
    none. `ahead` photos are at work at a time. With `dry` nothing is written.
    """

    limits: ImageLimits
    eligible: Eligibility
    quota: int
    ahead: int
    largest: bool = False
    dry: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A photo that was looked at: its outcome or, as yet without one, the face to be stored."""

    image_id: str
    imported: Imported
    face: NewFace | None = None


class ImportPhotos:
    """Registers photos, a face each, in the order given.

    What makes it exact is the picture's id, an HMAC under `key` of the group, the label and the
    file's SHA-256: a face is stored in the same transaction that finds no face of its picture.
    """

    PURPOSE = "import/1"
    """What its key is derived for."""

    def __init__(
        self,
        groups: GroupStore,
        faces: FaceStore,
        detect: DetectFaces,
        audit: AuditTrail,
        *,
        key: bytes,
        source: str,
    ) -> None:
        """`source` is who imports, for the audit trail."""
        self._groups = groups
        self._faces = faces
        self._detect = detect
        self._audit = audit
        self._key = key
        self._source = source

    async def __call__(
        self, tenant: Tenant, group_id: str, photos: Iterable[Photo], rules: ImportRules
    ) -> AsyncGenerator[Imported, None]:
        """The outcome of each of `photos`, in order.

        Raises `GroupNotFound`, `ModelUnavailable`, and `StoreUnavailable` when the database stays
        away; what was told until then is stored.
        """
        group = await patiently(lambda: self._groups.get(tenant, group_id))
        known = {face.image_id: face.face_id async for face in every_face(self._faces, group)}
        run = _Run(tenant, group, rules, known)

        async def look(photo: Photo) -> _Seen:
            return await self._look(run, photo)

        looked_at = in_order(photos, look, rules.ahead)
        batches = in_batches(looked_at, _BATCH, _SECONDS)
        async with aclosing(looked_at), aclosing(batches):
            async for batch in batches:
                for imported in await self._settle(run, [seen for _, seen in batch]):
                    yield imported

    async def _look(self, run: "_Run", photo: Photo) -> _Seen:
        """Everything that costs time, and may be done for several photos at once."""
        if problem := photo.problem or run.problem:
            return _Seen("", Imported(photo, Outcome.FAILED, detail=problem))
        try:
            data, digest = await asyncio.to_thread(_read, photo, run.rules.limits.max_bytes)
        except ImageError as error:
            return _Seen("", Imported(photo, Outcome.FAILED, detail=error.detail))
        image_id = self._image_id(run.group, photo.label, digest)
        if face_id := run.known.get(image_id):
            return _Seen(image_id, Imported(photo, Outcome.REGISTERED, face_id, EARLIER))
        imported, face = await self._judge(run, photo, data)
        new = None if face is None else _new_face(face, image_id, photo.label)
        return _Seen(image_id, imported, new)

    async def _judge(self, run: "_Run", photo: Photo, data: bytes) -> tuple[Imported, Face | None]:
        """The face that is meant, or why there is none."""
        rules, model = run.rules, run.group.model
        wanted = replace(_WANTED, eligible=rules.eligible)
        try:
            faces = await self._detect(UploadedImage(data), rules.limits, wanted, model)
        except ImageTooSmall as error:
            return Imported(photo, Outcome.TOO_SMALL, detail=error.detail), None
        except ImageError as error:
            return Imported(photo, Outcome.FAILED, detail=error.detail), None
        fit = [face for face in faces if rules.eligible.admits(face)]
        if len(fit) == 1 or (fit and rules.largest):
            return Imported(photo, Outcome.REGISTERED, detail="not yet: a dry run"), fit[0]
        return _nobody(photo, faces, fit, rules.eligible), None

    async def _settle(self, run: "_Run", batch: Sequence[_Seen]) -> list[Imported]:
        """Store what is to be stored; in the order of the photos."""
        told = [run.first(seen) for seen in batch]
        faces = [seen.face for seen in told if seen.face is not None]
        if not faces or run.rules.dry:
            return [seen.imported for seen in told]
        added = await self._store(run, faces)
        return [
            seen.imported if seen.face is None else await self._stored_or_not(run, seen, added)
            for seen in told
        ]

    async def _store(self, run: "_Run", faces: Sequence[NewFace]) -> Collection[str]:
        """The ids of those stored now."""
        quota = run.rules.quota
        records = await patiently(
            lambda: self._faces.add_missing(run.group, faces, Identity.PICTURE, quota=quota)
        )
        added = tuple(record.face_id for record in records)
        if added:
            await self._audit.write(run.entry(added, self._source))
        return added

    async def _stored_or_not(self, run: "_Run", seen: _Seen, added: Collection[str]) -> Imported:
        photo = seen.imported.photo
        if seen.face is not None and seen.face.face_id in added:
            return Imported(photo, Outcome.REGISTERED, seen.face.face_id)
        # Another import of the same photo, or our own commit that was not answered.
        if found := await self._stored(run.group, seen.image_id):
            return Imported(photo, Outcome.REGISTERED, found.face_id, EARLIER)
        run.problem = FaceQuotaExceeded.detail
        return Imported(photo, Outcome.FAILED, detail=run.problem)

    async def _stored(self, group: Group, image_id: str) -> FaceRecord | None:
        only = FaceFilter(image_id=image_id)
        found = await patiently(lambda: self._faces.page(group, None, 1, only))
        return found[0] if found else None

    def _image_id(self, group: Group, label: str | None, digest: bytes) -> str:
        told = f"{group.row}\n{label or ''}\n".encode() + digest
        return hyphened(hmac.digest(self._key, told, "sha256")[:16].hex())


@dataclass(slots=True)
class _Run:
    """One import: `problem` says why nothing more can be registered.

    `known` are the faces that were there when it began, by the ids of their pictures.
    """

    tenant: Tenant
    group: Group
    rules: ImportRules
    known: Mapping[str, str]
    problem: str | None = None
    _met: set[str] = field(default_factory=set)

    def first(self, seen: _Seen) -> _Seen:
        """The same, or that its picture came before; nobody knows that of what is unreadable."""
        if seen.image_id in self._met:
            detail = "the same file with the same label"
            photo = seen.imported.photo
            return _Seen(seen.image_id, Imported(photo, Outcome.DUPLICATE, detail=detail))
        if seen.image_id:
            self._met.add(seen.image_id)
        return seen

    def entry(self, faces: tuple[str, ...], source: str) -> AuditEntry:
        tenant, group, count = self.tenant.name, self.group.id, len(faces)
        return AuditEntry(
            "import", tenant=tenant, group=group, faces=faces, count=count, source=source
        )


def _read(photo: Photo, limit: int) -> tuple[bytes, bytes]:
    data = photo.read(limit)
    return data, sha256(data).digest()


def _nobody(photo: Photo, faces: list[Face], fit: list[Face], eligible: Eligibility) -> Imported:
    """Why no face of a photo can be taken."""
    if len(fit) > 1:
        return Imported(photo, Outcome.SEVERAL, detail=f"{len(fit)} faces")
    if not faces:
        return Imported(photo, Outcome.NO_FACE)
    outcome, detail = _unfit(faces, eligible)
    return Imported(photo, outcome, detail=detail)


def _unfit(faces: list[Face], eligible: Eligibility) -> tuple[Outcome, str]:
    side = max(face.side for face in faces)
    if side < eligible.min_side:
        detail = f"the largest face is {side} px, and {eligible.min_side} px are needed"
        return Outcome.TOO_SMALL, detail
    if any(face.quality is not None for face in faces):
        return Outcome.POOR, ", ".join(eligible.objections(faces[0]))
    return Outcome.TURNED, f"no face is turned by less than {eligible.max_angle:g} degrees"


def _new_face(face: Face, image_id: str, label: str | None) -> NewFace:
    return NewFace(
        face_id=random_id(),
        image_id=image_id,
        external_image_id=label,
        box=face.box,
        confidence=face.confidence,
        embedding=embedding_of(face),
    )
