"""Invented faces: from whom they may come, and how a run takes them up."""

from pathlib import Path

import numpy as np
import pytest

from app.vision.geometry import Floats
from models.training import inventions
from models.training.data import Image
from models.training.errors import NoPicturesError
from models.training.geometry import STORED


def _crops(*tones: int) -> Image:
    return np.stack([np.full((STORED, STORED, 3), tone, np.uint8) for tone in tones])


def _noise(count: int) -> Image:
    random = np.random.default_rng(1)
    return random.integers(0, 256, (count, STORED, STORED, 3)).astype(np.uint8)


class Mute:
    """A teacher with one opinion of all."""

    def embed(self, crops: list[Image]) -> Floats:
        return np.tile(np.eye(1, 256, dtype=np.float32), (len(crops), 1))


def _piece(folder: Path, number: int, tone: int) -> None:
    np.save(folder / f"invented_vectors-{number:03}.npy", np.zeros((2, 256), np.float32))
    np.save(folder / f"invented_crops-{number:03}.npy", _crops(tone, tone))


def test_nobody_who_is_held_out_lends_a_part():
    crops, random = _crops(90, 90, 90, 255), np.random.default_rng(0)
    for _ in range(20):
        face = inventions.invent(crops, np.arange(3), random)
        assert face.min() >= 89
        assert face.max() <= 91


def test_an_invented_face_is_nobodys():
    crops, random = _noise(4), np.random.default_rng(0)
    face = inventions.invent(crops, np.arange(4), random).astype(int)
    assert all(np.abs(face - crop).mean() > 10 for crop in crops)


def test_the_same_seed_invents_the_same_face():
    crops = _noise(4)
    first, second = (
        inventions.invent(crops, np.arange(4), np.random.default_rng(5)) for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_pieces_that_lie_there_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inventions, "PIECE", 2 * inventions.AT_ONCE)
    np.save(tmp_path / "crops.npy", _noise(4))
    np.savez(tmp_path / "faces.npz", held_out=np.zeros(4, bool), owner=np.arange(4))
    _piece(tmp_path, 0, 7)
    inventions.prepare(tmp_path, Mute(), 3 * inventions.AT_ONCE)
    assert len(np.load(tmp_path / "invented_crops-000.npy")) == 2
    assert len(np.load(tmp_path / "invented_crops-001.npy")) == inventions.PIECE
    assert len(np.load(tmp_path / "invented_vectors-001.npy")) == inventions.PIECE


def test_a_run_takes_up_what_is_invented_while_it_goes_on(tmp_path: Path):
    drawn, random = inventions.Inventions(tmp_path), np.random.default_rng(0)
    _piece(tmp_path, 0, 10)
    assert set(np.unique(drawn.draw(random, 20)[0])) == {10}
    _piece(tmp_path, 1, 20)
    assert set(np.unique(drawn.draw(random, 20)[0])) == {10, 20}


def test_a_folder_without_inventions_is_told(tmp_path: Path):
    with pytest.raises(NoPicturesError, match="no invented_crops"):
        inventions.Inventions(tmp_path).draw(np.random.default_rng(0), 1)


def test_nothing_is_invented_of_nobody(tmp_path: Path):
    with pytest.raises(NoPicturesError, match=r"no crops\.npy"):
        inventions.prepare(tmp_path, Mute(), 1)
