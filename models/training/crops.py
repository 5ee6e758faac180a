"""Knows how every face of a folder of pictures becomes aligned crops and the teacher's vectors."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]  # it ships no types

from app.vision.geometry import Detections, Floats
from models.training.data import Image, Picture, load
from models.training.geometry import CROP, RIM, STORED, intersection_over_union, stored_crop
from models.training.packs import PackUnderTest
from models.training.teachers import Teachers, teacher_crop

SEED = 20261121
SMALLEST_FACE = 20  # px, shorter side of the box; below it the teacher sees nothing of use
SAME_FACE = 0.5  # overlap of two boxes around one face
SECOND_ALIGNMENT = 0.025  # standard deviation of the points, share of the eye distance


@dataclass(frozen=True, slots=True)
class Found:
    """What one picture gave: detections with refined points, crops and teacher vectors of each."""

    faces: Detections
    crops: Image
    vectors: Floats


def prepare(everything: list[Picture], data: Path, asked: Teachers, out: Path) -> None:
    """Write faces.npz (index), crops.npy (n, 128, 128, 3) and vectors.npy (n, 256) to `out`."""
    with ThreadPoolExecutor(2) as pool:
        found = list(
            tqdm(pool.map(lambda one: _examine(one, asked), everything), total=len(everything))
        )
    unreadable = sum(one is None for one in found)
    tqdm.write(f"{unreadable} of {len(found)} pictures could not be read")
    _save(everything, [one or _nothing() for one in found], data, out)


def _save(everything: list[Picture], found: list[Found], data: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    owner = np.repeat(np.arange(len(found)), [len(one.faces) for one in found])
    np.save(out / "crops.npy", np.concatenate([one.crops for one in found]))
    np.save(out / "vectors.npy", np.concatenate([one.vectors for one in found]))
    np.savez(
        out / "faces.npz",
        path=np.array([p.path.relative_to(data).as_posix() for p in everything]),
        group=np.array([p.group for p in everything]),
        held_out=np.array([p.held_out for p in everything]),
        owner=owner,
        boxes=np.concatenate([one.faces.boxes for one in found]),
        points=np.concatenate([one.faces.points for one in found]),
        scores=np.concatenate([one.faces.scores for one in found]),
    )


def _nothing() -> Found:
    crops, vectors = np.zeros((0, STORED, STORED, 3), np.uint8), np.zeros((0, 256), np.float32)
    return Found(Detections.none(), crops, vectors)


def _examine(picture: Picture, teachers: Teachers) -> Found | None:
    image = load(picture.path)
    if image is None:
        return None
    faces = teachers.faces(image)
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).min(1, initial=np.inf)
    faces = faces.take(np.flatnonzero(sides >= SMALLEST_FACE))
    if not len(faces):
        return _nothing()
    vectors = np.stack([_vector(image, p, teachers, picture.group) for p in faces.points])
    crops = np.stack([stored_crop(image, p) for p in faces.points])
    return Found(faces, crops, vectors)


def _vector(image: Image, points: Floats, teachers: Teachers, group: str) -> Floats:
    """The teacher's mean opinion (256,), unit length, over two alignments and their mirrors."""
    noise = np.random.default_rng([SEED, *group.encode()]).normal(size=points.shape)
    eyes = np.linalg.norm(points[1] - points[0])
    second = (points + noise * SECOND_ALIGNMENT * eyes).astype(np.float32)
    views = [teacher_crop(image, points), teacher_crop(image, second)]
    return _mean_direction(teachers.embed([*views, *(view[:, ::-1] for view in views)]))


def _mean_direction(vectors: Floats) -> Floats:
    total = vectors.sum(0)
    return np.asarray(total / np.linalg.norm(total), np.float32)


def realign(data: Path, pack: PackUnderTest, out: Path) -> None:
    """Cut every crop anew where `pack` itself puts the points: own_crops.npy, in the same order.

    An embedder sees its own pack's points when it serves, not the teacher's. A face the pack does
    not find keeps the teacher's crop.
    """
    with np.load(out / "faces.npz") as file:
        index = dict(file)
    crops = np.array(np.load(out / "crops.npy", mmap_mode="r"))
    for i in tqdm(np.unique(index["owner"]), mininterval=10):
        image = load(data / str(index["path"][i]))
        if image is not None:
            found = pack.faces(image)
            for face in np.flatnonzero(index["owner"] == i):
                overlaps = intersection_over_union(index["boxes"][face], found.boxes)
                if overlaps.max(initial=0.0) > SAME_FACE:
                    crops[face] = stored_crop(image, found.points[overlaps.argmax()])
    np.save(out / "own_crops.npy", crops)


def trainable(out: Path) -> np.ndarray:
    """Indices of the crops that are not held out."""
    with np.load(out / "faces.npz") as index:
        return np.flatnonzero(~index["held_out"][index["owner"]])


def teacher_view(crop: Image) -> Image:
    """The teacher's frame cut out of a stored crop."""
    inner = np.ascontiguousarray(crop[RIM : RIM + CROP, RIM + 8 : RIM + 104])
    return np.asarray(cv2.resize(inner, (128, 128), interpolation=cv2.INTER_LINEAR))
