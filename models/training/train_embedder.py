"""Knows how the embedder learns: the teacher's vectors, from disturbed crops, no identities."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from models.training.augment import Disturbance, disturb
from models.training.crops import trainable
from models.training.errors import NoPicturesError
from models.training.inventions import Inventions
from models.training.networks import Embedder
from models.training.runs import Network, Run, device, fixed

BATCH = 96
SIMILARITY_WEIGHT = 20.0


@dataclass(frozen=True, slots=True)
class Phase:
    """From which share of the time on: shares of a batch, disturbance, peak of the rate.

    `real` of a batch are real faces, and `own` of those are aligned by the pack's own networks.
    """

    begins: float
    real: float
    own: float
    how: Disturbance
    peak: float


_FIRM = Disturbance(
    turn=6,
    scale=0.07,
    shift=0.028,
    light=0.28,
    contrast=0.32,
    tint=0.12,
    low_resolution=0.2,
    smallest=16,
    mask=0.08,
    patch=0.14,
)
_GENTLE = Disturbance(
    turn=5,
    scale=0.06,
    shift=0.022,
    light=0.25,
    contrast=0.3,
    tint=0.1,
    low_resolution=0.16,
    smallest=18,
    mask=0.07,
    patch=0.12,
)
# A student still far from its teacher on crops it knows learns little from a stronger disturbance:
# gentle first, firmer once it follows. Invented faces from the start: few people are on the photos.
PHASES = (
    Phase(0.0, 0.35, 0.5, _GENTLE, 2.4e-3),
    Phase(0.65, 0.35, 0.6, _FIRM, 2.4e-3),
)


def phase_at(progress: float) -> Phase:
    """The last phase that has begun."""
    return [phase for phase in PHASES if phase.begins <= progress][-1]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Crops (n, 128, 128, 3) with the teacher's unit vectors (n, 256); real and invented faces."""

    real: tuple[np.ndarray, np.ndarray]
    own: np.ndarray  # the real faces as the pack's own detector and landmarks align them
    invented: Inventions
    chosen: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> "Lessons":
        if not (folder / "crops.npy").exists():
            raise NoPicturesError(f"no crops.npy in {folder}")
        real = np.load(folder / "crops.npy", mmap_mode="r"), np.load(folder / "vectors.npy")
        own = folder / "own_crops.npy"
        aligned = np.load(own, mmap_mode="r") if own.exists() else real[0]
        return cls(real, aligned, Inventions(folder), trainable(folder))

    def draw(
        self, random: np.random.Generator, count: int, phase: Phase
    ) -> tuple[np.ndarray, np.ndarray]:
        """Real and invented faces in random order."""
        real = int(count * phase.real)
        mine = random.choice(self.chosen, real, replace=False)
        invented = self.invented.draw(random, count - real)
        order = random.permutation(count)
        own = (random.random(real) < phase.own)[:, None, None, None]
        faces = np.where(own, self.own[mine], self.real[0][mine])
        crops = np.concatenate([faces, invented[0]])
        vectors = np.concatenate([self.real[1][mine], invented[1]])
        return crops[order], vectors[order]


def lesson_loss(vectors: Tensor, wanted: Tensor) -> Tensor:
    """Distance to the teacher's directions, and to all similarities inside the batch."""
    ours = nnf.normalize(vectors.float(), dim=1)
    direction = (1 - (ours * wanted).sum(1)).mean()
    return direction + SIMILARITY_WEIGHT * ((ours @ ours.T - wanted @ wanted.T) ** 2).mean()


def train(crops: Path, checkpoint: Path, minutes: float, *, resume: bool) -> None:
    """Train for `minutes` of its own time, writing `checkpoint` every few."""
    lessons, where = Lessons.load(crops), device()
    run = Run.begin(fixed(Embedder), checkpoint, minutes, peak=PHASES[0].peak, resume=resume)
    random = run.random()

    def lesson(network: Network) -> Tensor:
        phase = phase_at(run.clock.progress)
        run.peak = phase.peak
        faces, wanted = lessons.draw(random, BATCH, phase)
        vectors = network(disturb(faces, random, where, phase.how))
        return lesson_loss(vectors, torch.from_numpy(wanted).to(where))

    run.practise(lesson, samples=BATCH, unit="crop")
