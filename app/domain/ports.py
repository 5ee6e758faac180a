"""What the use cases ask of the rooms around them; main plugs the rooms in."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from app.domain.calibration import Calibration
from app.domain.digests import DigestedPage
from app.domain.stages import Stage
from app.domain.values import (
    AuditEntry,
    Cursor,
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
    IssuedKey,
    KeyStatus,
    ModelVersion,
    Neighbour,
    NewFace,
    Outcome,
    PageScope,
    Room,
    SpoofingCondition,
    Tenant,
    Unopened,
    Wanted,
    new_matrix,
)


class Picture(Protocol):
    """A file that becomes pixels when somebody looks. Blocking: look where one may wait."""

    @property
    def unopened(self) -> Unopened | None:
        """What another process needs to open it; None where no other can."""
        ...

    def whole(self) -> Image:
        """Check and decode it: its upright pixels. Raises `ImageError` or `ImageTooSmall`."""
        ...

    def glance(self) -> Glance:
        """The same from fewer pixels, where it has many more than faces are looked for in."""
        ...


class ImageSource(Protocol):
    """Turns what a request says of a picture into upright pixels."""

    async def fetch(self, reference: ImageReference, limits: ImageLimits) -> ImageReference:
        """The file an address leads to; any other reference as it is. Raises `ImageError`."""
        ...

    def picture(self, file: ImageReference, limits: ImageLimits) -> Picture:
        """The picture in a file that was fetched. Nothing is looked at yet."""
        ...


Early = Callable[[Embedding], None]
"""Told the vector of the largest face, on the event loop, as soon as it is known."""


class Vision(Protocol):
    """Finds faces. Faces come largest first, ties by position."""

    @property
    def default_model(self) -> ModelVersion:
        """The version new groups are made with, and compare uses."""
        ...

    async def analyze(
        self,
        picture: Picture,
        wanted: Wanted,
        model: ModelVersion | None = None,
        *,
        early: Early | None = None,
    ) -> list[Face]:
        """Faces of `picture` with the parts `wanted`; `model` defaults to `default_model`.

        `early` is told the first face's vector before the rest is known, where that is possible.
        Raises what looking at the picture raises, `ModelUnavailable` when `model` is not installed,
        `SpoofingUnavailable` when it has no such models and they are wanted, and `Overloaded` when
        too many pictures wait already.
        """
        ...

    async def is_spoof(self, crop: Picture, condition: SpoofingCondition) -> bool:
        """Whether `crop`, a face aligned by the caller, is shown and not live.

        The default model judges. Raises what looking at it raises, `SpoofingUnavailable`,
        `Overloaded`.
        """
        ...

    @property
    def detects_spoofing(self) -> bool:
        """Whether the default model has spoofing models."""
        ...

    def calibration(self, model: ModelVersion) -> Calibration:
        """The table of `model`. Raises `ModelUnavailable`."""
        ...


class TablesInForce(Protocol):
    """The tables of similarity that an operator applied."""

    def of(self, model: ModelVersion, group_row: int | None) -> Calibration | None:
        """That of the group, else that of the server; None where the pack's own counts."""
        ...


class FaceIndex(Protocol):
    """Answers "who is nearest?" exactly. Rebuilt from `FaceStore`; may be lost at any time."""

    async def nearest(
        self, group: Group, query: Embedding, limit: int, *, leave_out: FaceRow | None = None
    ) -> list[Neighbour]:
        """The `limit` nearest faces of `group`, nearest first, at least as new as `group.version`.

        Faces that tie with the last one come too, so there may be more than `limit`.
        """
        ...

    async def discard(self, group_row: int, face: FaceRow) -> None:
        """Overwrite and drop one vector in memory; no search begun afterwards meets it."""
        ...

    def forget(self, group_row: int) -> None:
        """Drop a group's vectors from memory at once."""
        ...


class GroupReader(Protocol):
    """Describes the groups of each tenant."""

    async def get(self, tenant: Tenant, group_id: str) -> Group:
        """Raises `GroupNotFound`."""
        ...


class GroupStore(GroupReader, Protocol):
    """The groups of each tenant. The database is the truth."""

    async def create(
        self, tenant: Tenant, group_id: str, model: ModelVersion, *, quota: int
    ) -> None:
        """Raises `GroupExists`, `GroupQuotaExceeded`."""
        ...

    async def delete(self, tenant: Tenant, group_id: str) -> Group:
        """Remove the group, its faces and its data key; return what it was."""
        ...

    async def page(self, tenant: Tenant, after: str | None, limit: int) -> list[Group]:
        """Up to `limit` groups by id ascending, beginning behind `after`."""
        ...


class FaceStore(Protocol):
    """The faces of each group, vectors sealed. Every change bumps the group's version."""

    async def add(self, group: Group, faces: Sequence[NewFace], *, quota: int) -> list[FaceRecord]:
        """Store the first faces that fit under `quota`, all in one transaction.

        Returns the records stored, in the order given; fewer than asked when the quota is met.
        Raises `GroupNotFound` when the group is gone, `FaceQuotaExceeded` when none fits.
        """
        ...

    async def add_missing(
        self, group: Group, faces: Sequence[NewFace], by: Identity, *, quota: int
    ) -> list[FaceRecord]:
        """Store those of `faces` that the group does not have yet, all in one transaction.

        `by` says what tells. Whoever asks again, or at the same time, adds no face twice. Returns
        the records stored, in the order given; what does not fit under `quota` is left out.
        Raises `GroupNotFound`.
        """
        ...

    async def delete(self, group: Group, face_id: str) -> FaceRow:
        """Erase for good; the row it had. Raises `FaceNotFound`, `GroupNotFound`."""
        ...

    async def page(
        self, group: Group, before: FaceRow | None, limit: int, only: FaceFilter
    ) -> list[FaceRecord]:
        """Up to `limit` faces that `only` lets through, newest first, beginning behind `before`."""
        ...

    async def find(self, group: Group, face_id: str) -> tuple[FaceRecord, Embedding]:
        """A face with its vector, opened. Raises `FaceNotFound`, `RecordCorrupt`."""
        ...

    async def find_in(
        self, tenant: Tenant, group_id: str, face_id: str
    ) -> tuple[Group, FaceRecord, Embedding]:
        """The same with the group, in one read. Raises `GroupNotFound` first."""
        ...

    async def records(self, group: Group, rows: Sequence[FaceRow]) -> Mapping[FaceRow, FaceRecord]:
        """The records that still exist among `rows`."""
        ...


class ErasedFaces(Protocol):
    """Remembers which faces were deleted here, for as long as their ids could come back."""

    async def of_group(self, group: Group) -> Collection[str]:
        """Ids of the faces deleted from `group`. Raises `StoreUnavailable`."""
        ...


class ChangeLog(Protocol):
    """What an index reads to catch up. Blocking: call it off the event loop."""

    def changes(self, group: Group, after_version: int, room: Room = new_matrix) -> GroupChanges:
        """Everything after `after_version` (0: from the beginning), in one consistent read.

        `room` is asked once for the memory the vectors are written to, so that none is copied.

        A record that does not authenticate is left out and counted; the others are served.
        Raises `GroupNotFound` when the group is gone.
        """
        ...


class FaceDigests(Protocol):
    """What an audit of the index compares with. Blocking: call it off the event loop."""

    def digest(self, group: Group, after: FaceRow, limit: int, key: bytes) -> DigestedPage:
        """Up to `limit` faces behind row `after`, rows ascending, in one consistent read.

        A record that does not authenticate is left out. Raises `GroupNotFound`.
        """
        ...


class KeyRegistry(Protocol):
    """The appKeys. Only keyed hashes are stored."""

    async def create(self, name: str, revision: str) -> IssuedKey:
        """Make a key. Raises `InvalidParameter` when `name` is taken or empty."""
        ...

    async def authenticate(self, app_key: str) -> Tenant:
        """Raises `UnknownAppKey`."""
        ...

    async def authorize(self, app_key: str, secret_key: str) -> Tenant:
        """Raises `UnknownAppKey`, `WrongSecretKey`."""
        ...

    def remembered(self, app_key: str, secret_key: str | None = None) -> Tenant | None:
        """Whose keys these were a moment ago; None where one has to ask.

        With a `secret_key` that of `authorize`, without that of `authenticate`.
        """
        ...

    async def list(self) -> Sequence[KeyStatus]:
        """Every key, oldest first."""
        ...

    async def revoke(self, name: str) -> None:
        """Raises `UnknownAppKey` when there is no such name."""
        ...

    async def delete(self, name: str) -> int:
        """Erase a key with its groups and faces; how many groups. Raises `UnknownAppKey`."""
        ...


class PageTokens(Protocol):
    """Opaque, authenticated tokens that continue a list."""

    def issue(self, scope: PageScope, cursor: Cursor) -> str: ...

    def read(self, scope: PageScope, token: str) -> Cursor:
        """Raises `InvalidPageToken` unless `token` was issued for `scope` and has not expired."""
        ...


class HealthProbe(Protocol):
    """One thing the server cannot do without."""

    @property
    def name(self) -> str: ...

    async def check(self) -> None:
        """Raises `InternalError` when it cannot be used."""
        ...


class Watch(Protocol):
    """Hears of one request; never fails it."""

    def stage(self, stage: Stage, began: float, ended: float) -> None:
        """A `Listener`: told in whichever thread the stage ran."""
        ...

    def end(self, outcome: Outcome) -> None:
        """Called once, when the request is over."""
        ...


class Observer(Protocol):
    """Hears of every request: what counts and traces them."""

    def begin(self, parent: str | None) -> Watch:
        """A request came in; `parent` is its header `traceparent`, whatever it holds."""
        ...


class Exposition(Protocol):
    """What is told to whoever scrapes."""

    content_type: str

    def probed(self, results: Mapping[str, str]) -> None:
        """What each health probe says just now, by name: "ok", or why not."""
        ...

    def text(self) -> bytes:
        """Every metric as it is now. Safe to call in any thread."""
        ...


class AuditTrail(Protocol):
    """Remembers who did what."""

    async def write(self, entry: AuditEntry) -> None:
        """Record `entry`, as durably as the trail was set up to. Never fails a request."""
        ...


class KeyWrapper(Protocol):
    """A key that never leaves the service that keeps it; wraps what is at most 4,096 bytes long."""

    @property
    def name(self) -> str:
        """Which key it is, as an address."""
        ...

    def wrap(self, content: bytes) -> bytes:
        """Close `content`. Raises `ConfigurationError`, `KeyServiceUnavailable`."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """Open what `wrap` closed. Raises `ConfigurationError`, `KeyServiceUnavailable`."""
        ...
