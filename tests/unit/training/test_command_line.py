"""What cannot begin says so in one line, and overwrites nothing."""

import importlib
from pathlib import Path

import pytest
from PIL import Image as PillowImage

# Imported by name: mypy would follow into the modules that need PyTorch.
main = importlib.import_module("models.training.__main__").main


def _folders(tmp_path: Path) -> list[str]:
    for name in ("data", "teachers", "out"):
        (tmp_path / name).mkdir()
    return [
        part for name in ("data", "teachers", "out") for part in (f"--{name}", f"{tmp_path / name}")
    ]


def test_a_data_folder_without_pictures_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["prepare", *_folders(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list((tmp_path / "out").iterdir())


def test_missing_teachers_end_with_2_and_the_name_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folders = _folders(tmp_path)
    PillowImage.new("RGB", (40, 40)).save(tmp_path / "data" / "a.png")
    assert main(["prepare", *folders]) == 2
    assert "yunet_n_dynamic.onnx" in capsys.readouterr().err


def test_a_finished_run_is_not_overwritten_by_a_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folders = _folders(tmp_path)
    (tmp_path / "out" / "embedder.pt").write_bytes(b"hours of work")
    assert main(["embedder", *folders, "--minutes", "1"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert (tmp_path / "out" / "embedder.pt").read_bytes() == b"hours of work"


def test_a_pack_that_is_not_there_ends_with_2_and_the_names_of_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["calibrate", *_folders(tmp_path), "--pack", "nobody"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "starter" in told


def test_weights_to_start_from_that_are_not_there_end_with_2_and_their_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("torch")
    start = ["detector", *_folders(tmp_path), "--minutes", "1", "--start"]
    assert main([*start, "nobody"]) == 2
    assert "'nobody'" in capsys.readouterr().err
    assert main([*start, "open"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "yunet_n_dynamic.onnx" in told
    assert not list((tmp_path / "out").iterdir())
