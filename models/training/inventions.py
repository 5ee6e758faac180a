"""Knows how to invent faces that nobody has: parts of several, bent, each shown to the teacher."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm  # type: ignore[import-untyped]  # it ships no types

from app.vision.geometry import Floats
from models.training.crops import teacher_view, trainable
from models.training.data import Image
from models.training.errors import NoPicturesError
from models.training.geometry import STORED

SEED = 20261121
PIECE = 5_000  # faces in a file
AT_ONCE = 8  # faces the teacher is shown at a time

PARENTS = (0.2, 0.5, 0.3)  # how often a face has one, two and three of them
SHARPNESS = (1.0, 8.0)  # of the borders between the parents' parts
BEND = 3.0  # px of the stored crop, largest standard deviation of the displacements
STRETCH = 0.08  # share of the width, either way
SYMMETRIC = 0.6  # how often a face is bent alike on both sides

Rng = np.random.Generator
Field = NDArray[np.float32]


class Teacher(Protocol):
    """Who is asked for vectors."""

    def embed(self, crops: list[Image]) -> Floats:
        """Unit vectors (n, 256) of crops in the teacher's own frame (128, 128, 3)."""
        ...


def invent(crops: Image, chosen: NDArray[np.integer], random: Rng) -> Image:
    """A face (128, 128, 3) out of the stored crops (n, 128, 128, 3) at the places `chosen`.

    A student of a fixed teacher profits from any input the teacher has an opinion on (Beyer et al.
    2022, "Knowledge distillation: a good teacher is patient and consistent"), and few people are
    on the pictures: so one's eyes meet another's jaw, in one tone, and the shape changes, too.
    """
    count = 1 + int(random.choice(len(PARENTS), p=PARENTS))
    parents = [_parent(crops[i], random) for i in random.choice(chosen, count, replace=False)]
    toned = [parents[0], *(_in_tone(other, parents[0], random) for other in parents[1:])]
    return _bent(_mixed(np.stack(toned), random), random)


def _parent(crop: Image, random: Rng) -> Field:
    turned = crop[:, ::-1] if random.random() < 0.5 else crop
    return turned.astype(np.float32)


def _in_tone(face: Field, model: Field, random: Rng) -> Field:
    """`face` with up to all of the brightness, contrast and tint of `model`."""
    share = random.random()
    (mean, spread), (wanted, wide) = cv2.meanStdDev(face), cv2.meanStdDev(model)
    gain = np.clip(wide / np.maximum(spread, 1.0), 0.5, 2.0)
    scale, shift = 1 - share + share * gain, share * (wanted - mean * gain)
    return np.asarray(face * scale.ravel().astype(np.float32) + shift.ravel().astype(np.float32))


def _mixed(faces: Field, random: Rng) -> Field:
    """The weighted sum of (n, 128, 128, 3); weights change smoothly over the face."""
    grid = random.integers(2, 6), random.integers(1, 5)
    heights = np.stack([_smooth(random.normal(size=grid)) for _ in faces])
    sharpness = np.float32(random.uniform(*SHARPNESS))
    weights = np.exp((heights - heights.max(0)) * sharpness)
    weights = weights / weights.sum(0)
    return np.asarray((faces * weights[..., None]).sum(0), np.float32)


def _bent(face: Field, random: Rng) -> Image:
    """Another shape of nose, jaw and eyes: pixels moved by a field as coarse as those are."""
    grid = random.integers(3, 7), random.integers(3, 7)
    reach = random.uniform(0, BEND)
    across = _smooth(random.normal(size=grid) * reach)
    down = _smooth(random.normal(size=grid) * reach)
    if random.random() < SYMMETRIC:
        across = np.asarray((across - across[:, ::-1]) / 2, np.float32)
        down = np.asarray((down + down[:, ::-1]) / 2, np.float32)
    places = np.arange(STORED, dtype=np.float32)
    middle = STORED / 2
    columns = (places[None] - middle) * random.uniform(1 - STRETCH, 1 + STRETCH) + middle
    moved = cv2.remap(
        face,
        (columns + across).astype(np.float32),
        (places[:, None] + down).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.clip(moved, 0, 255).astype(np.uint8)


def _smooth(coarse: NDArray[np.floating]) -> Field:
    """A field (128, 128) through the values of a coarse grid."""
    fine = cv2.resize(coarse.astype(np.float32), (STORED, STORED), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32)


def prepare(out: Path, teacher: Teacher, count: int) -> None:
    """Write `count` invented faces with the teacher's unit vectors to `out`, piece by piece.

    Needs crops.npy there. Training takes every piece up as soon as it lies there; pieces that do
    already are kept.

    Raises:
        NoPicturesError: it is not.
    """
    if not (out / "crops.npy").exists():
        raise NoPicturesError(f"no crops.npy in {out}: the step prepare makes it")
    crops, chosen = np.load(out / "crops.npy", mmap_mode="r"), trainable(out)
    numbers = [n for n in range(-(-count // PIECE)) if not _crops_file(out, n).exists()]
    with ThreadPoolExecutor(2) as pool, tqdm(total=len(numbers) * PIECE, mininterval=10) as bar:
        for number in numbers:
            batches = [
                pool.submit(_batch, crops, chosen, teacher, (number, at))
                for at in range(PIECE // AT_ONCE)
            ]
            made = [_counted(batch.result(), bar) for batch in batches]
            _save(out, number, made)


def _counted(batch: tuple[Image, Floats], bar: "tqdm[object]") -> tuple[Image, Floats]:
    bar.update(len(batch[0]))
    return batch


def _batch(
    crops: Image, chosen: NDArray[np.integer], teacher: Teacher, number: tuple[int, int]
) -> tuple[Image, Floats]:
    random = np.random.default_rng([SEED, *number])
    faces = [invent(crops, chosen, random) for _ in range(AT_ONCE)]
    return np.stack(faces), teacher.embed([teacher_view(face) for face in faces])


def _save(out: Path, number: int, made: list[tuple[Image, Floats]]) -> None:
    """The crops last and in one move: a piece that has them is whole."""
    np.save(_vectors_file(out, number), np.concatenate([vectors for _, vectors in made]))
    partial = out / "invented.partial.npy"
    np.save(partial, np.concatenate([faces for faces, _ in made]))
    partial.replace(_crops_file(out, number))


def _crops_file(out: Path, number: int) -> Path:
    return out / f"invented_crops-{number:03}.npy"


def _vectors_file(out: Path, number: int) -> Path:
    return out / f"invented_vectors-{number:03}.npy"


@dataclass(slots=True)
class Inventions:
    """The invented faces in a folder, also those that are still being written to it."""

    folder: Path
    _pieces: dict[Path, tuple[Image, Floats]] = field(default_factory=dict)

    def draw(self, random: Rng, count: int) -> tuple[Image, Floats]:
        """`count` crops (n, 128, 128, 3) and vectors (n, 256), from as many pieces as there are."""
        self._take_up()
        if not self._pieces:
            raise NoPicturesError(f"no invented_crops-*.npy in {self.folder}: invent makes them")
        pieces = list(self._pieces.values())
        rows = [
            (crops[row], vectors[row])
            for crops, vectors in (pieces[i] for i in random.integers(len(pieces), size=count))
            for row in [random.integers(len(crops))]
        ]
        return np.stack([crop for crop, _ in rows]), np.stack([vector for _, vector in rows])

    def _take_up(self) -> None:
        for file in sorted(self.folder.glob("invented_crops-*.npy")):
            if file not in self._pieces:
                vectors = file.with_name(file.name.replace("crops", "vectors"))
                self._pieces[file] = np.load(file, mmap_mode="r"), np.load(vectors)
