from dataclasses import replace

import numpy as np
import pytest

from app.vision.alignment import ARCFACE
from app.vision.embedders import embedder
from app.vision.manifests import load_manifest
from app.vision.packs import PackCatalog
from app.vision.sessions import SessionPool
from tests.unit.vision import packs

COLOUR = (250, 150, 0)


@pytest.fixture
def image():
    picture = np.empty((112, 112, 3), dtype=np.uint8)
    picture[...] = COLOUR
    return picture


def embedded(folder, image, *, batch="n", tail=(), count=1, **section):
    """What an embedder of channel means says of a picture of one colour."""
    tables = packs.manifest(folder, "tiny")
    packs.channel_means(folder / "embedder.onnx", section.get("size", 112), batch, tail)
    tables["embedder"] |= {**packs.section(folder / "embedder.onnx"), **section}
    pack = load_manifest(packs.write(folder, tables))
    opened = SessionPool(PackCatalog(folder)).open(pack, pack.embedder)
    points = np.repeat(ARCFACE.points[None].astype(np.float32), count, axis=0)
    return embedder(opened, pack.embedder).embed(image, points)


def unit(*values):
    return np.array(values) / np.linalg.norm(values)


@pytest.mark.parametrize("family", ["arcface", "reid-0095"])
@pytest.mark.parametrize(
    ("feeding", "expected"),
    [
        ({"color": "rgb", "mean": 0.0, "scale": 1.0}, (250, 150, 0)),
        ({"color": "bgr", "mean": 0.0, "scale": 1.0}, (0, 150, 250)),
        ({"color": "rgb", "mean": 127.5, "scale": 127.5}, (122.5, 22.5, -127.5)),
        ({"color": "bgr", "mean": 100.0, "scale": 2.0}, (-100, 50, 150)),
    ],
)
def test_the_manifest_decides_colours_and_range(tmp_path, image, family, feeding, expected):
    vectors = embedded(tmp_path, image, family=family, **feeding)

    assert vectors.dtype == np.float32
    assert vectors[0] == pytest.approx(unit(*expected), abs=1e-3)


def test_vectors_that_come_as_tiny_pictures_are_flattened(tmp_path, image):
    vectors = embedded(tmp_path, image, tail=(1, 1), family="reid-0095", mean=0.0, scale=1.0)

    assert vectors[0] == pytest.approx(unit(*COLOUR), abs=1e-3)


@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize("family", ["arcface", "reid-0095"])
def test_every_face_gets_a_vector_also_from_a_network_that_takes_one_at_a_time(
    tmp_path, image, family, batch
):
    vectors = embedded(tmp_path, image, batch=batch, count=3, family=family)

    assert vectors.shape == (3, 3)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3))


def test_a_larger_input_gets_the_same_face_larger(tmp_path, image):
    vectors = embedded(tmp_path, image, size=128, mean=0.0, scale=1.0)

    assert vectors[0] == pytest.approx(unit(*COLOUR), abs=0.01)


def test_a_vector_of_zeros_stays_finite(tmp_path, image):
    vectors = embedded(tmp_path, np.zeros_like(image), mean=0.0, scale=1.0)

    assert vectors.tolist() == [[0.0, 0.0, 0.0]]


def test_one_session_serves_every_pack_with_the_same_weights(tmp_path):
    pack = load_manifest(packs.make(tmp_path, "tiny") / "pack.toml")
    other = replace(pack, name="other")
    pool = SessionPool(PackCatalog(tmp_path))

    first = pool.open(pack, pack.embedder)

    assert pool.open(other, other.embedder) is first
