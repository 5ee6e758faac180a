"""Knows how the embedder learns: the teacher's vectors, from disturbed crops, no identities."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor
from tqdm import tqdm

from models.training.augment import Disturbance, disturb
from models.training.crops import trainable
from models.training.errors import NoPicturesError
from models.training.networks import Embedder
from models.training.runs import Run, compiled, device, fixed

BATCH = 96
PEAK_RATE = 1.5e-3
SIMILARITY_WEIGHT = 20.0


@dataclass(frozen=True, slots=True)
class Lessons:
    """Crops (n, 128, 128, 3) with the teacher's unit vectors (n, 256); real faces and blends."""

    real: tuple[np.ndarray, np.ndarray]
    blends: tuple[np.ndarray, np.ndarray]
    chosen: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> "Lessons":
        if not (folder / "crops.npy").exists():
            raise NoPicturesError(f"no crops.npy in {folder}")
        chosen = trainable(folder)
        return cls(_arrays(folder, ""), _arrays(folder, "blend_"), chosen)

    def draw(self, random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Half real faces, half blends, in random order."""
        half = count // 2
        mine = random.choice(self.chosen, half, replace=False)
        mixed = random.integers(len(self.blends[0]), size=count - half)
        order = random.permutation(count)
        crops, vectors = (
            np.concatenate([of_real[mine], of_blends[mixed]])[order]
            for of_real, of_blends in zip(self.real, self.blends, strict=True)
        )
        return crops, vectors


def _arrays(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.load(folder / f"{prefix}crops.npy", mmap_mode="r"),
        np.load(folder / f"{prefix}vectors.npy"),
    )


def lesson_loss(vectors: Tensor, wanted: Tensor) -> Tensor:
    """Distance to the teacher's directions, and to all similarities inside the batch."""
    ours = nnf.normalize(vectors.float(), dim=1)
    direction = (1 - (ours * wanted).sum(1)).mean()
    return direction + SIMILARITY_WEIGHT * ((ours @ ours.T - wanted @ wanted.T) ** 2).mean()


def train(crops: Path, checkpoint: Path, minutes: float, *, resume: bool) -> None:
    """Train for `minutes` of wall time, writing `checkpoint` every few."""
    lessons = Lessons.load(crops)
    run = Run.begin(fixed(Embedder), checkpoint, minutes, peak=PEAK_RATE, resume=resume)
    network, where, how = compiled(run.network), device(), Disturbance()
    random = run.random()
    with tqdm(unit="crop", mininterval=10) as bar:
        while run.clock.progress < 1:
            crops_now, wanted = lessons.draw(random, BATCH)
            x = disturb(crops_now, random, where, how)
            with torch.autocast(where.type, torch.bfloat16):
                vectors = network(x)
            loss = lesson_loss(vectors, torch.from_numpy(wanted).to(where))
            run.advance(loss)
            bar.update(BATCH)
            if run.step % 20 == 0:
                bar.set_postfix(
                    step=run.step, loss=f"{loss.item():.3f}", done=f"{run.clock.progress:.1%}"
                )
    run.save()
