import json

import pytest

from app.domain.values import ModelVersion
from app.vision.packs import MODELS, PackCatalog
from app.vision.shelf import Shelf
from tests.unit.vision import packs

TABLE = {
    "cosine": [-1.0, 1.0],
    "similarity": [0.0, 100.0],
    "fmr": [1.0, 0.0],
    "fnmr": [0.0, 1.0],
    "pairs": {"same": 3, "different": 9},
    "provenance": "nine pairs",
}


@pytest.fixture
def models(tmp_path):
    packs.make(tmp_path / "models", "tiny")
    return tmp_path / "models"


def shown(models):
    [pack] = Shelf(PackCatalog(models), ModelVersion("another")).packs()
    return pack


def calibrated(models, content):
    (models / "tiny" / "calibration.json").write_text(content, encoding="utf-8")


def test_a_pack_whose_weights_are_here_is_installed(models):
    assert shown(models).installed


def test_a_pack_that_lacks_a_file_is_not(models):
    (models / "tiny" / "embedder.onnx").unlink()

    assert not shown(models).installed


def test_a_calibration_tells_how_often_the_pack_is_wrong(models):
    calibrated(models, json.dumps(TABLE))

    rates = shown(models).rates

    assert rates.similarity == (0.0, 100.0)
    assert rates.false_matches == (1.0, 0.0)
    assert rates.false_rejections == (0.0, 1.0)
    assert (rates.same_pairs, rates.different_pairs) == (3, 9)


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        "[]",
        json.dumps({**TABLE, "fmr": [1.0]}),
        json.dumps({name: TABLE[name] for name in ("cosine", "similarity")}),
        json.dumps({**TABLE, "pairs": None}),
    ],
)
def test_one_that_does_not_tell_is_left_out(models, content):
    calibrated(models, content)

    assert shown(models).rates is None


def test_a_calibration_that_was_not_measured_tells_nothing(models):
    assert shown(models).rates is None


def test_the_pack_in_use_is_marked_and_the_starter_tells_its_rates():
    catalog = PackCatalog(MODELS)
    version = catalog.get("starter").model_version

    [starter] = [pack for pack in Shelf(catalog, version).packs() if pack.is_default]

    assert starter.name == "starter"
    assert starter.installed
    assert starter.rates is not None
