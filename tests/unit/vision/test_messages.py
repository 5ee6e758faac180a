"""What the server and its workers write to each other is read as it was meant."""

from dataclasses import fields, replace

import numpy as np
import pytest

from app.domain import errors
from app.domain.errors import FaceError, InternalError, InvalidImageFile, LineFull, NoFaceFound
from app.domain.quality import Quality, QualityLevel
from app.domain.stages import Stage, StageTimes
from app.domain.values import (
    Base64Image,
    Box,
    Eligibility,
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
from app.vision.messages import (
    Analysis,
    Judgement,
    Task,
    error_of,
    faces_of,
    named,
    packed,
    read,
    tell,
    unpacked,
    written,
)

FILE = UploadedImage(bytes(range(256)))
PLAIN = Face(
    box=Box(0.1, 1 / 3, 0.7, 1.0),
    landmarks=(Point(0.1, 0.2), Point(0.3, 0.4), Point(0.5, 0.6), Point(0.7, 0.8), Point(0.9, 1.0)),
    confidence=98.765432,
    side=77,
)
FULL = Face(
    **{field.name: getattr(PLAIN, field.name) for field in fields(PLAIN)}
    | {
        "orientation": Orientation(-3.25, 1e-6, 179.999999),
        "mask": True,
        "embedding": np.random.default_rng(1).standard_normal(512).astype(np.float32),
        "spoofing": False,
        "quality": Quality(np.float64(0.5), 0.25, 1.0, 0.0, np.float64(1 / 3)),
        "objections": ("60 px, and 80 are needed",),
    }
)
OTHER = replace(PLAIN, embedding=np.float32(1) / np.arange(1, 257, dtype=np.float32))


def bits(face: Face) -> tuple[np.dtype, bytes] | None:
    """Of the face's vector."""
    return None if face.embedding is None else (face.embedding.dtype, face.embedding.tobytes())


def again(task):
    plain, file = written(task)
    return read(memoryview(plain), memoryview(file))


def task(file=FILE, analysis=None, judgement=None, limits=None):
    picture = Unopened(file, limits or ImageLimits())
    return Task(picture, analysis, judgement, 7, "0123", behind=True, timed=False)


@pytest.mark.parametrize(
    "file", [FILE, Base64Image("AAECAw=="), Base64Image("가\ud800"), UploadedImage(b"")]
)
def test_a_file_arrives_as_it_was(file):
    assert again(task(file)).picture.file == file


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(orientation=True, mask=True, embeddings=3, max_faces=5),
        Wanted(eligible=Eligibility(70, 22.5, QualityLevel.HIGH), spoofing=SpoofingCondition.WEAK),
    ],
    ids=["nothing", "some", "all"],
)
@pytest.mark.parametrize("model", [None, ModelVersion("open-01234567")])
def test_what_is_wanted_arrives_as_it_was(wanted, model):
    asked = Analysis(wanted, model, early=True)

    told = again(task(analysis=asked)).analysis

    assert (told.wanted, told.model, told.early) == (wanted, model, True)


def test_a_judgement_arrives_with_its_limits_and_for_whom_it_is():
    limits = ImageLimits(max_bytes=5, min_side=1, shrink_to=2, only_side=224)

    told = again(task(judgement=Judgement(SpoofingCondition.STRICT), limits=limits))

    assert told.analysis is None
    assert told.judgement.condition is SpoofingCondition.STRICT
    assert told.picture.limits == limits
    assert (told.tenant, told.request, told.behind, told.timed) == (7, "0123", True, False)


def test_faces_come_back_to_the_bit():
    told_plain, vectors = packed([PLAIN, FULL, PLAIN, OTHER])

    told_faces = faces_of(unpacked(told_plain), vectors)

    for told, meant in zip(told_faces, (PLAIN, FULL, PLAIN, OTHER), strict=True):
        for field in fields(meant):
            if field.name != "embedding":
                assert getattr(told, field.name) == getattr(meant, field.name), field.name
        assert bits(told) == bits(meant)


def test_fewer_vectors_than_are_told_of_are_noticed():
    plain, vectors = packed([FULL, OTHER])

    with pytest.raises(ValueError, match="buffer"):
        faces_of(unpacked(plain), vectors[:-4])


@pytest.mark.parametrize("error", [InvalidImageFile(), LineFull(), NoFaceFound("of a kind")])
def test_an_error_comes_back_as_what_it_was(error):
    told = error_of(*named(error))

    assert type(told) is type(error)
    assert told.detail == error.detail


def test_of_an_error_that_nobody_foresaw_only_its_happening_is_told():
    assert named(ValueError("a secret")) == ("InternalError", InternalError.detail)


@pytest.mark.parametrize("name", ["ValueError", "Exception", "Enum", "ConfigurationError", "no"])
def test_what_is_no_error_of_a_request_is_never_made(name):
    assert type(error_of(name, "detail")) is InternalError


def test_every_error_of_a_request_can_be_told():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, FaceError)]

    assert all(type(error_of(kind.__name__, "detail")) is kind for kind in kinds)


def test_stages_are_told_to_the_listener():
    times = StageTimes()

    tell([("decode", 1.25, 2.5), ("embed", 3.0, 3.125)], times)

    assert times.told == [(Stage.DECODE, 1.25, 2.5), (Stage.EMBED, 3.0, 3.125)]
