"""Knows how mask, pose and quality are learnt on the aligned crop."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor
from tqdm import tqdm

from app.vision.geometry import Floats
from models.training.augment import Disturbance, disturb
from models.training.crops import teacher_view, trainable
from models.training.data import load
from models.training.geometry import CROP, RIM
from models.training.labels import wears_mask
from models.training.masks import draw_on_stored, draw_slipped
from models.training.networks import Attributes
from models.training.runs import SEED, Network, Run, device, fixed
from models.training.teachers import Teachers

Rng = np.random.Generator

BATCH = 128
PEAK_RATE = 2e-3
DEGREES = 30.0  # the network's unit of angle
MASKED_SHARE, DRAWN_SHARE, SLIPPED_SHARE, QUALITY_SHARE = 0.2, 0.15, 0.05, 0.2
POOR_CROPS = 6000
# Light and colour vary, the place little: a flip or a turn would change the pose itself.
HOW = Disturbance(turn=5, scale=0.07, shift=0.04, mask=0.0, patch=0.1, flip=False)
UNTOUCHED = Disturbance(
    turn=3, scale=0.02, shift=0.02, mask=0, patch=0, low_resolution=0, flip=False
)


@dataclass(frozen=True, slots=True)
class Lessons:
    """Stored crops (n, 128, 128, 3), whether a mask is worn (n,), yaw and pitch (n, 2) in degrees.

    Beside them crops made poor on purpose and the quality (m,) 0..1 that is left of them.
    """

    crops: np.ndarray
    masked: np.ndarray
    pose: Floats
    chosen: np.ndarray
    poor: np.ndarray
    quality: Floats


@dataclass(frozen=True, slots=True)
class Sources:
    """The folder of pictures, the one that `prepare` wrote, and whom to ask."""

    data: Path
    prepared: Path
    teachers: Teachers


def lessons(sources: Sources) -> Lessons:
    """Everything the attributes learn from; what the teachers say is kept in `prepared`."""
    prepared = sources.prepared
    with np.load(prepared / "faces.npz") as file:
        index = dict(file)
    crops, chosen = np.load(prepared / "crops.npy", mmap_mode="r"), trainable(prepared)
    paths = index["path"][index["owner"]]
    masked = np.array([wears_mask(str(path)) for path in paths])
    pose = _kept(prepared / "pose.npy", lambda: _poses(sources, index))
    poor = _kept(prepared / "poor_crops.npy", lambda: _poor(crops, chosen))
    quality = _kept(
        prepared / "quality.npy", lambda: _quality(prepared, chosen, poor, sources.teachers)
    )
    return Lessons(crops, masked, pose, chosen, poor, quality)


def _kept(file: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    if not file.exists():
        partial = file.with_suffix(".partial.npy")
        np.save(partial, make())
        partial.replace(file)
    return np.asarray(np.load(file))


def _poses(sources: Sources, index: dict[str, np.ndarray]) -> Floats:
    """The pose teacher's yaw and pitch (n, 2) of every face."""
    out = np.zeros((len(index["owner"]), 2), np.float32)
    for i in tqdm(np.unique(index["owner"]), desc="poses", mininterval=10):
        mine = index["owner"] == i
        image = load(sources.data / str(index["path"][i]))
        if image is not None:
            boxes, points = index["boxes"][mine], index["points"][mine]
            out[mine] = sources.teachers.pose.turns(image, boxes, points)
    return out


def _poor(crops: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Crops (m, 112, 112, 3): few pixels, blurred, dark, washed out, by degrees."""
    random = np.random.default_rng(SEED)
    picked = random.choice(chosen, POOR_CROPS)
    return np.stack([_spoilt(crops[i][RIM:-RIM, RIM:-RIM], random) for i in picked])


def _spoilt(crop: np.ndarray, random: Rng) -> np.ndarray:
    side = int(np.exp(random.uniform(np.log(7), np.log(CROP))))
    small = cv2.resize(np.ascontiguousarray(crop), (side, side), interpolation=cv2.INTER_AREA)
    grown = cv2.resize(small, (CROP, CROP)).astype(np.float32)
    light = grown * random.uniform(0.15, 1.3) + random.uniform(-30, 60)
    return np.clip(light + random.normal(0, random.uniform(0, 12), light.shape), 0, 255).astype(
        np.uint8
    )


def _quality(prepared: Path, chosen: np.ndarray, poor: np.ndarray, teachers: Teachers) -> Floats:
    """How like the good crop's vector the poor crop's still is, 0 at cosine 0.2 and 1 at 0.95."""
    vectors = np.load(prepared / "vectors.npy")
    picked = np.random.default_rng(SEED).choice(chosen, POOR_CROPS)
    rim = ((0, 0), (RIM, RIM), (RIM, RIM), (0, 0))
    views = [teacher_view(crop) for crop in np.pad(poor, rim)]
    parts = [teachers.embed(views[i : i + 16]) for i in range(0, len(views), 16)]
    cosines = (np.concatenate(parts) * vectors[picked]).sum(1)
    return np.asarray(np.clip((cosines - 0.2) / 0.75, 0, 1), np.float32)


@dataclass(frozen=True, slots=True)
class Batch:
    """Network input and what is known of it; `weights` (n, 3) is 0 where something is not."""

    pixels: Tensor
    masked: Tensor
    pose: Tensor
    quality: Tensor
    weights: Tensor


class Tutor:
    """Draws batches: bare and masked faces in fixed shares, and poor crops for the quality."""

    def __init__(self, lessons: Lessons, where: torch.device) -> None:
        self._all, self._where = lessons, where
        worn = lessons.masked[lessons.chosen]
        self._masked, self._bare = lessons.chosen[worn], lessons.chosen[~worn]

    def draw(self, random: Rng) -> Batch:
        poor = int(BATCH * QUALITY_SHARE)
        rows = self._rows(BATCH - poor, random)
        crops, masked = self._dressed(rows, random)
        flipped = random.random(len(rows)) < 0.5
        crops = np.where(flipped[:, None, None, None], crops[:, :, ::-1], crops)
        pose = self._all.pose[rows] * np.where(flipped, -1, 1)[:, None] ** [1, 0]
        picked = random.integers(len(self._all.poor), size=poor)
        pixels = torch.cat(
            [
                disturb(crops, random, self._where, HOW),
                disturb(_with_rim(self._all.poor[picked]), random, self._where, UNTOUCHED),
            ]
        )
        known = np.zeros((BATCH, 3), np.float32)
        known[: len(rows), :2], known[len(rows) :, 2] = 1, 1
        return Batch(
            pixels.contiguous(memory_format=torch.channels_last),
            self._tensor(np.pad(masked, (0, poor))),
            self._tensor(np.pad(pose, ((0, poor), (0, 0)))),
            self._tensor(np.pad(self._all.quality[picked], (len(rows), 0))),
            self._tensor(known),
        )

    def _rows(self, count: int, random: Rng) -> np.ndarray:
        worn = int(count * MASKED_SHARE)
        return np.concatenate(
            [random.choice(self._masked, worn), random.choice(self._bare, count - worn)]
        )

    def _dressed(self, rows: np.ndarray, random: Rng) -> tuple[np.ndarray, np.ndarray]:
        """Crops, some of the bare ones with a drawn mask, a few with one that has slipped."""
        crops, masked = np.array(self._all.crops[rows]), self._all.masked[rows].copy()
        for i in np.flatnonzero(~masked):
            chance = random.random()
            if chance < DRAWN_SHARE:
                crops[i], masked[i] = draw_on_stored(crops[i], random), True
            elif chance < DRAWN_SHARE + SLIPPED_SHARE:
                crops[i] = draw_slipped(crops[i], random)
        return crops, masked

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(self._where)


def _with_rim(crops: np.ndarray) -> np.ndarray:
    return np.pad(crops, ((0, 0), (RIM, RIM), (RIM, RIM), (0, 0)), mode="edge")


def attribute_loss(raw: Tensor, batch: Batch) -> Tensor:
    """Mask by cross entropy, angles by smooth distance, quality by cross entropy with its share."""
    entropy = nnf.binary_cross_entropy_with_logits
    mask = entropy(raw[:, 0], batch.masked, reduction="none")
    angles = nnf.smooth_l1_loss(raw[:, 1:3], batch.pose / DEGREES, beta=0.2, reduction="none").sum(
        1
    )
    quality = entropy(raw[:, 3], batch.quality, reduction="none")
    return (torch.stack([mask, angles, quality], 1) * batch.weights).sum(0).mean() / BATCH * 3


def train(sources: Sources, checkpoint: Path, minutes: float, *, resume: bool) -> None:
    """Train for `minutes` of wall time on what `prepare` found."""
    tutor = Tutor(lessons(sources), device())
    run = Run.begin(fixed(Attributes), checkpoint, minutes, peak=PEAK_RATE, resume=resume)
    random = run.random()

    def lesson(network: Network) -> Tensor:
        batch = tutor.draw(random)
        return attribute_loss(network(batch.pixels).float(), batch)

    run.practise(lesson, samples=BATCH, unit="crop")
