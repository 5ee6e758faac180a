"""Knows how the five points inside a face box are learnt, from labels and from the teacher."""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from app.vision.geometry import Floats, Matrix, box_matrix, warp
from models.training.data import Image
from models.training.geometry import Points, apply
from models.training.labels import labelled_68, labelled_aflw
from models.training.masks import draw
from models.training.networks import Landmarks
from models.training.optics import blur
from models.training.runs import Network, Run, device, fixed
from models.training.scenes import MIRRORED, Scene, scenes

Rng = np.random.Generator

BATCH = 192
PEAK_RATE = 2e-3
LABELLED_SHARE = 0.4  # of a batch comes from people's labels, the rest from the teacher
SHIFT, STRETCH, TURN = 0.07, 0.12, 9.0  # share of the box, share of its side, degrees


@dataclass(frozen=True, slots=True)
class Sample:
    """One face: its picture, box (4,) and points (5, 2) in pixels."""

    image: Image
    box: Floats
    points: Points


def gather(data: Path, prepared: Path) -> tuple[list[Sample], list[Sample]]:
    """Faces with a person's label, and faces with the teacher's points set right by those.

    The teacher places the tip of the nose higher than annotators do; the median difference, in
    shares of the box, is added to all its points.
    """
    faces = _faces(scenes(data, prepared, held_out=False))
    labels = labelled_68(data) | {k: points for k, (points, _) in labelled_aflw(data).items()}
    labelled, offsets = [], []
    for path, face in faces:
        if path in labels:
            side = face.box[2:] - face.box[:2]
            difference = (labels[path] - face.points) / side
            if np.abs(difference).max() < 0.25:  # else the label is of another face
                labelled.append(Sample(face.image, face.box, labels[path]))
                offsets.append(difference)
    offset = np.median(offsets, axis=0) if offsets else np.zeros((5, 2))
    taught = [_moved(face, offset) for path, face in faces if path not in labels]
    return labelled or taught, taught or labelled


def _moved(face: Sample, offset: Floats) -> Sample:
    side = face.box[2:] - face.box[:2]
    return Sample(face.image, face.box, (face.points + offset * side).astype(np.float32))


def _faces(by_set: dict[str, list[Scene]]) -> list[tuple[str, Sample]]:
    return [
        (scene.path, Sample(scene.image, box, points))
        for several in by_set.values()
        for scene in several
        for box, points in zip(scene.boxes, scene.points, strict=True)
        if np.isfinite(points).all() and min(box[2:] - box[:2]) >= 24
    ]


def pose(sample: Sample, random: Rng) -> tuple[Image, Floats]:
    """The face as a detector may box it (48, 48, 3), and ten shares of that box's sides."""
    box = _jittered(sample.box, random)
    onto = _turned(box_matrix(box, Landmarks.SIDE, Landmarks.SIDE), random)
    image = draw(sample.image, sample.points, random) if random.random() < 0.06 else sample.image
    patch = warp(image, onto, Landmarks.SIDE, Landmarks.SIDE)
    # The reader of the network multiplies by the box's sides: half a pixel lies before the first.
    shares = (apply(onto, sample.points) + 0.5) / Landmarks.SIDE
    if random.random() < 0.5:
        patch, shares = patch[:, ::-1], _mirrored(shares)
    return _developed(patch, random), shares.ravel()


def _jittered(box: Floats, random: Rng) -> Floats:
    side = box[2:] - box[:2]
    centre = (box[:2] + box[2:]) / 2 + random.uniform(-SHIFT, SHIFT, 2) * side
    half = side / 2 * (1 + random.uniform(-STRETCH, STRETCH) + random.uniform(-0.06, 0.06, 2))
    return np.concatenate([centre - half, centre + half]).astype(np.float32)


def _turned(onto: Matrix, random: Rng) -> Matrix:
    """`onto` followed by a small turn about the middle of the patch."""
    angle, middle = math.radians(random.normal(0, TURN)), (Landmarks.SIDE - 1) / 2
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved = turn @ onto
    moved[:, 2] += middle - turn @ np.array([middle, middle])
    return moved


def _mirrored(shares: Floats) -> Floats:
    swapped = shares[MIRRORED].copy()
    swapped[:, 0] = 1 - swapped[:, 0]
    return swapped


def _developed(patch: Image, random: Rng) -> Image:
    """Fewer pixels, other light, no colour: some of the time."""
    if random.random() < 0.3:
        side = int(random.integers(14, 40))
        small = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)
        patch = np.asarray(cv2.resize(small, (Landmarks.SIDE, Landmarks.SIDE)))
    elif random.random() < 0.15:
        patch = blur(np.ascontiguousarray(patch), random)
    gain = random.uniform(0.6, 1.4) * random.uniform(0.92, 1.08, 3)
    if random.random() < 0.12:
        patch = np.repeat(patch.mean(2, keepdims=True), 3, 2)
    return np.clip(patch * gain + random.uniform(-35, 35), 0, 255).astype(np.uint8)


def draw_batch(
    labelled: list[Sample], taught: list[Sample], random: Rng, where: torch.device
) -> tuple[Tensor, Tensor]:
    """Patches (n, 3, 48, 48), BGR 0..255, and their shares (n, 10)."""
    own = int(BATCH * LABELLED_SHARE)
    chosen = [labelled[i] for i in random.integers(len(labelled), size=own)]
    chosen += [taught[i] for i in random.integers(len(taught), size=BATCH - own)]
    patches, shares = zip(*(pose(sample, random) for sample in chosen), strict=True)
    pixels = torch.from_numpy(np.stack(patches)[..., ::-1].copy()).to(where)
    pixels = pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
    return pixels, torch.from_numpy(np.stack(shares).astype(np.float32)).to(where)


def train(data: Path, prepared: Path, checkpoint: Path, minutes: float, *, resume: bool) -> None:
    """Train for `minutes` of wall time on what `prepare` found."""
    labelled, taught = gather(data, prepared)
    where = device()
    run = Run.begin(fixed(Landmarks), checkpoint, minutes, peak=PEAK_RATE, resume=resume)
    random = run.random()

    def lesson(network: Network) -> Tensor:
        pixels, shares = draw_batch(labelled, taught, random, where)
        return 100 * nnf.smooth_l1_loss(network(pixels).float(), shares, beta=0.02)

    run.practise(lesson, samples=BATCH, unit="face")
