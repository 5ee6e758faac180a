"""What leaves training answers as it did in training; only where PyTorch is installed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
networks = pytest.importorskip("models.training.networks")
runs = pytest.importorskip("models.training.runs")
export = pytest.importorskip("models.training.export")
errors = pytest.importorskip("models.training.errors")

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter warns of its own successor


def _run(network, file: Path, *, resume: bool = False):
    return runs.Run.begin(network, file, 1.0, peak=1e-3, resume=resume)


@pytest.mark.parametrize("kind", ["embedder", "detector", "landmarks", "attributes", "spoofing"])
def test_the_exported_network_answers_like_the_trained_one(kind: str, tmp_path: Path):
    network = export.recipe(kind).network
    _run(network, tmp_path / "a.pt").save()
    digest = export.export(kind, tmp_path / "a.pt", tmp_path / "a.onnx")
    assert len(digest) == 64
    assert (tmp_path / "a.onnx").stat().st_size < 8_000_000


def test_a_killed_run_resumes_where_it_stood(tmp_path: Path):
    first = _run(networks.Landmarks(), tmp_path / "a.pt")
    for _ in range(runs.ENOUGH_STEPS):
        first.advance(first.network(torch.rand(2, 3, 48, 48) * 255).square().mean())
    first.save()
    second = _run(networks.Landmarks(), tmp_path / "a.pt", resume=True)
    assert second.step == runs.ENOUGH_STEPS
    assert second.clock.spent > 0
    for name, value in first.network.state_dict().items():
        assert torch.equal(second.network.state_dict()[name], value)


def _learning_rate(run) -> float:
    """What the next step is taken with, long after the first ones."""
    run.step = runs.WARM_UP
    run.advance(run.network(torch.rand(3, 2)).square().mean())
    return float(run.optimiser.param_groups[0]["lr"])


def test_who_has_learnt_before_begins_late_in_the_cosine_and_has_all_the_minutes_asked_for(
    tmp_path: Path,
):
    run = _run(torch.nn.Linear(2, 2), tmp_path / "a.pt")
    run.entered = 0.75
    assert (run.annealed, run.clock.progress, run.clock.minutes) == (0.75, 0.0, 1.0)
    assert _learning_rate(run) == pytest.approx(1e-3 * (0.5 * (1 - 0.5**0.5) + 0.01), rel=1e-3)
    run.clock.spent = 30.0
    assert run.annealed == pytest.approx(0.875)


def test_a_killed_run_that_began_late_goes_on_where_it_stood(tmp_path: Path):
    first = _run(torch.nn.Linear(2, 2), tmp_path / "a.pt")
    first.entered, first.clock.spent = 0.75, 36.0
    first.save()
    second = _run(torch.nn.Linear(2, 2), tmp_path / "a.pt", resume=True)
    assert second.clock.progress == pytest.approx(0.6)
    assert second.annealed == pytest.approx(0.9)


@dataclass
class FiveSteps:
    """A clock whose time is up after five steps."""

    run: Any

    @property
    def progress(self) -> float:
        return min(1.0, float(self.run.step) / 5)

    @property
    def spent(self) -> float:
        return 0.0

    def tick(self) -> None:
        pass


def test_lessons_go_on_until_the_time_is_up_and_the_last_weights_are_kept(tmp_path: Path):
    run = _run(torch.nn.Linear(3, 2), tmp_path / "a.pt")
    run.clock = FiveSteps(run)
    run.practise(
        lambda network: network(torch.rand(2, 3)).float().square().mean(), samples=2, unit="row"
    )
    assert run.step == 5
    assert runs.read_checkpoint(tmp_path / "a.pt", torch.nn.Linear(3, 2))["step"] == 5


def _clock(*times: float):
    now = iter(times)
    return runs.Clock(1.0, now=lambda: float(next(now)))


def test_a_held_process_does_not_grow_older():
    clock = _clock(0, *range(1, 11), 500, 501)
    for _ in range(12):
        clock.tick()
    assert clock.spent == 12.0


def test_neither_compiling_nor_being_held_at_the_start_counts():
    clock = _clock(0, 90, *range(91, 94), 700, *range(701, 707))
    for _ in range(11):
        clock.tick()
    assert clock.spent == 11.0


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path):
    _run(networks.Landmarks(), tmp_path / "a.pt").save()
    with pytest.raises(errors.ForeignCheckpointError, match="another architecture"):
        _run(networks.Landmarks((16, 32, 48)), tmp_path / "a.pt", resume=True)


def test_the_average_lies_between_old_and_new_weights():
    network = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = runs.MovingAverage(network, decay=0.5)
    torch.nn.init.ones_(network.weight)
    average.update(network, step=1000)
    assert np.allclose(average.values["weight"].numpy(), 0.5)
