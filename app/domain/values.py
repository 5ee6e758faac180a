"""The values every room shares, each with its shape, unit and range."""

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NewType

import numpy as np
from numpy.typing import NDArray

from app.domain.quality import Quality, QualityLevel
from app.domain.rates import Interval

Image = NDArray[np.uint8]
"""An upright picture, shape (height, width, 3), RGB, C-contiguous."""

Embedding = NDArray[np.float32]
"""A face as a vector of unit length, shape (dimension,)."""

ModelVersion = NewType("ModelVersion", str)
"""Names the network and the feeding that made a vector; only vectors of one version compare."""

FaceRow = NewType("FaceRow", int)
"""A stored face's row: grows with every face added, so it also orders faces by age."""

EXTERNAL_IMAGE_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,255}")
"""What a customer may call a picture."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle as fractions 0..1 of the upright image; origin top left, (x0, y0) upper left.

    Each value is a whole pixel divided by the image's width or height.
    """

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Point:
    """A place as fractions 0..1 of the upright image, whole pixels like `Box`."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a head is turned, in degrees.

    `yaw` is positive towards the right edge of the picture, `pitch` upwards, both -90..90, and
    `roll`, -180..180, when the line from the left eye to the right eye falls to the right
    (clockwise on screen). A head upside down has a roll beyond 90: its left eye lies at the right.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face found in a picture; parts nobody asked for are None.

    `landmarks` are left eye, right eye, nose, left and right mouth corner, left and right as
    they lie in the picture. `confidence` is 0..100. `side` is the box's shorter side in pixels.
    `mask` is True when a mask is worn, `spoofing` when the face is shown and not live. `quality`
    is there where faces are graded, and `objections` say why this one may not be registered.
    """

    box: Box
    landmarks: tuple[Point, Point, Point, Point, Point]
    confidence: float
    side: int
    orientation: Orientation | None = None
    mask: bool | None = None
    embedding: Embedding | None = None
    spoofing: bool | None = None
    quality: Quality | None = None
    objections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Which faces may be registered: large enough (px) and turned little enough (degrees).

    With a `quality` they must also be as good in every part of their quality as it asks for.
    """

    min_side: int = 60
    max_angle: float = 45.0
    quality: QualityLevel = QualityLevel.OFF

    @property
    def grades(self) -> bool:
        """Whether qualities must be known."""
        return self.quality is not QualityLevel.OFF

    def admits(self, face: Face) -> bool:
        """Whether there is no objection to `face`."""
        return not self.objections(face)

    def objections(self, face: Face) -> list[str]:
        """Why `face` may not be registered; what is not known of it is no objection."""
        found = []
        if face.side < self.min_side:
            found.append(f"{face.side} px, and {self.min_side} are needed")
        turn = face.orientation
        if turn is not None and max(abs(turn.yaw), abs(turn.pitch)) > self.max_angle:
            angle = max(abs(turn.yaw), abs(turn.pitch))
            found.append(f"turned by {angle:.0f} degrees, and {self.max_angle:g} are allowed")
        return found + (face.quality.lacking(self.quality) if face.quality is not None else [])


class SpoofingCondition(Enum):
    """How readily a face is taken for a photo or a screen; each pack says what that means."""

    WEAK = "weak"
    BALANCED = "balanced"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks of the vision pipeline, so that nothing else is computed.

    `embeddings` counts the largest faces that get a vector (all of them: `EVERY_FACE`). With
    `eligible`, faces it does not admit get none and do not count.
    """

    orientation: bool = False
    mask: bool = False
    embeddings: int = 0
    eligible: Eligibility | None = None
    max_faces: int = 20
    spoofing: SpoofingCondition | None = None


EVERY_FACE = 1_000_000


@dataclass(frozen=True, slots=True)
class Base64Image:
    """A picture as the base64 text a request carried, not yet decoded."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImageUrl:
    """A picture to be fetched; the address may carry secrets, so it is never shown."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """A picture file as a form carried it."""

    data: bytes = field(repr=False)


ImageReference = Base64Image | ImageUrl | UploadedImage


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a revision of the contract accepts as a picture.

    `max_bytes` of the file, `min_side` in pixels, and `shrink_to`: the longest side in pixels a
    picture is scaled down to (None: pictures stay as they are). Where there is an `only_side`, a
    picture has as many pixels along both.
    """

    max_bytes: int = 3_000_000
    min_side: int = 80
    shrink_to: int | None = None
    only_side: int | None = None


@dataclass(frozen=True, slots=True)
class Unopened:
    """A picture as a request carried it, for whoever opens it elsewhere."""

    file: Base64Image | UploadedImage
    limits: ImageLimits


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A picture file that lies ready; `name` tells it from others in a report.

    `read` gives at most so many bytes; it blocks, and raises `ImageTooLarge` or
    `InvalidImageFile`. `label` is what to call the face. With a `problem` it cannot be used.
    """

    name: str
    read: Callable[[int], bytes] = field(repr=False)
    label: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CloudFace:
    """A face as another server lists it, with the ids its customers know."""

    face_id: str
    image_id: str
    external_image_id: str | None
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """An upright picture of `width` x `height` pixels, of which `pixels` may show fewer.

    Then each of those is the mean of 2 x 2, 4 x 4 or 8 x 8 of the picture's.
    """

    pixels: Image
    width: int
    height: int

    @classmethod
    def of(cls, image: Image) -> "Glance":
        """All of a picture's pixels."""
        return cls(image, image.shape[1], image.shape[0])

    @property
    def is_whole(self) -> bool:
        """Whether no pixel is missing."""
        return self.pixels.shape[:2] == (self.height, self.width)


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A picture whose pixels are here already; satisfies `app.domain.ports.Picture`."""

    pixels: Image

    @property
    def unopened(self) -> None:
        return None

    def glance(self) -> Glance:
        return Glance.of(self.pixels)

    def whole(self) -> Image:
        return self.pixels


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whoever owns an appKey. `revision` names the edition of the contract it was made for."""

    id: int
    name: str
    revision: str


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new appKey with its secretKey: the only moment both are known in clear."""

    tenant: Tenant
    app_key: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What may be shown of an appKey later on."""

    tenant: Tenant
    created: datetime
    revoked: datetime | None


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of faces of one tenant.

    `row` is unique for ever, also when a group of the same name is made again. `version` grows
    with every change of the group's faces. `created` is aware, UTC.
    """

    row: int
    tenant: int
    id: str
    model: ModelVersion
    version: int
    face_count: int
    created: datetime


@dataclass(frozen=True, slots=True, eq=False)
class NewFace:
    """A face about to be stored; `embedding` leaves the process only encrypted."""

    face_id: str
    image_id: str
    external_image_id: str | None
    box: Box
    confidence: float
    embedding: Embedding = field(repr=False)


class Identity(Enum):
    """What makes a face the one that is stored already: its own id, or that of its picture."""

    FACE = "face_id"
    PICTURE = "image_id"


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """What is known of a stored face without its vector."""

    row: FaceRow
    face_id: str
    image_id: str
    external_image_id: str | None
    box: Box
    confidence: float


@dataclass(frozen=True, slots=True)
class FaceFilter:
    """Which faces of a group a list shows: those equal in everything that is given."""

    face_id: str | None = None
    image_id: str | None = None
    external_image_id: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class GroupChanges:
    """What happened to a group's faces after some version, up to and including `version`.

    `added` has shape (n,), int64, rows ascending; `vectors` has shape (n, dimension), float32,
    unit length; `removed` has shape (m,), int64. A face that came and went in between is in
    neither. With `is_whole` the group is told from the beginning, and what is not in `added` is
    gone: the version asked for lies too far back.
    """

    version: int
    added: NDArray[np.int64]
    vectors: NDArray[np.float32]
    removed: NDArray[np.int64]
    is_whole: bool = False


Room = Callable[[int, int], NDArray[np.float32]]
"""Gives memory for so many vectors of so many values: an array of that shape, to be written."""


def new_matrix(count: int, dimension: int) -> NDArray[np.float32]:
    """A `Room` on the heap."""
    return np.empty((count, dimension), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A stored face near a query; `cosine` is -1..1."""

    row: FaceRow
    cosine: float


class Listing(Enum):
    """Which list a page token continues."""

    GROUPS = "groups"
    FACES = "faces"


@dataclass(frozen=True, slots=True)
class PageScope:
    """Where a page token is valid: one tenant, one list and, for faces, one group's row."""

    tenant: int
    listing: Listing
    group_row: int | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins, with the limit and filters frozen by the first page.

    `after` is the last item already shown: a group id, or a face row in decimal.
    """

    limit: int
    after: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RatesAt:
    """Both rates, 0..1, where a match begins at `similarity`; intervals at 95 % where known."""

    similarity: float
    false_match: float
    false_match_interval: Interval | None
    false_rejection: float
    false_rejection_interval: Interval | None
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """How often a model is wrong when a match begins at each similarity; columns of one length.

    `similarity` rises within 0..100. `false_matches` is the share of comparisons of different
    people that reach it, `false_rejections` of the same person that do not, both 0..1, measured on
    so many pairs; `provenance` says whose. The intervals, at 95 %, and what was `extrapolated` and
    not counted, are empty where a table does not tell.
    """

    similarity: tuple[float, ...]
    false_matches: tuple[float, ...]
    false_rejections: tuple[float, ...]
    same_pairs: int
    different_pairs: int
    provenance: str
    false_match_intervals: tuple[Interval, ...] = ()
    false_rejection_intervals: tuple[Interval, ...] = ()
    extrapolated: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        told = (self.false_match_intervals, self.false_rejection_intervals, self.extrapolated)
        columns = [self.false_matches, self.false_rejections, *(part for part in told if part)]
        if any(len(column) != len(self.similarity) for column in columns):
            raise ValueError("error rates need columns of one length")

    def at(self, similarity: float) -> RatesAt:
        """Both rates where a match begins at `similarity`, in between along straight lines.

        False matches fall by powers of ten, so theirs is a line of logarithms.
        """
        return RatesAt(
            similarity,
            self._between(similarity, self.false_matches, powers=True),
            self._interval(similarity, self.false_match_intervals, powers=True),
            self._between(similarity, self.false_rejections),
            self._interval(similarity, self.false_rejection_intervals),
            any(self.extrapolated[at] for at in self._around(similarity)[:2] if self.extrapolated),
        )

    def _around(self, similarity: float) -> tuple[int, int, float]:
        """The knots at or beside `similarity`, and how far it is from the first to the second."""
        after = min(bisect_left(self.similarity, similarity), len(self.similarity) - 1)
        if after == 0 or self.similarity[after] <= similarity:
            return after, after, 0.0
        low, high = self.similarity[after - 1], self.similarity[after]
        return after - 1, after, (similarity - low) / (high - low)

    def _between(
        self, similarity: float, column: Sequence[float], *, powers: bool = False
    ) -> float:
        before, after, share = self._around(similarity)
        low, high = column[before], column[after]
        if powers and low > 0.0 and high > 0.0:
            return float(low ** (1.0 - share) * high**share)
        return low + share * (high - low)

    def _interval(
        self, similarity: float, column: Sequence[Interval], *, powers: bool = False
    ) -> Interval | None:
        if not column:
            return None
        low, high = zip(*column, strict=True)
        return (
            self._between(similarity, low, powers=powers),
            self._between(similarity, high, powers=powers),
        )


@dataclass(frozen=True, slots=True)
class AppliedTable:
    """A table of similarity that an operator applied to a group, or without one to the server.

    `content` is its text; `in_force` while no newer one is and it was not reverted.
    """

    number: int
    tenant: str | None
    group: str | None
    model: ModelVersion
    content: str
    applied: datetime
    reverted: datetime | None
    in_force: bool


@dataclass(frozen=True, slots=True)
class PackStatus:
    """A model pack as an operator sees it; `installed` when all of its weights are here."""

    name: str
    title: str
    licence: str
    commercial_use: bool
    model: ModelVersion
    is_default: bool
    installed: bool
    detects_spoofing: bool
    rates: ErrorRates | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended, without a word of who asked or for what.

    `route` is the template of its path, None where no route fits, and `method` None where it is
    not one of HTTP's. `status` is 0 when nothing was answered. `refusal` names the kind of error
    that was answered, if one was. `seconds` is the time until the answer was out.
    """

    method: str | None
    route: str | None
    status: int
    code: int
    refusal: str | None
    seconds: float
    request: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done or refused; names and ids only, never a picture, vector or secret.

    `tenant` is a key's name, None for who could not show a key. `face` is the one asked about,
    `faces` those added or found, at most 20 of the `count` there were. `code` is the answer's
    result code, None when no answer was sent.
    """

    operation: str
    tenant: str | None = None
    group: str | None = None
    face: str | None = None
    faces: tuple[str, ...] = ()
    count: int | None = None
    code: int | None = None
    request: str | None = None
    source: str | None = None
    detail: str | None = None
