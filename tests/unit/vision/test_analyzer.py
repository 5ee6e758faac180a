import asyncio
import json
import threading
import time

import numpy as np
import pytest

from app.domain.errors import (
    ConfigurationError,
    InvalidImageFile,
    ModelUnavailable,
    Overloaded,
    SpoofingUnavailable,
)
from app.domain.values import (
    EVERY_FACE,
    Decoded,
    Eligibility,
    Glance,
    ModelVersion,
    SpoofingCondition,
    Wanted,
)
from app.vision.analyzer import Analyzer
from app.vision.packs import PackCatalog
from app.vision.pipeline import Pipeline
from tests.unit.vision import packs

IMAGE = packs.picture(320, 256, (2, 3), (7, 1))


@pytest.fixture
def models(tmp_path):
    packs.make(tmp_path, "tiny")
    packs.make(tmp_path, "other")
    return tmp_path


@pytest.fixture
def catalog(models):
    return PackCatalog(models)


@pytest.fixture
def analyzer(catalog):
    opened = Analyzer.open(catalog, "tiny", workers=1, backlog=1)
    yield opened
    opened.close()


class Gate:
    """Holds the pipelines of an analyzer still until it is opened."""

    def __init__(self, monkeypatch):
        self.entered = threading.Semaphore(0)
        self.released = threading.Event()
        self.analyses = 0
        analyze = Pipeline.analyze

        def held(pipeline, image, wanted, early):
            self.analyses += 1
            self.entered.release()
            assert self.released.wait(10)
            return analyze(pipeline, image, wanted, early)

        monkeypatch.setattr(Pipeline, "analyze", held)

    async def wait(self):
        assert await asyncio.to_thread(self.entered.acquire, timeout=10)


@pytest.fixture
def gate(analyzer, monkeypatch):
    gate = Gate(monkeypatch)
    yield gate
    gate.released.set()


async def test_it_finds_describes_and_embeds_faces(analyzer):
    faces = await analyzer.analyze(Decoded(IMAGE), Wanted(orientation=True, embeddings=EVERY_FACE))

    assert [(face.box.x0, face.box.y0) for face in faces] == [
        (208 / 320, 16 / 256),
        (48 / 320, 80 / 256),
    ]
    assert all(face.orientation is not None for face in faces)
    assert [face.embedding.shape for face in faces if face.embedding is not None] == [(3,), (3,)]


async def test_a_picture_without_faces_has_none(analyzer):
    assert await analyzer.analyze(Decoded(packs.picture(100, 90)), Wanted()) == []


async def test_the_default_model_is_the_default_packs(analyzer, catalog):
    assert analyzer.default_model == catalog.get("tiny").model_version


async def test_another_pack_is_loaded_at_first_use_and_once(catalog, monkeypatch):
    loads = []
    load = Pipeline.open

    def slowly(pack, sessions):
        loads.append(pack.name)
        time.sleep(0.05)
        return load(pack, sessions)

    analyzer = Analyzer.open(catalog, "tiny", workers=4, backlog=4)
    monkeypatch.setattr(Pipeline, "open", slowly)
    other = catalog.get("other").model_version

    answers = await asyncio.gather(
        *(analyzer.analyze(Decoded(IMAGE), Wanted(), other) for _ in range(6))
    )

    analyzer.close()
    assert [len(faces) for faces in answers] == [2] * 6
    assert loads == ["other"]


async def test_a_model_that_is_not_installed_is_said_to_be_so(analyzer):
    with pytest.raises(ModelUnavailable):
        await analyzer.analyze(Decoded(IMAGE), Wanted(), ModelVersion("none-00000000"))
    with pytest.raises(ModelUnavailable):
        analyzer.calibration(ModelVersion("none-00000000"))


@pytest.mark.parametrize("file", ["detector.onnx", "embedder.onnx"])
async def test_a_pack_whose_weights_are_gone_is_unavailable(models, file):
    tables = packs.manifest(models / "gone", "gone")
    part = file.removesuffix(".onnx")
    tables[part] |= {"sha256": "0" * 64}
    packs.write(models / "gone", tables)
    catalog = PackCatalog(models)
    analyzer = Analyzer.open(catalog, "tiny", workers=1, backlog=0)

    with pytest.raises(ModelUnavailable):
        await analyzer.analyze(Decoded(IMAGE), Wanted(), catalog.get("gone").model_version)

    assert len(await analyzer.analyze(Decoded(IMAGE), Wanted())) == 2
    analyzer.close()


async def test_too_many_pictures_at_once_are_refused_and_the_rest_answered(analyzer, gate):
    first = asyncio.create_task(analyzer.analyze(Decoded(IMAGE), Wanted()))
    await gate.wait()
    second = asyncio.create_task(analyzer.analyze(Decoded(IMAGE), Wanted()))
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await analyzer.analyze(Decoded(IMAGE), Wanted())

    gate.released.set()
    assert [len(faces) for faces in await asyncio.gather(first, second)] == [2, 2]
    assert len(await analyzer.analyze(Decoded(IMAGE), Wanted())) == 2


async def test_who_stops_waiting_leaves_the_queue(analyzer, gate):
    first = asyncio.create_task(analyzer.analyze(Decoded(IMAGE), Wanted()))
    await gate.wait()
    second = asyncio.create_task(analyzer.analyze(Decoded(IMAGE), Wanted()))
    await asyncio.sleep(0)

    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    third = asyncio.create_task(analyzer.analyze(Decoded(IMAGE), Wanted()))
    await asyncio.sleep(0)
    gate.released.set()

    assert [len(faces) for faces in await asyncio.gather(first, third)] == [2, 2]
    assert gate.analyses == 2


async def test_the_event_loop_runs_on_while_a_picture_is_analysed(analyzer, gate):
    task = asyncio.create_task(analyzer.analyze(Decoded(IMAGE), Wanted()))

    await gate.wait()

    assert not task.done()
    gate.released.set()
    assert len(await task) == 2


class Far:
    """A picture twice as large as what a glance at it shows, and how often all of it was opened."""

    def __init__(self, image):
        self.image, self.opened = image, 0

    @property
    def unopened(self):
        return None

    def glance(self):
        return Glance(self.image, 2 * self.image.shape[1], 2 * self.image.shape[0])

    def whole(self):
        self.opened += 1
        return np.repeat(np.repeat(self.image, 2, axis=0), 2, axis=1)


async def test_what_a_glance_shows_is_not_looked_at_again(analyzer, monkeypatch):
    monkeypatch.setattr("app.vision.pipeline.CLEAR", 100.0)
    picture = Far(packs.picture(640, 320, (2, 3), (7, 1)))

    faces = await analyzer.analyze(picture, Wanted())

    assert picture.opened == 0
    assert [(face.box.x0, face.side) for face in faces] == [(208 / 640, 128), (48 / 640, 128)]


async def test_where_a_glance_shows_too_little_the_whole_picture_is_opened(analyzer):
    picture = Far(packs.picture(640, 320, (2, 3), (7, 1)))

    await analyzer.analyze(picture, Wanted())

    assert picture.opened == 1


async def test_whether_a_face_lives_is_never_told_from_a_glance(models, monkeypatch):
    monkeypatch.setattr("app.vision.pipeline.CLEAR", 100.0)
    analyzer = suspicious(models, measured=True)
    picture = Far(packs.picture(640, 320, (2, 3), (7, 1)))

    await analyzer.analyze(picture, Wanted(spoofing=SpoofingCondition.WEAK))

    analyzer.close()
    assert picture.opened == 1


async def test_the_first_faces_vector_is_told_early_and_on_the_loop(analyzer):
    told: list[tuple[object, object]] = []

    def early(embedding):
        told.append((embedding, asyncio.get_running_loop()))

    [face, _] = await analyzer.analyze(
        Decoded(IMAGE), Wanted(orientation=True, embeddings=1), early=early
    )

    [(embedding, loop)] = told
    assert embedding is face.embedding
    assert loop is asyncio.get_running_loop()


@pytest.mark.parametrize(
    "wanted", [Wanted(embeddings=1, eligible=Eligibility()), Wanted()], ids=["judged", "no vector"]
)
async def test_no_vector_is_told_early_that_may_not_be_given(analyzer, wanted):
    told: list[object] = []

    await analyzer.analyze(Decoded(IMAGE), wanted, early=told.append)

    assert told == []


async def test_what_is_wrong_with_a_picture_reaches_the_one_who_looked(analyzer):
    class Broken(Far):
        def glance(self):
            raise InvalidImageFile

    with pytest.raises(InvalidImageFile):
        await analyzer.analyze(Broken(IMAGE), Wanted())


async def test_a_failure_reaches_the_one_who_asked_and_no_one_else(analyzer):
    with pytest.raises(IndexError):
        await analyzer.analyze(Decoded(np.zeros((4,), np.uint8)), Wanted())

    assert len(await analyzer.analyze(Decoded(IMAGE), Wanted())) == 2


async def test_each_model_has_its_own_calibration(models):
    table = {"cosine": [-1.0, 0.0, 1.0], "similarity": [0.0, 10.0, 100.0]}
    (models / "other" / "calibration.json").write_text(json.dumps(table))
    catalog = PackCatalog(models)
    analyzer = Analyzer.open(catalog, "tiny", workers=1, backlog=0)

    similarities = [
        analyzer.calibration(catalog.get(name).model_version).similarity(0.0)
        for name in ("tiny", "other")
    ]

    analyzer.close()
    assert similarities == [50.0, 10.0]


def test_a_provider_that_is_wanted_and_not_installed_ends_the_start(catalog):
    with pytest.raises(ConfigurationError, match="cuda is not installed; it comes with the extra"):
        Analyzer.open(catalog, "tiny", workers=1, backlog=0, providers=["cuda", "cpu"])


def test_a_server_does_not_start_with_an_unknown_pack(catalog):
    with pytest.raises(ConfigurationError, match="'large'"):
        Analyzer.open(catalog, "large", workers=1, backlog=0)


def test_a_server_does_not_start_with_a_file_that_was_exchanged(models):
    for name in ("tiny", "other"):
        packs.channel_means(models / name / "embedder.onnx", 96)

    with pytest.raises(ConfigurationError, match="SHA-256"):
        Analyzer.open(PackCatalog(models), "tiny", workers=1, backlog=0)


def test_a_server_does_not_start_with_a_file_that_is_no_network(models):
    folder = models / "tiny"
    tables = packs.manifest(folder, "tiny")
    (folder / "embedder.onnx").write_bytes(b"not a network")
    tables["embedder"] |= packs.section(folder / "embedder.onnx")
    packs.write(folder, tables)

    with pytest.raises(ConfigurationError, match=r"embedder\.onnx") as refused:
        Analyzer.open(PackCatalog(models), "tiny", workers=1, backlog=0)

    assert "\n" not in str(refused.value)


def test_a_server_does_not_start_without_its_calibration(models):
    (models / "tiny" / "calibration.json").unlink()

    with pytest.raises(ConfigurationError, match=r"calibration\.json"):
        Analyzer.open(PackCatalog(models), "tiny", workers=1, backlog=0)


def suspicious(models, *, measured):
    """A pack whose spoofing network takes bright faces for live; cells fill a quarter of a face."""
    tables = packs.manifest(models / "suspicious", "suspicious")
    fed = {"box_scale": 1.0, "side": 112, "scale": 255.0, "activation": "none"}
    network = models / "suspicious" / "embedder.onnx"
    tables["spoofing"] = [packs.section(network, family="minifasnet", **fed)]
    if measured:
        lines = {"weak": 0.1, "balanced": 0.5, "strict": 0.9}
        points = {n: {"threshold": t, "apcer": 0.0, "bpcer": 0.0} for n, t in lines.items()}
        tables["spoofing_points"] = {"measured_on": "tests", **points}
    packs.write(models / "suspicious", tables)
    return Analyzer.open(PackCatalog(models), "suspicious", workers=1, backlog=1)


async def test_a_pack_with_spoofing_networks_judges_faces_and_crops(models):
    analyzer = suspicious(models, measured=True)
    white = np.full((224, 224, 3), 255, np.uint8)

    weak = await analyzer.analyze(Decoded(IMAGE), Wanted(spoofing=SpoofingCondition.WEAK))
    balanced = await analyzer.analyze(Decoded(IMAGE), Wanted(spoofing=SpoofingCondition.BALANCED))
    crops = [
        await analyzer.is_spoof(Decoded(crop), SpoofingCondition.STRICT)
        for crop in (white, 0 * white)
    ]

    analyzer.close()
    assert analyzer.detects_spoofing
    assert [face.spoofing for face in weak] == [False, False]
    assert [face.spoofing for face in balanced] == [True, True]
    assert crops == [False, True]


async def test_networks_that_nobody_measured_judge_nobody(models):
    analyzer = suspicious(models, measured=False)

    with pytest.raises(SpoofingUnavailable):
        await analyzer.analyze(Decoded(IMAGE), Wanted(spoofing=SpoofingCondition.WEAK))

    analyzer.close()
    assert not analyzer.detects_spoofing


async def test_a_pack_without_spoofing_networks_says_so(analyzer):
    assert not analyzer.detects_spoofing
    with pytest.raises(SpoofingUnavailable):
        await analyzer.is_spoof(Decoded(IMAGE), SpoofingCondition.WEAK)
