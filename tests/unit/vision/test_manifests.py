import pytest

from app.domain.errors import ConfigurationError
from app.vision.manifests import load_manifest
from tests.unit.vision import packs


@pytest.fixture
def tables(tmp_path):
    return packs.manifest(tmp_path, "tiny")


def refusal(folder, tables):
    with pytest.raises(ConfigurationError) as refused:
        load_manifest(packs.write(folder, tables))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_manifest_is_read_with_its_defaults(tmp_path, tables):
    pack = load_manifest(packs.write(tmp_path, tables))

    assert (pack.name, pack.licence, pack.folder) == ("tiny", "made for tests", tmp_path)
    assert (pack.detector.max_side, pack.detector.scale) == (640, 1.0)
    assert pack.landmarks is None
    assert pack.spoofing == ()
    assert [weights.file for weights in pack.weights()] == ["detector.onnx", "embedder.onnx"]


def test_several_spoofing_models_and_downloads_are_read(tmp_path, tables):
    part = packs.section(tmp_path / "embedder.onnx", family="minifasnet", box_scale=4)
    source = {"url": "https://example.org/a.zip", "sha256": "0" * 64, "members": ["a.onnx"]}

    pack = load_manifest(
        packs.write(tmp_path, {**tables, "spoofing": [part, part], "download": [source]})
    )

    assert [spoofing.box_scale for spoofing in pack.spoofing] == [4.0, 4.0]
    assert pack.download[0].members == ("a.onnx",)


def test_a_manifest_that_is_not_toml_is_refused_in_one_line(tmp_path):
    (tmp_path / "pack.toml").write_text("name = \n= 3")

    with pytest.raises(ConfigurationError, match=r"pack\.toml") as refused:
        load_manifest(tmp_path / "pack.toml")

    assert "\n" not in str(refused.value)


def test_a_manifest_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"pack\.toml"):
        load_manifest(tmp_path / "pack.toml")


@pytest.mark.parametrize(
    ("where", "key", "value", "complaint"),
    [
        ("embedder", "family", "magic", "family must be one of arcface, reid-0095"),
        ("embedder", "size", "large", "size must be a whole number"),
        ("embedder", "size", True, "size must be a whole number"),
        ("embedder", "size", 0, "size and dimension must be positive"),
        ("embedder", "scale", 0.0, "scale must not be 0"),
        ("embedder", "mean", "127", "mean must be a number"),
        ("embedder", "sha256", "abc", "sha256 is not 64 hex digits"),
        ("embedder", "file", "../embedder.onnx", "must be a relative path"),
        ("embedder", "file", "/embedder.onnx", "must be a relative path"),
        ("embedder", "colour", "rgb", "unknown key 'colour'"),
        ("detector", "color", "grey", "color must be one of rgb, bgr"),
        ("detector", "max_side", 8, "max_side must be at least 32"),
        ("detector", "enlarged_side", -1, "enlarged_side must not be negative"),
        ("detector", "score_threshold", 1.5, "score_threshold must lie between 0 and 1"),
        ("detector", "nms_threshold", 0, "nms_threshold must lie between 0 and 1"),
    ],
)
def test_a_wrong_value_is_named(tmp_path, tables, where, key, value, complaint):
    tables[where][key] = value

    assert complaint in refusal(tmp_path, tables)


@pytest.mark.parametrize("key", ["file", "sha256", "family", "template"])
def test_a_missing_key_is_named(tmp_path, tables, key):
    del tables["embedder"][key]

    assert f"[embedder] lacks '{key}'" in refusal(tmp_path, tables)


@pytest.mark.parametrize("key", ["name", "licence", "detector", "embedder"])
def test_a_missing_part_is_named(tmp_path, tables, key):
    del tables[key]

    assert f"lacks '{key}'" in refusal(tmp_path, tables)


def test_a_table_where_a_text_belongs_is_refused(tmp_path, tables):
    assert "title must not be a table" in refusal(tmp_path, {**tables, "title": {"en": "x"}})


def test_a_text_where_a_table_belongs_is_refused(tmp_path, tables):
    assert "detector must be a table" in refusal(tmp_path, {**tables, "detector": "yunet"})


def test_one_table_where_several_belong_is_refused(tmp_path, tables):
    assert "spoofing must be a list" in refusal(tmp_path, {**tables, "spoofing": {"file": "x"}})


def version(folder, tables, **embedder):
    changed = {**tables, "embedder": {**tables["embedder"], **embedder}}
    return load_manifest(packs.write(folder, changed)).model_version


def test_the_model_version_is_the_name_and_eight_hex_digits(tmp_path, tables):
    name, _, digest = version(tmp_path, tables).rpartition("-")

    assert name == "tiny"
    assert len(digest) == 8
    assert int(digest, 16) >= 0


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0" * 64},
        {"size": 128},
        {"template": "reid-0095"},
        {"color": "bgr"},
        {"mean": 0.0},
        {"scale": 128.0},
        {"family": "reid-0095"},
    ],
)
def test_the_model_version_changes_with_all_that_shapes_a_vector(tmp_path, tables, change):
    before = version(tmp_path, tables)

    assert version(tmp_path, tables, **change) != before


def test_the_model_version_does_not_change_with_a_file_name_or_a_title(tmp_path, tables):
    before = version(tmp_path, tables)

    assert version(tmp_path, {**tables, "title": "other"}, file="renamed.onnx") == before


POINT = {"threshold": 0.5, "apcer": 0.01, "bpcer": 0.02}


def with_spoofing(tmp_path, tables, **points):
    part = packs.section(tmp_path / "embedder.onnx", family="minifasnet", box_scale=4)
    said = {"measured_on": "tests", "weak": POINT, "balanced": POINT, "strict": POINT, **points}
    return {**tables, "spoofing": [part], "spoofing_points": said}


def test_operating_points_are_read(tmp_path, tables):
    strict = {**POINT, "threshold": 1}

    pack = load_manifest(packs.write(tmp_path, with_spoofing(tmp_path, tables, strict=strict)))

    points = pack.spoofing_points
    assert points is not None
    assert [points.at(name).threshold for name in ("weak", "strict")] == [0.5, 1.0]
    assert pack.aligned_spoofing_points is None


@pytest.mark.parametrize(
    ("points", "complaint"),
    [
        ({"strict": {**POINT, "threshold": 0.4}}, "must not descend"),
        ({"weak": {**POINT, "apcer": 1.5}}, "apcer must lie within 0..1"),
        ({"balanced": {"threshold": 0.5}}, "lacks 'apcer'"),
        ({"lax": POINT}, "unknown key 'lax'"),
    ],
)
def test_wrong_operating_points_are_named(tmp_path, tables, points, complaint):
    assert complaint in refusal(tmp_path, with_spoofing(tmp_path, tables, **points))


def test_operating_points_of_no_network_are_refused(tmp_path, tables):
    said = with_spoofing(tmp_path, tables)
    del said["spoofing"]

    assert "lack their [[spoofing]]" in refusal(tmp_path, said)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("family", "magic", "family must be one of minifasnet, aligned-live"),
        ("side", 8, "side must be at least 16"),
        ("scale", 0, "scale must not be 0"),
        ("live", -1, "live must not be negative"),
        ("activation", "relu", "activation must be one of softmax, sigmoid, none"),
    ],
)
def test_a_wrong_feeding_of_a_spoofing_network_is_named(tmp_path, tables, key, value, complaint):
    said = with_spoofing(tmp_path, tables)
    said["spoofing"][0][key] = value

    assert complaint in refusal(tmp_path, said)
