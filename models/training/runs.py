"""Knows what every training run shares: clock, schedule, moving average, checkpoints."""

import math
import shutil
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from models.training.errors import ForeignCheckpointError
from models.training.networks import fingerprint

Network = Callable[[Tensor], Any]  # what a batch gives: a tensor, or one for each stride

SEED = 20261121
SAVE_EVERY = 240.0  # seconds
WARM_UP = 300  # steps
HELD = 8.0  # times as long as the latest steps: this one was interrupted
RECENT_STEPS = 64
ENOUGH_STEPS = 8
DECAY = 0.998


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fixed(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose first weights are the same every time."""
    torch.manual_seed(SEED)
    return build()


def compiled(network: nn.Module) -> nn.Module:
    """`network` with its element-wise steps fused, a third faster, where a compiler is at hand."""
    return torch.compile(network) if shutil.which("g++") else network


def _in_bfloat16(network: nn.Module) -> Network:
    kind = device().type

    def run(x: Tensor) -> object:
        with torch.autocast(kind, torch.bfloat16):
            return network(x)

    return run


@dataclass(slots=True)
class Clock:
    """Minutes of training, over all resumed runs.

    They are the process's own: a step that took many times as long as steps do, since the process
    was held or the machine asleep, counts as one of the usual length. The rate's cosine depends on
    it, so a pause costs no learning.
    """

    minutes: float
    spent: float = 0.0  # seconds
    now: Callable[[], float] = time.monotonic
    _last: float = 0.0
    _took: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))

    def __post_init__(self) -> None:
        self._last = self.now()

    def tick(self) -> None:
        """One step is done."""
        now = self.now()
        self._took.append(now - self._last)
        self._last = now
        usual = statistics.median(self._took)
        if len(self._took) > ENOUGH_STEPS:
            self.spent += self._took[-1] if self._took[-1] <= HELD * usual else usual
        elif len(self._took) == ENOUGH_STEPS:
            # Only now is it known how long a step takes: less than the first, which compiles.
            self.spent += ENOUGH_STEPS * usual

    @property
    def progress(self) -> float:
        """0 at the beginning, 1 when the time is up."""
        return min(1.0, self.spent / (60 * self.minutes))


def learning_rate(peak: float, step: int, progress: float) -> float:
    """A short warm-up, then half a cosine over the planned time."""
    return peak * min(1.0, (step + 1) / WARM_UP) * (0.5 * (1 + math.cos(math.pi * progress)) + 0.01)


class MovingAverage:
    """Exponential mean of a network's weights and statistics; what is exported."""

    def __init__(self, network: nn.Module, decay: float = DECAY) -> None:
        self._decay = decay
        self.values = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def update(self, network: nn.Module, step: int) -> None:
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in network.state_dict().items():
                _blend(self.values[name], value, decay)


def _blend(kept: Tensor, new: Tensor, decay: float) -> None:
    if kept.is_floating_point():
        kept.lerp_(new, 1 - decay)
    else:
        kept.copy_(new)


@dataclass(slots=True)
class Run:
    """One network in training: everything a checkpoint holds.

    `entered` is how much of the learning rate's cosine, 0..1, was left out at the start, since the
    network had learnt before.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    average: MovingAverage
    clock: Clock
    file: Path
    peak: float
    entered: float = 0.0
    step: int = 0
    saved: float = 0.0

    @classmethod
    def begin(
        cls,
        network: nn.Module,
        file: Path,
        minutes: float,
        *,
        peak: float,
        resume: bool,
        decay: float = DECAY,
    ) -> "Run":
        """A fresh run of `minutes`, or the one in `file` taken up where it was killed.

        `decay` is that of the moving average of the weights.

        Raises:
            ForeignCheckpointError: `file` belongs to another architecture.
        """
        network.to(device(), memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(network.parameters(), peak, weight_decay=5e-2)
        average = MovingAverage(network, decay)
        run = cls(network, optimiser, average, Clock(minutes), file, peak)
        if resume and file.exists():
            run._restore()
        return run

    @property
    def annealed(self) -> float:
        """How much of the learning rate's cosine is over, 0..1: all when the time is up."""
        return self.entered + (1 - self.entered) * self.clock.progress

    def seed(self) -> tuple[int, int]:
        """For all that is drawn; a resumed run does not repeat what it has seen."""
        return SEED, self.step

    def random(self) -> np.random.Generator:
        """A generator of that seed."""
        return np.random.default_rng(self.seed())

    def practise(self, lesson: Callable[[Network], Tensor], *, samples: int, unit: str) -> None:
        """Lessons until the time is up, with a progress bar; the last weights are saved.

        `lesson` shows the network a batch of `samples` (each called a `unit`) and gives the loss.
        """
        network = _in_bfloat16(compiled(self.network))
        with tqdm(unit=unit, mininterval=10) as bar:
            while self.clock.progress < 1:
                loss = lesson(network)
                self.advance(loss)
                bar.update(samples)
                if self.step % 20 == 0:
                    done = f"{self.clock.progress:.1%}"
                    bar.set_postfix(step=self.step, loss=f"{loss.item():.3f}", done=done)
        self.save()

    def advance(self, loss: Tensor) -> None:
        """One step down the gradient of `loss`."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.peak, self.step, self.annealed)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.average.update(self.network, self.step)
        self.step += 1
        self.clock.tick()
        if self.clock.spent - self.saved > SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Replace the checkpoint in one move, so that a kill never leaves half of one."""
        self.saved = self.clock.spent
        state = {
            "fingerprint": fingerprint(self.network),
            "network": self.network.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent": self.clock.spent,
            "entered": self.entered,
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.file)

    def _restore(self) -> None:
        state = read_checkpoint(self.file, self.network)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.values = state["average"]
        self.step, self.clock.spent = state["step"], state["spent"]
        self.saved = state["spent"]
        self.entered = state.get("entered", 0.0)  # an older checkpoint holds none


def read_checkpoint(file: Path, network: nn.Module) -> dict:
    """What `save` wrote, checked to belong to `network`.

    Raises:
        ForeignCheckpointError: it does not.
    """
    state = torch.load(file, map_location=device(), weights_only=True)
    if state["fingerprint"] != fingerprint(network):
        raise ForeignCheckpointError(f"{file.name} was written by another architecture")
    return state


def averaged(network: nn.Module, file: Path) -> nn.Module:
    """`network` with the averaged weights of a checkpoint, ready to export."""
    network.load_state_dict(read_checkpoint(file, network)["average"])
    return network.eval()
