"""Taking a group over from another server: its faces with their ids, out of the photos kept."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum

from app.domain.errors import FaceQuotaExceeded, ImageError, ImageTooSmall
from app.domain.ports import AuditTrail, ErasedFaces, FaceStore, GroupStore
from app.domain.values import (
    EVERY_FACE,
    AuditEntry,
    CloudFace,
    Face,
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
from app.services.matching import Pairs, assign
from app.services.shelf import PhotoShelf

EARLIER = "it was there already"
# The first edition of the contract registered up to so many faces of a picture.
_WANTED = Wanted(embeddings=EVERY_FACE, max_faces=100)
_BATCH = 8  # labels
_SECONDS = 0.5
_SHOWN = 20  # faces that a record of the audit trail names


class Fate(Enum):
    """What became of a face of the other server."""

    MOVED = "moved"
    DELETED = "deleted here"
    NO_PHOTO = "no photo"
    NO_FACE = "no face"
    ELSEWHERE = "other photo"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Moved:
    """One face's fate; `photo` is the name of the one it was taken from or looked for in."""

    face: CloudFace
    fate: Fate
    photo: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MoveRules:
    """`limits` of a photo, `quota` of faces a group may have, and `ahead` labels at work."""

    limits: ImageLimits
    quota: int
    ahead: int


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A photo with the faces it shows, or why it shows none."""

    photo: Photo
    faces: Sequence[Face] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Label:
    """Everything the other server has under one label: its pictures, each with its faces."""

    name: str
    pictures: Sequence[Sequence[CloudFace]]


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """What was seen for a face: its fate or, as yet without one, the face to be stored."""

    moved: Moved
    face: Face | None = None


class MoveFaces:
    """Registers the faces another server lists, from photos found by their labels.

    A face keeps its ids. It is stored unless one of its id is there, which makes it exact however
    often it is begun again, and not at all if it was deleted here since.
    """

    def __init__(
        self,
        groups: GroupStore,
        faces: FaceStore,
        detect: DetectFaces,
        erased: ErasedFaces,
        audit: AuditTrail,
        *,
        source: str,
    ) -> None:
        """`source` is who moves them, for the audit trail."""
        self._groups = groups
        self._faces = faces
        self._detect = detect
        self._erased = erased
        self._audit = audit
        self._source = source

    async def __call__(
        self,
        tenant: Tenant,
        group_id: str,
        faces: Sequence[CloudFace],
        shelf: PhotoShelf,
        rules: MoveRules,
    ) -> AsyncGenerator[Moved, None]:
        """The fate of each of `faces`, which come newest first; oldest first, label by label.

        Raises `GroupNotFound`, `ModelUnavailable`, and `StoreUnavailable` when the database stays
        away; what was told until then is stored.
        """
        group = await patiently(lambda: self._groups.get(tenant, group_id))
        # In this order: who is deleted in between is in one of the two.
        here = await self._here(group)
        erased = await patiently(lambda: self._erased.of_group(group))
        move = _Move(tenant, group, rules, shelf, here, erased)

        async def look(label: _Label) -> list[_Sight]:
            return await self._look(move, label)

        looked_at = in_order(_labels(faces), look, rules.ahead)
        batches = in_batches(looked_at, _BATCH, _SECONDS)
        async with aclosing(looked_at), aclosing(batches):
            async for batch in batches:
                for moved in await self._settle(move, [sight for _, all in batch for sight in all]):
                    yield moved

    async def _here(self, group: Group) -> frozenset[str]:
        return frozenset([record.face_id async for record in every_face(self._faces, group)])

    async def _look(self, move: "_Move", label: _Label) -> list[_Sight]:
        """Find every face of a label in the photos of that name."""
        photos = move.shelf.of(move.group.id, label.name)
        if not move.must_look(label, photos):
            for photo in photos:
                move.shelf.use(photo)
            return [_Sight(move.known(face)) for picture in label.pictures for face in picture]
        views = [await self._view(move, photo) for photo in photos]
        chosen = assign(label.pictures, [view.faces for view in views])
        for place, _ in chosen.values():
            move.shelf.use(views[place].photo)
        return list(_sights(move, label, views, chosen))

    async def _view(self, move: "_Move", photo: Photo) -> _View:
        limits = move.rules.limits
        if photo.problem is not None:
            return _View(photo, problem=photo.problem)
        try:
            image = UploadedImage(await asyncio.to_thread(photo.read, limits.max_bytes))
            faces = await self._detect(image, limits, _WANTED, move.group.model)
        except (ImageError, ImageTooSmall) as error:
            return _View(photo, problem=error.detail)
        return _View(photo, faces)

    async def _settle(self, move: "_Move", sights: Sequence[_Sight]) -> list[Moved]:
        """Store what is to be stored, in order."""
        new = {
            sight.moved.face.face_id: _new_face(sight.moved.face, sight.face)
            for sight in sights
            if sight.face is not None
        }
        left = await self._left_out(move, new)
        return [
            Moved(sight.moved.face, Fate.FAILED, sight.moved.photo, FaceQuotaExceeded.detail)
            if sight.moved.face.face_id in left
            else sight.moved
            for sight in sights
        ]

    async def _left_out(self, move: "_Move", new: Mapping[str, NewFace]) -> Collection[str]:
        """Store the faces; the ids of those that did not fit."""
        if not new:
            return ()
        faces, quota = list(new.values()), move.rules.quota
        records = await patiently(
            lambda: self._faces.add_missing(move.group, faces, Identity.FACE, quota=quota)
        )
        added = [record.face_id for record in records]
        for start in range(0, len(added), _SHOWN):
            shown = tuple(added[start : start + _SHOWN])
            await self._audit.write(move.entry(shown, self._source))
        if len(added) == len(new):
            return ()
        here = await self._here(move.group)
        return {face_id for face_id in new if face_id.lower() not in here}


def preview(group_id: str, faces: Sequence[CloudFace], shelf: PhotoShelf) -> Iterator[Moved]:
    """Which faces have a photo of their name, without looking at it."""
    for face in reversed(faces):
        photos = shelf.of(group_id, _label_of(face))
        for photo in photos:
            shelf.use(photo)
        if photos:
            yield Moved(face, Fate.MOVED, photos[0].name, "not yet: a dry run")
        else:
            yield Moved(face, Fate.NO_PHOTO)


@dataclass(frozen=True, slots=True)
class _Move:
    """The move of one group, with what is `here` of it and what was `erased` here."""

    tenant: Tenant
    group: Group
    rules: MoveRules
    shelf: PhotoShelf
    here: Collection[str]
    erased: Collection[str]

    def is_done(self, face: CloudFace) -> bool:
        """Whether nothing is to be done for a face."""
        return face.face_id.lower() in self.here or face.face_id.lower() in self.erased

    def known(self, face: CloudFace) -> Moved:
        """The fate of a face that is done."""
        if face.face_id.lower() in self.here:
            return Moved(face, Fate.MOVED, detail=EARLIER)
        return Moved(face, Fate.DELETED)

    def must_look(self, label: _Label, photos: Sequence[Photo]) -> bool:
        """Whether a face is left to find, or a photo that may be of nobody."""
        if len(photos) > len(label.pictures):
            return True
        return not all(self.is_done(face) for picture in label.pictures for face in picture)

    def entry(self, faces: tuple[str, ...], source: str) -> AuditEntry:
        tenant, group, count = self.tenant.name, self.group.id, len(faces)
        return AuditEntry(
            "migrate", tenant=tenant, group=group, faces=faces, count=count, source=source
        )


def _labels(faces: Sequence[CloudFace]) -> list[_Label]:
    """Faces, newest first, by label and picture; the label with the oldest face first."""
    labels: dict[str, dict[str, list[CloudFace]]] = {}
    for face in reversed(faces):
        labels.setdefault(_label_of(face), {}).setdefault(face.image_id, []).append(face)
    return [_Label(name, list(pictures.values())) for name, pictures in labels.items()]


def _label_of(face: CloudFace) -> str:
    return face.external_image_id or face.image_id


def _sights(
    move: _Move, label: _Label, views: Sequence[_View], chosen: dict[int, tuple[int, Pairs]]
) -> Iterator[_Sight]:
    for number, picture in enumerate(label.pictures):
        place, pairs = chosen.get(number, (None, Pairs()))
        for nth, face in enumerate(picture):
            if move.is_done(face):
                yield _Sight(move.known(face))
            elif place is None or nth not in pairs:
                yield _Sight(_unseen(face, views if place is None else [views[place]]))
            else:
                yield _Sight(Moved(face, Fate.MOVED, views[place].photo.name), pairs[nth])


def _unseen(face: CloudFace, views: Sequence[_View]) -> Moved:
    """Why a face was found in none of the photos it may be in."""
    if not views:
        return Moved(face, Fate.NO_PHOTO)
    names = ", ".join(view.photo.name for view in views[:3])
    if any(view.faces for view in views):
        return Moved(face, Fate.ELSEWHERE, names, "no face where the other server has it")
    problems = [view.problem for view in views if view.problem]
    if problems:
        return Moved(face, Fate.FAILED, names, problems[0])
    return Moved(face, Fate.NO_FACE, names)


def _new_face(known: CloudFace, face: Face) -> NewFace:
    return NewFace(
        face_id=known.face_id,
        image_id=known.image_id,
        external_image_id=known.external_image_id,
        box=face.box,
        confidence=face.confidence,
        embedding=embedding_of(face),
    )
