"""What the server and the processes that analyse pictures write to each other.

All of it is JSON, but for the file of a picture, which lies behind its task in memory that both
share, and for vectors. Nothing that is read can run: a worker is near to the pictures of strangers.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import orjson

from app.domain import errors
from app.domain.errors import FaceError, InternalError
from app.domain.quality import Quality, QualityLevel
from app.domain.stages import Listener, Stage
from app.domain.values import (
    Base64Image,
    Box,
    Eligibility,
    Embedding,
    Face,
    ImageLimits,
    ModelVersion,
    Orientation,
    Point,
    SpoofingCondition,
    Unopened,
    UploadedImage,
    Wanted,
)

CALL = struct.Struct("<III")
"""To a worker: the slot of the shared memory with a task, the bytes of its JSON and its file."""
HEAD = struct.Struct("<IIII")
"""From a worker: the slot of a task, what is told of it (`Kind`), and the bytes that follow, of
JSON and of vectors."""
SLOT = 24 * 1024 * 1024
"""Bytes of a task at most: 16 MB of a file in base64, and what goes with it."""


# What a client calls base64 may be any text: what is wrong with it is said where it is decoded.
_ANY_TEXT = ("utf-8", "surrogatepass")


class Kind(IntEnum):
    """What a worker tells."""

    READY = 0
    REFUSED = 1  # why it cannot work, a text
    EARLY = 2  # the first face's vector alone
    DONE = 3  # `Ended` with the answer
    FAILED = 4  # `Ended` with the name and the detail of an error


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """Find the faces of a picture. `early` says whether the first vector is to be told at once."""

    wanted: Wanted
    model: ModelVersion | None
    early: bool


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Say whether an aligned crop is of no live face."""

    condition: SpoofingCondition


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What to do with which picture, and for whom.

    `behind` says whether it waits for what others leave of the machine, `timed` whether anybody
    listens to its stages.
    """

    picture: Unopened
    analysis: Analysis | None
    judgement: Judgement | None
    tenant: int
    request: str | None
    behind: bool
    timed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """How a task ended: with what, after which stages.

    `told` are stages by name with the readings of the clock when each began and ended. `replaced`
    is how many decoders the process has had to replace.
    """

    what: Any
    told: list[tuple[str, float, float]]
    replaced: int


def written(task: Task) -> tuple[bytes, bytes]:
    """A task as JSON, and the file of its picture."""
    file = task.picture.file
    is_text = isinstance(file, Base64Image)
    content = file.text.encode(*_ANY_TEXT) if isinstance(file, Base64Image) else file.data
    plain = {
        "text": is_text,
        "limits": task.picture.limits,
        "analysis": task.analysis,
        "judgement": task.judgement,
        "tenant": task.tenant,
        "request": task.request,
        "behind": task.behind,
        "timed": task.timed,
    }
    return orjson.dumps(plain), content


def read(plain: memoryview, content: memoryview) -> Task:
    """What `written` was given."""
    told = orjson.loads(plain)
    file = Base64Image(str(content, *_ANY_TEXT)) if told["text"] else UploadedImage(bytes(content))
    analysis, judgement = told["analysis"], told["judgement"]
    return Task(
        Unopened(file, ImageLimits(**told["limits"])),
        _analysis(**analysis) if analysis else None,
        Judgement(SpoofingCondition(judgement["condition"])) if judgement else None,
        told["tenant"],
        told["request"],
        told["behind"],
        told["timed"],
    )


def _analysis(wanted: Mapping[str, Any], model: str | None, *, early: bool) -> Analysis:
    eligible, spoofing = wanted["eligible"], wanted["spoofing"]
    asked = Wanted(
        **{
            **wanted,
            "eligible": _eligibility(**eligible) if eligible else None,
            "spoofing": SpoofingCondition(spoofing) if spoofing else None,
        }
    )
    return Analysis(asked, ModelVersion(model) if model else None, early)


def _eligibility(min_side: int, max_angle: float, quality: str) -> Eligibility:
    return Eligibility(min_side, max_angle, QualityLevel(quality))


def packed(plain: object) -> tuple[bytes, bytes]:
    """Values of the domain as JSON, and the vectors among them, whose place has their length."""
    vectors: list[bytes] = []

    def aside(value: object) -> object:
        if isinstance(value, np.ndarray):
            vectors.append(value.astype(np.float32, copy=False).tobytes())
            return len(value)
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError

    return orjson.dumps(plain, default=aside), b"".join(vectors)


def unpacked(data: bytes | memoryview) -> Any:  # noqa: ANN401 - it is what JSON may be
    """The same again, as far as JSON knows it. Raises `ValueError`."""
    return orjson.loads(data)


def faces_of(told: Sequence[Mapping[str, Any]], vectors: bytes) -> list[Face]:
    """Faces that were packed, with their vectors. Raises `ValueError`."""
    faces, at = [], 0
    for fields in told:
        length = fields["embedding"]
        vector = None if length is None else np.frombuffer(vectors, np.float32, length, at)
        at += vector.nbytes if vector is not None else 0
        faces.append(_face(**{**fields, "embedding": vector}))
    return faces


def _face(
    box: Mapping[str, float],
    landmarks: Sequence[Mapping[str, float]],
    orientation: Mapping[str, float] | None,
    embedding: Embedding | None,
    quality: Mapping[str, float] | None,
    objections: Sequence[str],
    **others: Any,  # noqa: ANN401 - numbers and flags, as they are
) -> Face:
    left_eye, right_eye, nose, left_mouth, right_mouth = (Point(**at) for at in landmarks)
    return Face(
        box=Box(**box),
        landmarks=(left_eye, right_eye, nose, left_mouth, right_mouth),
        orientation=Orientation(**orientation) if orientation else None,
        embedding=embedding,
        quality=Quality(**quality) if quality else None,
        objections=tuple(objections),
        **others,
    )


def tell(told: Sequence[tuple[str, float, float]], listener: Listener) -> None:
    """Tell `listener` what was timed elsewhere: all processes of a machine share the clock."""
    for name, began, ended in told:
        listener(Stage(name), began, ended)


def named(error: BaseException) -> tuple[str, str]:
    """An error's name and detail; of one that nobody foresaw only that it happened."""
    if isinstance(error, FaceError) and getattr(errors, type(error).__name__, None) is type(error):
        return type(error).__name__, error.detail
    return InternalError.__name__, InternalError.detail


def error_of(name: str, detail: str) -> FaceError:
    """What `named` was given."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, FaceError):
        return kind(detail)
    return InternalError(detail)
