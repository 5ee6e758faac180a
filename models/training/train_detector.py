"""Knows how the detector learns: boxes, points and scores of faces in composed pictures.

Labels say of each cell what it should answer, and where they say nothing, or "no face", so does the
teacher, which has seen more crowds than there are labelled ones here: its score of every cell of
every composed picture is learnt beside them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from multiprocessing import get_all_start_methods
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from app.vision.geometry import Floats
from models.training.assignment import Cells, assign
from models.training.networks import Detector
from models.training.runs import SEED, Network, Run, device, fixed
from models.training.scenes import SIDE, Scene, Studio, scenes
from models.training.teachers import CellScores
from models.training.warm_start import warm_start

BATCH = 32
PEAK_RATE = 2e-3
DECAY = 0.9995  # of the moving average: the last 2,000 steps
COMPOSERS = 2  # processes
BOX_WEIGHT, POINT_WEIGHT = 2.0, 2.0
LEAST_AIM = 0.1  # of a face's cell, however badly its box fits yet
WARM_START_AT = 0.55  # of the rate's cosine: the whole rate would undo what the weights know
WARM_START_BATCHES = 8


@dataclass(frozen=True, slots=True)
class Targets:
    """What the cells of a batch should say; `positive` indexes the flattened cells.

    `taught` holds the teacher's scores of all of them.
    """

    asked: Tensor
    positive: Tensor
    boxes: Tensor
    points: Tensor
    taught: Tensor

    def to(self, where: torch.device) -> Self:
        """The same on another device."""
        return type(self)(*(getattr(self, field.name).to(where) for field in fields(self)))


def targets(batch: list[Scene], cells: Cells, taught: list[Floats]) -> Targets:
    """Assignment of every picture, and what the teacher says of its cells (n,), stacked."""
    answers = [assign(cells, scene.boxes, scene.ignored) for scene in batch]
    positive = [np.flatnonzero(answer >= 0) for answer in answers]
    boxes = [s.boxes[a[p]] for s, a, p in zip(batch, answers, positive, strict=True)]
    points = [s.points[a[p]] for s, a, p in zip(batch, answers, positive, strict=True)]
    index = [p + i * len(cells.corners) for i, p in enumerate(positive)]
    return Targets(
        torch.from_numpy(np.concatenate(answers) > -2),
        torch.from_numpy(np.concatenate(index)),
        torch.from_numpy(np.concatenate(boxes)).float(),
        torch.from_numpy(np.concatenate(points)).float(),
        torch.from_numpy(np.concatenate(taught)).float(),
    )


class DetectionLoss:
    """Scores against the overlap reached and against the teacher's, box, and points.

    The box counts by generalised overlap, the points by their smooth distance.
    """

    def __init__(self, cells: Cells, where: torch.device) -> None:
        self.cells = cells
        self._corners = torch.from_numpy(cells.corners).to(where)
        self._strides = torch.from_numpy(cells.strides).to(where)[:, None]

    def __call__(self, levels: list[Tensor], wanted: Targets) -> Tensor:
        flat = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
        rows = flat.flatten(0, 1).float()
        count = max(len(wanted.positive), 1)
        chosen = rows[wanted.positive]
        place = wanted.positive % len(self._corners)
        overlap, box_loss = self._boxes(chosen[:, 2:6], place, wanted.boxes)
        point_loss = self._points(chosen[:, 6:], place, wanted)
        score_loss = _score_loss(rows[:, 0], wanted, overlap.detach())
        taught_loss = _taught_loss(rows[:, 1], wanted, overlap.detach())
        return (
            score_loss + taught_loss + BOX_WEIGHT * box_loss + POINT_WEIGHT * point_loss
        ) / count

    def _boxes(self, raw: Tensor, place: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        corners, strides = self._corners[place], self._strides[place]
        centre = corners + raw[:, :2] * strides
        half = raw[:, 2:].clamp(max=6).exp() * strides / 2
        overlap, generalised = overlaps(torch.cat([centre - half, centre + half], 1), truth)
        return overlap, (1 - generalised).sum()

    def _points(self, raw: Tensor, place: Tensor, wanted: Targets) -> Tensor:
        """Distances in shares of the face, so that large and small faces weigh alike."""
        found = (
            self._corners[place][:, None] + raw.reshape(-1, 5, 2) * self._strides[place][:, None]
        )
        size = (wanted.boxes[:, 2:] - wanted.boxes[:, :2]).mean(1)[:, None, None]
        known = wanted.points.isfinite().all(2, keepdim=True)
        truth = torch.where(known, wanted.points, found.detach())
        return 5 * nnf.smooth_l1_loss(found / size, truth / size, beta=0.03, reduction="sum") / 10


def _score_loss(logits: Tensor, wanted: Targets, overlap: Tensor) -> Tensor:
    """The score learns how well the cell's box fits, where labels say something of the cell."""
    aim = torch.zeros_like(logits)
    aim[wanted.positive] = overlap.clamp(min=LEAST_AIM)
    return _quality_focal_loss(logits, aim)[wanted.asked].sum()


def _taught_loss(logits: Tensor, wanted: Targets, overlap: Tensor) -> Tensor:
    """The score learns what the teacher says, but for labelled faces that it does not see."""
    aim = wanted.taught.clone()
    aim[wanted.positive] = torch.maximum(aim[wanted.positive], overlap.clamp(min=LEAST_AIM))
    return _quality_focal_loss(logits, aim).sum()


def _quality_focal_loss(logits: Tensor, aim: Tensor) -> Tensor:
    """Of each cell, as Li et al. (Generalized Focal Loss, 2020) have it, beta = 2."""
    loss = nnf.binary_cross_entropy_with_logits(logits, aim, reduction="none")
    return loss * (aim - logits.sigmoid()).abs() ** 2


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of matching boxes (n, 4), and its generalised form."""
    common = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    shared = common.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    overlap = shared / union.clamp(min=1e-6)
    return overlap, overlap - (hull - union) / hull.clamp(min=1e-6)


def to_pixels(images: Tensor, where: torch.device) -> Tensor:
    """RGB bytes (n, SIDE, SIDE, 3) to (n, 3, SIDE, SIDE), BGR 0..255."""
    pixels = images.to(where).permute(0, 3, 1, 2).flip(1).float()
    return pixels.contiguous(memory_format=torch.channels_last)


class Shoots(IterableDataset[tuple[Tensor, Targets]]):
    """Endless batches: RGB bytes (BATCH, SIDE, SIDE, 3) and what to say of them."""

    def __init__(
        self, studio: Studio, open_teacher: Callable[[], CellScores], seed: Sequence[int]
    ) -> None:
        """`open_teacher` is called by each process that composes: sessions outlive no fork."""
        self._studio, self._open_teacher, self._seed = studio, open_teacher, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Targets]]:
        cv2.setNumThreads(0)
        worker = get_worker_info()
        seed = (*self._seed, worker.id if worker else 0)
        random, cells = np.random.default_rng(seed), Cells.of(SIDE, SIDE)
        teacher = self._open_teacher()
        while True:
            batch = [self._studio.shoot(random) for _ in range(BATCH)]
            images = np.stack([scene.image for scene in batch])
            taught = [teacher.of(image) for image in images]
            yield torch.from_numpy(images), targets(batch, cells, taught)


def _warm(network: nn.Module, start: bytes, studio: Studio) -> None:
    random = np.random.default_rng(SEED)
    images = np.stack([studio.shoot(random).image for _ in range(WARM_START_BATCHES * BATCH)])
    warm_start(network, start, to_pixels(torch.from_numpy(images), torch.device("cpu")))


def _sharing() -> str | None:
    """How processes begin that share the photos instead of getting a copy, where there is a way."""
    return "fork" if "fork" in get_all_start_methods() else None


def _step_back(_: int) -> None:
    # Two threads that learn wait for each other, so a core that one of them shares is lost to both:
    # compose when the processor has nothing to learn.
    os.nice(19)


@dataclass(frozen=True, slots=True)
class Sources:
    """The folder of pictures, the one that `prepare` wrote, and whom to ask.

    `start` is the content of a detector.onnx whose weights go on learning, None to learn from
    nothing.
    """

    data: Path
    prepared: Path
    open_teacher: Callable[[], CellScores]
    start: bytes | None = None


def train(sources: Sources, checkpoint: Path, minutes: float, *, resume: bool) -> None:
    """Train for `minutes` of wall time on what `prepare` found.

    Raises:
        TrainingError: nothing was prepared, or weights to ask or to start from cannot be used.
    """
    sources.open_teacher()  # told here what is wrong with it, not in a process that composes
    studio, where = Studio(scenes(sources.data, sources.prepared, held_out=False)), device()
    network = fixed(Detector)
    start = None if resume and checkpoint.exists() else sources.start
    if start is not None:
        _warm(network, start, studio)
    run = Run.begin(network, checkpoint, minutes, peak=PEAK_RATE, decay=DECAY, resume=resume)
    if start is not None:
        run.entered = WARM_START_AT
    shoots = DataLoader(
        Shoots(studio, sources.open_teacher, run.seed()),
        batch_size=None,
        num_workers=COMPOSERS,
        prefetch_factor=4,
        multiprocessing_context=_sharing(),
        worker_init_fn=_step_back,
    )
    batches, loss_of = iter(shoots), DetectionLoss(Cells.of(SIDE, SIDE), where)

    def lesson(network: Network) -> Tensor:
        images, wanted = next(batches)
        return loss_of(network(to_pixels(images, where)), wanted.to(where))

    run.practise(lesson, samples=BATCH, unit="picture")
