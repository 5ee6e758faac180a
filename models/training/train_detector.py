"""Knows how the detector learns: boxes, points and scores of faces in composed pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor
from tqdm import tqdm

from models.training.assignment import Cells, assign
from models.training.networks import Detector
from models.training.runs import Run, compiled, device, fixed
from models.training.scenes import SIDE, Scene, Studio, scenes

BATCH = 32
PEAK_RATE = 2e-3
BOX_WEIGHT, POINT_WEIGHT = 2.0, 2.0


@dataclass(frozen=True, slots=True)
class Targets:
    """What the cells of a batch should say; `positive` indexes the flattened cells."""

    asked: Tensor
    positive: Tensor
    boxes: Tensor
    points: Tensor


def targets(batch: list[Scene], cells: Cells, where: torch.device) -> Targets:
    """Assignment of every picture, stacked."""
    answers = [assign(cells, scene.boxes, scene.ignored) for scene in batch]
    positive = [np.flatnonzero(answer >= 0) for answer in answers]
    boxes = [s.boxes[a[p]] for s, a, p in zip(batch, answers, positive, strict=True)]
    points = [s.points[a[p]] for s, a, p in zip(batch, answers, positive, strict=True)]
    index = [p + i * len(cells.corners) for i, p in enumerate(positive)]
    return Targets(
        torch.from_numpy(np.concatenate(answers) > -2).to(where),
        torch.from_numpy(np.concatenate(index)).to(where),
        torch.from_numpy(np.concatenate(boxes)).float().to(where),
        torch.from_numpy(np.concatenate(points)).float().to(where),
    )


class DetectionLoss:
    """Score against the overlap reached, box by generalised overlap, points by smooth distance."""

    def __init__(self, cells: Cells, where: torch.device) -> None:
        self.cells = cells
        self._corners = torch.from_numpy(cells.corners).to(where)
        self._strides = torch.from_numpy(cells.strides).to(where)[:, None]

    def __call__(self, levels: list[Tensor], wanted: Targets) -> Tensor:
        flat = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
        rows = flat.flatten(0, 1)
        count = max(len(wanted.positive), 1)
        chosen = rows[wanted.positive]
        place = wanted.positive % len(self._corners)
        overlap, box_loss = self._boxes(chosen[:, 1:5], place, wanted.boxes)
        point_loss = self._points(chosen[:, 5:], place, wanted)
        score_loss = _score_loss(rows[:, 0], wanted, overlap.detach())
        return (score_loss + BOX_WEIGHT * box_loss + POINT_WEIGHT * point_loss) / count

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
    """Quality focal loss (Li et al. 2020): the score learns how well the cell's box fits."""
    aim = torch.zeros_like(logits)
    aim[wanted.positive] = overlap.clamp(min=0.1)
    loss = nnf.binary_cross_entropy_with_logits(logits, aim, reduction="none")
    return (loss * (aim - logits.sigmoid()).abs() ** 2)[wanted.asked].sum()


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of matching boxes (n, 4), and its generalised form."""
    common = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    shared = common.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    overlap = shared / union.clamp(min=1e-6)
    return overlap, overlap - (hull - union) / hull.clamp(min=1e-6)


def to_pixels(batch: list[Scene], where: torch.device) -> Tensor:
    """(n, 3, SIDE, SIDE), BGR 0..255."""
    stacked = np.stack([scene.image[..., ::-1] for scene in batch])
    tensor = torch.from_numpy(stacked).to(where).permute(0, 3, 1, 2).float()
    return tensor.contiguous(memory_format=torch.channels_last)


def train(data: Path, prepared: Path, checkpoint: Path, minutes: float, *, resume: bool) -> None:
    """Train for `minutes` of wall time on what `prepare` found."""
    studio, where = Studio(scenes(data, prepared, held_out=False)), device()
    run = Run.begin(fixed(Detector), checkpoint, minutes, peak=PEAK_RATE, resume=resume)
    network, loss_of = compiled(run.network), DetectionLoss(Cells.of(SIDE, SIDE), where)
    random = run.random()
    with tqdm(unit="picture", mininterval=10) as bar:
        while run.clock.progress < 1:
            batch = [studio.shoot(random) for _ in range(BATCH)]
            wanted = targets(batch, loss_of.cells, where)
            with torch.autocast(where.type, torch.bfloat16):
                levels = network(to_pixels(batch, where))
            loss = loss_of(levels, wanted)
            run.advance(loss)
            bar.update(BATCH)
            if run.step % 20 == 0:
                bar.set_postfix(
                    step=run.step, loss=f"{loss.item():.3f}", done=f"{run.clock.progress:.1%}"
                )
    run.save()
