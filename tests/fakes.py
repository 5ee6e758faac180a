"""Rooms that fit every port of the domain, in memory and small enough to be obviously right."""

import asyncio
import hmac
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

import numpy as np
from starlette.testclient import TestClient

from app.api.application import create_app
from app.api.guesses import Guesses
from app.api.services import Presentation, Services
from app.domain.calibration import Calibration, cosine
from app.domain.errors import (
    FaceError,
    FaceNotFound,
    FaceQuotaExceeded,
    GroupExists,
    GroupNotFound,
    GroupQuotaExceeded,
    ImageTooLarge,
    ImageTooSmall,
    InternalError,
    InvalidImageBytes,
    InvalidImageFormat,
    InvalidImageSize,
    InvalidImageUrl,
    InvalidPageToken,
    InvalidParameter,
    ModelUnavailable,
    RecordCorrupt,
    SpoofingUnavailable,
    StoreUnavailable,
    UnknownAppKey,
    WrongSecretKey,
)
from app.domain.ports import Early, FaceIndex, Observer, Picture
from app.domain.quality import Quality
from app.domain.values import (
    AuditEntry,
    Base64Image,
    Box,
    Cursor,
    Eligibility,
    Embedding,
    Face,
    FaceFilter,
    FaceRecord,
    FaceRow,
    Glance,
    Group,
    GroupChanges,
    Identity,
    Image,
    ImageLimits,
    ImageReference,
    ImageUrl,
    IssuedKey,
    KeyStatus,
    ModelVersion,
    Neighbour,
    NewFace,
    Orientation,
    PageScope,
    Point,
    Room,
    SpoofingCondition,
    Tenant,
    UploadedImage,
    Wanted,
    new_matrix,
)
from app.services.compare import CompareFaces
from app.services.detect import DetectFaces
from app.services.faces import Faces
from app.services.groups import Groups
from app.services.line import Line, LineLimits
from app.services.register import RegisterFaces
from app.services.scoring import Scoring
from app.services.search import SearchFaces
from app.services.spoofing import JudgeAligned
from app.services.verify import VerifyFace
from app.telemetry.observers import Nobody

MODEL = ModelVersion("fake-1")
NEWER_MODEL = ModelVersion("fake-2")
# From which `Drawn.live` on each condition takes a face for live.
LIVE_FROM = {
    SpoofingCondition.WEAK: 0.25,
    SpoofingCondition.BALANCED: 0.5,
    SpoofingCondition.STRICT: 0.75,
}
EPOCH = datetime(2020, 9, 29, 5, 34, 12, tzinfo=UTC)
# Cosine 1 is 100, 0.5 is 75, 0 is 50: figures a reader can check in the head.
STRAIGHT = Calibration([-1.0, 1.0], [0.0, 100.0])


def person(*components: float) -> Embedding:
    """A vector of unit length; who somebody is."""
    raw = np.asarray(components, dtype=np.float64)
    unit: Embedding = (raw / np.linalg.norm(raw)).astype(np.float32)
    return unit


ADA = person(1, 0, 0, 0)
BOB = person(0, 1, 0, 0)
CLEO = person(0, 0, 1, 0)
HALF_ADA = person(1, 1, 1, 1)  # cosine 0.5 to Ada, exact in float32


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Where somebody stands in a picture, in pixels, and how the head is held, in degrees."""

    who: Embedding
    side: int
    left: int = 0
    top: int = 0
    yaw: float = 0.0
    pitch: float = 0.0
    mask: bool = False
    confidence: float = 99.5
    live: float = 1.0
    quality: Quality | None = None


class Album:
    """Every picture that exists; a picture carries its number in its pixels."""

    def __init__(self) -> None:
        self._shown: dict[int, Sequence[Drawn]] = {}

    def picture(self, *faces: Drawn, width: int = 640, height: int = 480) -> Image:
        """A new picture with these faces in it."""
        number = len(self._shown) + 1
        self._shown[number] = faces
        pixels = np.zeros((height, width, 3), dtype=np.uint8)
        pixels[0, 0] = (*divmod(number, 256), 0)
        return pixels

    def faces_in(self, image: Image) -> Sequence[Drawn]:
        """What was drawn into `image`."""
        high, low, _ = image[0, 0].tolist()
        return self._shown[high * 256 + low]


class FakeImages:
    """Satisfies `ImageSource`: texts and addresses stand for pictures, or for what is wrong.

    An uploaded file stands for the picture of the same base64 text. `limits` remembers what each
    picture was opened under.
    """

    def __init__(self) -> None:
        self.known: dict[str, Image | Exception] = {}
        self.limits: list[ImageLimits] = []

    async def fetch(self, reference: ImageReference, limits: ImageLimits) -> ImageReference:
        return reference

    def picture(self, file: ImageReference, limits: ImageLimits) -> "FakePicture":
        return FakePicture(file, lambda: self.open(file, limits))

    def open(self, reference: ImageReference, limits: ImageLimits) -> Image:
        self.limits.append(limits)
        if isinstance(reference, UploadedImage) and len(reference.data) > limits.max_bytes:
            raise ImageTooLarge
        found = self.known.get(_spelled(reference), _unknown(reference))
        if isinstance(found, Exception):
            raise found
        if min(found.shape[:2]) < limits.min_side:
            raise ImageTooSmall
        if limits.only_side is not None and set(found.shape[:2]) != {limits.only_side}:
            raise InvalidImageSize
        return found


@dataclass(frozen=True, slots=True)
class FakePicture:
    """Satisfies `Picture` with whatever `open` gives, or raises."""

    file: ImageReference
    open: Callable[[], Image]

    @property
    def unopened(self) -> None:
        return None

    def whole(self) -> Image:
        return self.open()

    def glance(self) -> Glance:
        return Glance.of(self.open())


def _spelled(reference: ImageReference) -> str:
    match reference:
        case Base64Image(text):
            return text
        case ImageUrl(url):
            return url
        case UploadedImage(data):
            return b64encode(data).decode()


def _unknown(reference: ImageReference) -> FaceError:
    match reference:
        case Base64Image():
            return InvalidImageBytes()
        case ImageUrl():
            return InvalidImageUrl()
        case UploadedImage():
            return InvalidImageFormat()


class FakeVision:
    """Satisfies `Vision`: sees what was drawn. `broken` is what happens instead, if anything.

    The newer model turns every vector round, so vectors of two models never fit each other.
    """

    def __init__(self, album: Album) -> None:
        self._album = album
        self.newest = MODEL
        self.tables = {MODEL: STRAIGHT}
        self.broken: Exception | None = None
        self.detects_spoofing = True

    @property
    def default_model(self) -> ModelVersion:
        return self.newest

    async def analyze(
        self,
        picture: Picture,
        wanted: Wanted,
        model: ModelVersion | None = None,
        *,
        early: Early | None = None,
    ) -> list[Face]:
        image = picture.whole()
        if self.broken is not None:
            raise self.broken
        self.calibration(model := model or self.newest)
        if wanted.spoofing and not self.detects_spoofing:
            raise SpoofingUnavailable
        drawn = sorted(self._album.faces_in(image), key=lambda d: (-d.side * d.side, d.top, d.left))
        found = [(d, _seen(d, image)) for d in drawn[: wanted.max_faces]]
        chosen = _embedded([face for _, face in found], wanted)
        faces = [_shown(d, face, wanted, model if face in chosen else None) for d, face in found]
        if early and faces and faces[0].embedding is not None:
            early(faces[0].embedding)
            await asyncio.sleep(0)  # the rest takes a while
        return faces

    async def is_spoof(self, crop: Picture, condition: SpoofingCondition) -> bool:
        image = crop.whole()
        if self.broken is not None:
            raise self.broken
        if not self.detects_spoofing:
            raise SpoofingUnavailable
        [drawn] = self._album.faces_in(image)
        return drawn.live < LIVE_FROM[condition]

    def calibration(self, model: ModelVersion) -> Calibration:
        try:
            return self.tables[model]
        except KeyError:
            raise ModelUnavailable from None


def _seen(drawn: Drawn, image: Image) -> Face:
    height, width = image.shape[:2]
    right, bottom = drawn.left + drawn.side, drawn.top + drawn.side
    box = Box(drawn.left / width, drawn.top / height, right / width, bottom / height)
    eyes, mouth = box.y0 + (box.y1 - box.y0) / 4, box.y1
    return Face(
        box=box,
        landmarks=(
            Point(box.x0, eyes),
            Point(box.x1, eyes),
            Point((box.x0 + box.x1) / 2, (eyes + mouth) / 2),
            Point(box.x0, mouth),
            Point(box.x1, mouth),
        ),
        confidence=drawn.confidence,
        side=drawn.side,
        orientation=Orientation(drawn.yaw, drawn.pitch, 1.25),
        quality=drawn.quality,
    )


def _embedded(faces: list[Face], wanted: Wanted) -> list[Face]:
    able = [f for f in faces if wanted.eligible is None or wanted.eligible.admits(f)]
    return able[: wanted.embeddings]


def _shown(drawn: Drawn, face: Face, wanted: Wanted, model: ModelVersion | None) -> Face:
    return replace(
        face,
        orientation=face.orientation if wanted.orientation else None,
        mask=drawn.mask if wanted.mask else None,
        spoofing=drawn.live < LIVE_FROM[wanted.spoofing] if wanted.spoofing else None,
        objections=tuple(wanted.eligible.objections(face)) if wanted.eligible else (),
        embedding=None if model is None else _vector(drawn.who, model),
    )


def _vector(who: Embedding, model: ModelVersion) -> Embedding:
    return who if model == MODEL else np.ascontiguousarray(who[::-1])


@dataclass(slots=True)
class _Stored:
    """A face with its vector and the version it came with."""

    record: FaceRecord
    vector: Embedding
    version: int


@dataclass(slots=True)
class FakeDatabase:
    """What the fake stores share. `down` refuses everything, `corrupt` names unreadable faces."""

    groups: dict[int, Group] = field(default_factory=dict)
    faces: dict[int, dict[str, _Stored]] = field(default_factory=dict)
    removed: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    rows: int = 0
    down: bool = False
    corrupt: set[str] = field(default_factory=set)

    def row(self) -> int:
        """A number never given before."""
        self.rows += 1
        return self.rows

    def check(self) -> None:
        if self.down:
            raise StoreUnavailable

    def group(self, row: int) -> Group:
        """The group as it is now. Raises `GroupNotFound`."""
        self.check()
        if row not in self.groups:
            raise GroupNotFound
        return self.groups[row]

    def bump(self, row: int) -> int:
        """Note that the faces of a group changed; the new version."""
        group = self.groups[row]
        count = len(self.faces[row])
        self.groups[row] = replace(group, version=group.version + 1, face_count=count)
        return group.version + 1


class FakeGroups:
    """Satisfies `GroupStore`."""

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    async def create(
        self, tenant: Tenant, group_id: str, model: ModelVersion, *, quota: int
    ) -> None:
        mine = self._of(tenant)
        if any(group.id == group_id for group in mine):
            raise GroupExists
        if len(mine) >= quota:
            raise GroupQuotaExceeded
        row = self._database.row()
        self._database.groups[row] = Group(row, tenant.id, group_id, model, 0, 0, EPOCH)
        self._database.faces[row], self._database.removed[row] = {}, []

    async def get(self, tenant: Tenant, group_id: str) -> Group:
        for group in self._of(tenant):
            if group.id == group_id:
                return group
        raise GroupNotFound

    async def delete(self, tenant: Tenant, group_id: str) -> Group:
        group = await self.get(tenant, group_id)
        del self._database.groups[group.row], self._database.faces[group.row]
        return group

    async def page(self, tenant: Tenant, after: str | None, limit: int) -> list[Group]:
        behind = (g for g in self._of(tenant) if after is None or g.id > after)
        return sorted(behind, key=lambda group: group.id)[:limit]

    def _of(self, tenant: Tenant) -> list[Group]:
        self._database.check()
        return [g for g in self._database.groups.values() if g.tenant == tenant.id]


class FakeFaces:
    """Satisfies `FaceStore`."""

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    async def add(self, group: Group, faces: Sequence[NewFace], *, quota: int) -> list[FaceRecord]:
        room = quota - self._database.group(group.row).face_count
        fitting = faces[: max(0, room)]
        if faces and not fitting:
            raise FaceQuotaExceeded
        stored = self._database.faces[group.row]
        records = [self._record(face) for face in fitting]
        for face, record in zip(fitting, records, strict=True):
            stored[face.face_id] = _Stored(record, face.embedding, 0)
        version = self._database.bump(group.row)
        for record in records:
            stored[record.face_id].version = version
        return records

    async def add_missing(
        self, group: Group, faces: Sequence[NewFace], by: Identity, *, quota: int
    ) -> list[FaceRecord]:
        known = {getattr(stored.record, by.value) for stored in self._all(group)}
        missing = [face for face in faces if getattr(face, by.value) not in known]
        room = max(0, quota - self._database.group(group.row).face_count)
        return await self.add(group, missing[:room], quota=quota)

    async def delete(self, group: Group, face_id: str) -> FaceRow:
        gone = self._stored(group, face_id)
        del self._database.faces[group.row][face_id]
        version = self._database.bump(group.row)
        self._database.removed[group.row].append((version, gone.record.row))
        return gone.record.row

    async def page(
        self, group: Group, before: FaceRow | None, limit: int, only: FaceFilter
    ) -> list[FaceRecord]:
        records = (s.record for s in self._all(group) if before is None or s.record.row < before)
        shown = (record for record in records if _lets_through(only, record))
        return sorted(shown, key=lambda record: -record.row)[:limit]

    async def find(self, group: Group, face_id: str) -> tuple[FaceRecord, Embedding]:
        stored = self._stored(group, face_id)
        if face_id in self._database.corrupt:
            raise RecordCorrupt
        return stored.record, stored.vector

    async def find_in(
        self, tenant: Tenant, group_id: str, face_id: str
    ) -> tuple[Group, FaceRecord, Embedding]:
        group = await FakeGroups(self._database).get(tenant, group_id)
        return group, *await self.find(group, face_id)

    async def records(self, group: Group, rows: Sequence[FaceRow]) -> Mapping[FaceRow, FaceRecord]:
        return {s.record.row: s.record for s in self._all(group) if s.record.row in set(rows)}

    def _all(self, group: Group) -> list[_Stored]:
        self._database.check()
        return list(self._database.faces.get(group.row, {}).values())

    def _stored(self, group: Group, face_id: str) -> _Stored:
        self._database.group(group.row)
        try:
            return self._database.faces[group.row][face_id]
        except KeyError:
            raise FaceNotFound from None

    def _record(self, face: NewFace) -> FaceRecord:
        return FaceRecord(
            row=FaceRow(self._database.row()),
            face_id=face.face_id,
            image_id=face.image_id,
            external_image_id=face.external_image_id,
            box=face.box,
            confidence=face.confidence,
        )


@dataclass(slots=True)
class FakeErased:
    """Satisfies `ErasedFaces`: a test says who was deleted."""

    faces: set[str] = field(default_factory=set)

    async def of_group(self, group: Group) -> frozenset[str]:
        return frozenset(self.faces)


def _lets_through(only: FaceFilter, record: FaceRecord) -> bool:
    asked = {name: value for name, value in asdict(only).items() if value is not None}
    return all(getattr(record, name) == value for name, value in asked.items())


class FakeChanges:
    """Satisfies `ChangeLog`."""

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def changes(self, group: Group, after_version: int, room: Room = new_matrix) -> GroupChanges:
        now = self._database.group(group.row)
        stored = self._database.faces[group.row].values()
        added = sorted((s for s in stored if self._counts(s, after_version)), key=_row)
        gone = [row for v, row in self._database.removed[group.row] if v > after_version]
        vectors = room(len(added), len(ADA))
        for place, face in enumerate(added):
            vectors[place] = face.vector
        return GroupChanges(
            now.version,
            np.asarray([s.record.row for s in added], dtype=np.int64),
            vectors,
            np.asarray(gone, dtype=np.int64),
        )

    def _counts(self, stored: _Stored, after_version: int) -> bool:
        return (
            stored.version > after_version and stored.record.face_id not in self._database.corrupt
        )


def _row(stored: _Stored) -> int:
    return stored.record.row


class FakeIndex:
    """Satisfies `FaceIndex`: compares with every face there is, in plain NumPy."""

    def __init__(self, changes: FakeChanges) -> None:
        self._changes = changes

    async def nearest(
        self, group: Group, query: Embedding, limit: int, *, leave_out: FaceRow | None = None
    ) -> list[Neighbour]:
        everything = self._changes.changes(group, 0)
        found = [
            Neighbour(FaceRow(row), cosine(vector, query))
            for row, vector in zip(everything.added.tolist(), everything.vectors, strict=True)
            if row != leave_out
        ]
        found.sort(key=lambda neighbour: (-neighbour.cosine, neighbour.row))
        return [n for n in found if n.cosine >= found[min(limit, len(found)) - 1].cosine]

    async def discard(self, group_row: int, face: FaceRow) -> None:
        """Nothing is kept."""

    def forget(self, group_row: int) -> None:
        """Nothing is kept."""


class FakeTables:
    """Tables that were applied, by model and group."""

    def __init__(self) -> None:
        self.known: dict[tuple[ModelVersion, int | None], Calibration] = {}

    def of(self, model: ModelVersion, group_row: int | None) -> Calibration | None:
        return self.known.get((model, group_row), self.known.get((model, None)))


class FakeKeys:
    """Satisfies `KeyRegistry`. `broken` is what happens instead of an answer, if anything."""

    def __init__(self) -> None:
        self._issued: dict[str, IssuedKey] = {}
        self._revoked: dict[str, datetime] = {}
        self._seen: set[tuple[str, str | None]] = set()
        self.broken: Exception | None = None

    async def create(self, name: str, revision: str) -> IssuedKey:
        if not name or any(key.tenant.name == name for key in self._issued.values()):
            raise InvalidParameter
        number = len(self._issued) + 1
        tenant = Tenant(number, name, revision)
        key = IssuedKey(tenant, f"AppKey{number:016d}", f"SecretKey{number:031d}")
        self._issued[key.app_key] = key
        return key

    async def authenticate(self, app_key: str) -> Tenant:
        if self.broken is not None:
            raise self.broken
        key = self._issued.get(app_key)
        if key is None or key.tenant.name in self._revoked:
            raise UnknownAppKey
        self._seen.add((app_key, None))
        return key.tenant

    async def authorize(self, app_key: str, secret_key: str) -> Tenant:
        tenant = await self.authenticate(app_key)
        known = self._issued[app_key].secret_key
        if not hmac.compare_digest(known.encode(), secret_key.encode()):
            raise WrongSecretKey
        self._seen.add((app_key, secret_key))
        return tenant

    def secret_of(self, app_key: str) -> str:
        """What its holder was told."""
        return self._issued[app_key].secret_key

    def remembered(self, app_key: str, secret_key: str | None = None) -> Tenant | None:
        return self._issued[app_key].tenant if (app_key, secret_key) in self._seen else None

    async def list(self) -> Sequence[KeyStatus]:
        tenants = [key.tenant for key in self._issued.values()]
        return [KeyStatus(tenant, EPOCH, self._revoked.get(tenant.name)) for tenant in tenants]

    async def delete(self, name: str) -> int:
        mine = [key for key in self._issued.values() if key.tenant.name == name]
        if not mine:
            raise UnknownAppKey
        del self._issued[mine[0].app_key]
        return 0

    async def revoke(self, name: str) -> None:
        if not any(key.tenant.name == name for key in self._issued.values()):
            raise UnknownAppKey
        self._revoked[name] = EPOCH


class FakeTokens:
    """Satisfies `PageTokens`: remembers what it issued."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[PageScope, Cursor]] = {}

    def issue(self, scope: PageScope, cursor: Cursor) -> str:
        token = sha256(repr((scope, cursor)).encode()).hexdigest()
        self._issued[token] = scope, cursor
        return token

    def read(self, scope: PageScope, token: str) -> Cursor:
        issued_for, cursor = self._issued.get(token, (None, Cursor(1)))
        if issued_for != scope:
            raise InvalidPageToken
        return cursor

    def expire(self) -> None:
        """As if all tokens were too old."""
        self._issued.clear()


@dataclass(slots=True)
class FakeProbe:
    """Satisfies `HealthProbe`."""

    name: str
    failure: InternalError | None = None

    async def check(self) -> None:
        if self.failure is not None:
            raise self.failure


class FakeTrail:
    """Satisfies `AuditTrail`."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def write(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


@dataclass(slots=True)
class House:
    """Every fake, so that a test can furnish the rooms before the server opens its doors."""

    album: Album = field(default_factory=Album)
    images: FakeImages = field(default_factory=FakeImages)
    database: FakeDatabase = field(default_factory=FakeDatabase)
    keys: FakeKeys = field(default_factory=FakeKeys)
    tokens: FakeTokens = field(default_factory=FakeTokens)
    audit: FakeTrail = field(default_factory=FakeTrail)
    observer: Observer = field(default_factory=Nobody)
    probes: list[FakeProbe] = field(default_factory=lambda: [FakeProbe("database")])
    optional: list[FakeProbe] = field(default_factory=list)
    group_quota: int = 1_000
    face_quota: int = 100_000
    confidence_scale: int = 100
    eligibility: Eligibility = field(default_factory=Eligibility)
    applied: FakeTables = field(default_factory=FakeTables)
    guesses: Guesses = field(default_factory=lambda: Guesses(1_000_000))
    line: Line = field(default_factory=lambda: Line(LineLimits(lanes=4)))
    vision: FakeVision = field(init=False)
    index: FaceIndex = field(init=False)

    def __post_init__(self) -> None:
        self.vision = FakeVision(self.album)
        self.index = FakeIndex(FakeChanges(self.database))

    def show(self, name: str, *faces: Drawn, width: int = 640, height: int = 480) -> str:
        """Put a picture where requests find it, as base64 text or as address; its name."""
        self.images.known[name] = self.album.picture(*faces, width=width, height=height)
        return name

    def spoil(self, name: str, error: Exception) -> str:
        """A picture that cannot be opened; its name."""
        self.images.known[name] = error
        return name

    def open_another_model(self) -> None:
        """As if the server had been started with a newer model."""
        self.vision.tables[NEWER_MODEL] = STRAIGHT
        self.vision.newest = NEWER_MODEL


def fake_services(house: House) -> Services:
    """The real use cases in a house of fakes."""
    groups, faces = FakeGroups(house.database), FakeFaces(house.database)
    detect = DetectFaces(house.images, house.vision, house.line)
    scoring = Scoring(house.vision, house.applied)
    return Services(
        keys=house.keys,
        line=house.line,
        groups=Groups(groups, house.index, house.vision, house.tokens, quota=house.group_quota),
        faces=Faces(groups, faces, house.index, house.tokens),
        detect=detect,
        register=RegisterFaces(
            groups, faces, detect, quota=house.face_quota, eligibility=house.eligibility
        ),
        search=SearchFaces(groups, faces, detect, scoring, house.index),
        compare=CompareFaces(detect, house.vision, scoring),
        verify=VerifyFace(groups, faces, detect, scoring),
        judge_aligned=JudgeAligned(house.images, house.vision, house.line),
        probes=house.probes,
        presentation=Presentation(ZoneInfo("Asia/Seoul"), house.confidence_scale),
        guesses=house.guesses,
        optional=house.optional,
        audit=house.audit,
        observer=house.observer,
    )


@contextmanager
def serving(house: House) -> Iterator[TestClient]:
    """A client of the whole application, over HTTP but without a network."""

    @asynccontextmanager
    async def open_services() -> AsyncIterator[Services]:
        yield fake_services(house)

    with TestClient(create_app(open_services), follow_redirects=False) as client:
        yield client
