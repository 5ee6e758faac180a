import json
import shutil

import pytest

from app.domain.errors import ConfigurationError, ModelUnavailable
from app.domain.values import ModelVersion
from app.vision.packs import FileState, PackCatalog
from tests.unit.vision import packs


@pytest.fixture
def models(tmp_path):
    packs.make(tmp_path / "models", "tiny")
    return tmp_path / "models"


def moved(models, folder, *files):
    folder.mkdir(parents=True)
    for file in files:
        shutil.move(models / "tiny" / file, folder / file)


def found(catalog):
    return [status.state for status in catalog.status(catalog.get("tiny"))]


def test_a_pack_is_found_with_its_files(models):
    catalog = PackCatalog(models)

    assert [pack.name for pack in catalog.packs()] == ["tiny"]
    assert found(catalog) == [FileState.OK, FileState.OK]


def test_weights_are_read_as_they_lie_there(models):
    catalog = PackCatalog(models)
    pack = catalog.get("tiny")

    path, content = catalog.read(pack, pack.embedder)

    assert path == models / "tiny" / "embedder.onnx"
    assert content == path.read_bytes()


@pytest.mark.parametrize("below", ["", "buffalo"])
def test_a_folder_of_loose_weights_serves_a_known_pack(models, tmp_path, below):
    moved(models, tmp_path / "extra" / below, "detector.onnx", "embedder.onnx")

    catalog = PackCatalog(models, [tmp_path / "extra"])

    assert found(catalog) == [FileState.OK, FileState.OK]


def test_an_added_folder_may_be_a_pack(models, tmp_path):
    other = packs.make(tmp_path / "extra", "other")

    catalog = PackCatalog(models, [other])

    assert [pack.name for pack in catalog.packs()] == ["other", "tiny"]


def test_an_added_folder_may_hold_packs(models, tmp_path):
    packs.make(tmp_path / "extra", "other")

    catalog = PackCatalog(models, [tmp_path / "extra"])

    assert [pack.name for pack in catalog.packs()] == ["other", "tiny"]


def test_a_file_of_another_pack_can_be_named(models, tmp_path):
    folder = tmp_path / "models" / "other"
    tables = packs.manifest(folder, "other")
    tables["detector"]["file"] = "tiny/detector.onnx"
    (folder / "detector.onnx").unlink()
    packs.write(folder, tables)
    catalog = PackCatalog(models)

    states = [status.state for status in catalog.status(catalog.get("other"))]

    assert states == [FileState.OK, FileState.OK]


def test_a_missing_file_is_named_with_its_pack(models):
    (models / "tiny" / "embedder.onnx").unlink()
    catalog = PackCatalog(models)
    pack = catalog.get("tiny")

    with pytest.raises(ConfigurationError, match=r"'tiny'.*embedder\.onnx is missing"):
        catalog.read(pack, pack.embedder)

    assert found(catalog) == [FileState.OK, FileState.MISSING]


def test_a_file_that_is_not_the_manifests_is_refused(models):
    path = models / "tiny" / "embedder.onnx"
    path.write_bytes(path.read_bytes() + b"x")
    catalog = PackCatalog(models)
    pack = catalog.get("tiny")

    with pytest.raises(ConfigurationError, match=r"embedder\.onnx.*SHA-256") as refused:
        catalog.read(pack, pack.embedder)

    assert "\n" not in str(refused.value)
    assert found(catalog) == [FileState.OK, FileState.WRONG_HASH]


def test_another_file_of_the_same_name_does_not_hide_the_right_one(models, tmp_path):
    shutil.copytree(models / "tiny", tmp_path / "extra")
    (tmp_path / "extra" / "pack.toml").unlink()
    (models / "tiny" / "embedder.onnx").write_bytes(b"of another pack")

    catalog = PackCatalog(models, [tmp_path / "extra"])

    assert found(catalog) == [FileState.OK, FileState.OK]


def test_the_same_pack_twice_is_one_pack(models, tmp_path):
    shutil.copytree(models / "tiny", tmp_path / "extra" / "tiny")

    catalog = PackCatalog(models, [tmp_path / "extra"])

    assert [pack.name for pack in catalog.packs()] == ["tiny"]


def test_earlier_weights_of_a_pack_are_found_by_their_version(models, tmp_path):
    newer = PackCatalog(models).get("tiny")
    shutil.copytree(models / "tiny", tmp_path / "kept" / "tiny")
    written = (tmp_path / "kept" / "tiny" / "pack.toml").read_text()
    earlier = written.replace(newer.embedder.sha256, "0" * 64)
    (tmp_path / "kept" / "tiny" / "pack.toml").write_text(earlier)

    catalog = PackCatalog(models, [tmp_path / "kept"])
    first, second = catalog.packs()

    assert catalog.get("tiny") == first == newer
    assert second.folder == tmp_path / "kept" / "tiny"
    assert catalog.by_version(second.model_version) == second
    assert catalog.called(second) == second.model_version
    assert catalog.get(second.model_version) == second


def test_two_accounts_of_one_model_version_are_refused(models, tmp_path):
    folder = tmp_path / "extra" / "tiny"
    packs.write(folder, {**packs.manifest(folder, "tiny"), "licence": "another"})

    with pytest.raises(ConfigurationError, match="two model packs are named 'tiny'"):
        PackCatalog(models, [tmp_path / "extra"])


def test_a_folder_that_does_not_exist_is_refused(models, tmp_path):
    with pytest.raises(ConfigurationError, match="does not exist"):
        PackCatalog(models, [tmp_path / "nowhere"])


def test_an_unknown_pack_is_refused_with_those_known(models):
    with pytest.raises(ConfigurationError, match=r"'large' \(known: tiny\)"):
        PackCatalog(models).get("large")


def test_a_pack_is_found_by_the_version_of_its_vectors(models):
    catalog = PackCatalog(models)
    pack = catalog.get("tiny")

    assert catalog.by_version(pack.model_version) is pack
    with pytest.raises(ModelUnavailable):
        catalog.by_version(ModelVersion("tiny-00000000"))


def test_similarity_comes_from_the_packs_table(models):
    table = {"cosine": [-1.0, 0.25, 1.0], "similarity": [0.0, 50.0, 100.0]}
    (models / "tiny" / "calibration.json").write_text(json.dumps(table))
    catalog = PackCatalog(models)

    assert catalog.table(catalog.get("tiny")).calibration.similarity(0.25) == 50.0


@pytest.mark.parametrize(
    "text", ["", "[]", '{"cosine": [0]}', '{"cosine": [0, 1], "similarity": 3}']
)
def test_a_broken_calibration_is_refused_in_one_line(models, text):
    (models / "tiny" / "calibration.json").write_text(text)
    catalog = PackCatalog(models)

    with pytest.raises(ConfigurationError, match=r"calibration\.json") as refused:
        catalog.table(catalog.get("tiny"))

    assert "\n" not in str(refused.value)


def test_a_pack_without_a_table_has_a_straight_line(models):
    tables = packs.manifest(models / "plain", "plain")
    del tables["calibration"]
    packs.write(models / "plain", tables)
    catalog = PackCatalog(models)

    assert catalog.table(catalog.get("plain")).calibration.similarity(0.5) == 75.0
