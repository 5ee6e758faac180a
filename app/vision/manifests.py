"""What a model pack's manifest (pack.toml) says: its weight files and how each is fed."""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path, PurePosixPath
from types import UnionType
from typing import Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from app.domain.errors import ConfigurationError
from app.domain.values import ModelVersion

MANIFEST = "pack.toml"
VERSION_DIGITS = 8

Color = Literal["rgb", "bgr"]
Section = TypeVar("Section")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One weight file, by name and by content; `sha256` is 64 lower-case hex digits."""

    file: str
    sha256: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.file)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise ValueError(f"file {self.file!r} must be a relative path without '..'")
        _check_digest(self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSection(Weights):
    """The network that finds faces; its input is (pixel - mean) / scale.

    `max_side` is the longest side in px it is shown; smaller pictures are only padded. A picture of
    up to `enlarged_side` px in which it finds no face is shown again twice as large; 0 for never.
    """

    family: Literal["yunet", "scrfd"]
    color: Color
    mean: float = 0.0
    scale: float = 1.0
    max_side: int = 640
    enlarged_side: int = 0
    score_threshold: float = 0.5
    nms_threshold: float = 0.4

    def __post_init__(self) -> None:
        Weights.__post_init__(self)
        _check(self.scale != 0.0, "scale must not be 0")
        _check(self.max_side >= 32, "max_side must be at least 32")
        _check(self.enlarged_side >= 0, "enlarged_side must not be negative")
        _check(0.0 < self.score_threshold < 1.0, "score_threshold must lie between 0 and 1")
        _check(0.0 < self.nms_threshold < 1.0, "nms_threshold must lie between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarksSection(Weights):
    """The network that places the five points inside a detected box more finely."""

    family: Literal["retail-0009"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderSection(Weights):
    """The network that turns an aligned face into `dimension` values.

    `size` is its input side in px; its input is (pixel - mean) / scale.
    """

    family: Literal["arcface", "reid-0095"]
    size: int
    dimension: int
    template: Literal["arcface", "reid-0095"]
    color: Color
    mean: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        Weights.__post_init__(self)
        _check(self.scale != 0.0, "scale must not be 0")
        _check(self.size > 0 and self.dimension > 0, "size and dimension must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseSection(Weights):
    """The network that says how a head is turned."""

    family: Literal["adas-0001"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributesSection(Weights):
    """The network that reads mask, pose and quality from the aligned 112x112 face."""

    family: Literal["aligned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoofingSection(Weights):
    """A network that tells a live face from a shown one.

    "minifasnet" is shown the face box, "aligned-live" ArcFace's crop, each made `box_scale` times
    as large about its centre and brought to `side` x `side` px; its input is (pixel - mean) /
    scale. `live` is the column of its answer that says live, which `activation` makes a
    probability; several networks of a pack are averaged. A crop aligned by the caller lacks the
    surroundings: it is made `crop_margin` times as large by repeating its edge.
    """

    family: Literal["minifasnet", "aligned-live"]
    box_scale: float
    side: int = 80
    color: Color = "bgr"
    mean: float = 0.0
    scale: float = 1.0
    live: int = 1
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    crop_margin: float = 1.0

    def __post_init__(self) -> None:
        Weights.__post_init__(self)
        _check(self.box_scale >= 1.0, "box_scale must be at least 1")
        _check(1.0 <= self.crop_margin <= 4.0, "crop_margin must lie within 1..4")
        _check(self.scale != 0.0, "scale must not be 0")
        _check(self.side >= 16, "side must be at least 16")
        _check(self.live >= 0, "live must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """From which probability on a face is taken for live, and how often that is wrong.

    `apcer` is the share of attacks taken for live, `bpcer` that of live faces taken for attacks
    (ISO/IEC 30107-3), both 0..1 and of people the threshold was not chosen on.
    """

    threshold: float
    apcer: float
    bpcer: float

    def __post_init__(self) -> None:
        for name in ("threshold", "apcer", "bpcer"):
            _check(0.0 <= getattr(self, name) <= 1.0, f"{name} must lie within 0..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsSection:
    """The three conditions of the contract; `measured_on` is one plain line."""

    measured_on: str
    weak: OperatingPoint
    balanced: OperatingPoint
    strict: OperatingPoint

    def __post_init__(self) -> None:
        thresholds = [point.threshold for point in (self.weak, self.balanced, self.strict)]
        _check(thresholds == sorted(thresholds), "weak, balanced and strict must not descend")

    def at(self, condition: str) -> OperatingPoint:
        """The point of "weak", "balanced" or "strict"."""
        point: OperatingPoint = getattr(self, condition)
        return point


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSection:
    """The table from cosine to similarity, a JSON file beside the manifest."""

    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Where the weights are published.

    `members` names the files wanted from an archive; without it the download is the file itself.
    """

    url: str
    sha256: str
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_digest(self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A manifest as read. `licence` is one plain line; `folder` is where pack.toml lies."""

    name: str
    title: str
    licence: str
    commercial_use: bool
    detector: DetectorSection
    embedder: EmbedderSection
    landmarks: LandmarksSection | None = None
    pose: PoseSection | None = None
    attributes: AttributesSection | None = None
    spoofing: tuple[SpoofingSection, ...] = ()
    spoofing_points: PointsSection | None = None
    aligned_spoofing_points: PointsSection | None = None  # of 224x224 crops, where they differ
    calibration: CalibrationSection | None = None
    download: tuple[Download, ...] = ()
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        points = self.spoofing_points or self.aligned_spoofing_points
        _check(bool(self.spoofing) or not points, "[spoofing_points] lack their [[spoofing]]")

    @property
    def model_version(self) -> ModelVersion:
        """The pack's name and a digest of all that shapes a vector."""
        embedder = self.embedder
        shaping = {name: getattr(embedder, name) for name in _SHAPING}
        text = json.dumps(shaping, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:VERSION_DIGITS]
        return ModelVersion(f"{self.name}-{digest}")

    def weights(self) -> Iterator[Weights]:
        """Every weight file the pack needs."""
        single = (self.detector, self.landmarks, self.embedder, self.pose, self.attributes)
        yield from (section for section in single if section is not None)
        yield from self.spoofing


_KINDS: dict[type[object], str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}

# Not the file's name, nor the dimension: the content decides both.
_SHAPING = ("family", "sha256", "size", "template", "color", "mean", "scale")


def load_manifest(path: Path) -> Pack:
    """Read a pack.toml.

    Raises:
        ConfigurationError: unreadable, not TOML, or a key is missing, unknown or out of range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return _build(Pack, {**table, "folder": path.parent}, "the manifest")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"model pack {path}: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """What `error` says, in a line for the operator."""
    return " ".join(str(error).split())


def _build(kind: type[Section], table: Mapping[str, object], where: str) -> Section:
    hints = get_type_hints(kind)
    if unknown := sorted(set(table) - set(hints)):
        raise ValueError(f"{where} has an unknown key {unknown[0]!r}")
    if missing := [name for name in _required(kind) if name not in table]:
        raise ValueError(f"{where} lacks {missing[0]!r}")
    values = {name: _read(hints[name], value, name) for name, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _required(kind: object) -> list[str]:
    items = fields(cast("type[Weights]", kind))
    return [item.name for item in items if item.default is MISSING]


def _read(hint: object, value: object, name: str) -> object:
    origin, choices = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return _read(choices[0], value, name)
    if origin is Literal:
        _check(value in choices, f"{name} must be one of {', '.join(map(str, choices))}")
        return value
    if origin is tuple:
        return _several(choices[0], value, name)
    return _single(cast("type[object]", hint), value, name)


def _several(hint: object, value: object, name: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list")  # noqa: TRY004 - one kind of manifest error
    return tuple(_read(hint, item, name) for item in value)


def _single(hint: type[object], value: object, name: str) -> object:
    if isinstance(value, dict):
        _check(is_dataclass(hint), f"{name} must not be a table")
        return _build(hint, value, f"[{name}]")
    if hint is float and type(value) is int:
        return float(value)
    # A bool is an int to Python, but not to whoever writes a manifest.
    fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    _check(fits, f"{name} must be {_KINDS.get(hint, 'a table')}")
    return value


def _check(holds: bool, complaint: str) -> None:  # noqa: FBT001 - an assertion with a message
    if not holds:
        raise ValueError(complaint)


def _check_digest(text: str) -> None:
    _check(len(text) == 64 and set(text) <= set("0123456789abcdef"), "sha256 is not 64 hex digits")
