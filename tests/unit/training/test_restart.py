"""A network goes on from the weights in a clone; only where PyTorch is installed."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")
networks = pytest.importorskip("models.training.networks")
runs = pytest.importorskip("models.training.runs")
export = pytest.importorskip("models.training.export")
errors = pytest.importorskip("models.training.errors")
restart = pytest.importorskip("models.training.restart")

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter warns of its own successor

SAME = 1e-4  # share of the largest answer, without the rounding to halves


@pytest.fixture(scope="module")
def shipped() -> Path:
    return Path(__file__).parents[3] / "models/starter/detector.onnx"


@pytest.fixture
def batch():
    return torch.from_numpy(np.random.default_rng(5).uniform(0, 255, (4, 3, 96, 64))).float()


def _difference(network, file: Path, batch) -> float:
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return float(export.parity(networks.DetectorForExport(network), session, batch.numpy()))


def test_the_weights_in_the_clone_answer_as_before_when_a_network_takes_them_up(shipped, batch):
    network = networks.Detector()
    restart.take_up(network, shipped, batch)
    assert _difference(network.eval(), shipped, batch + 3) < SAME


def test_they_answer_as_before_in_training_too_where_a_batch_makes_the_statistics(shipped, batch):
    network = networks.Detector()
    restart.take_up(network, shipped, batch)
    assert network.training
    assert _difference(network, shipped, batch) < SAME


@pytest.mark.parametrize("widths", [(16, 24, 48, 64, 112), (8, 24, 48, 64, 96)])
def test_weights_of_another_architecture_are_refused(widths, shipped, batch):
    with pytest.raises(errors.ForeignCheckpointError, match=r"detector\.onnx .* another"):
        restart.take_up(networks.Detector(widths), shipped, batch)


def test_a_file_with_convolutions_that_the_network_lacks_is_refused(shipped, batch):
    with pytest.raises(errors.ForeignCheckpointError, match="another architecture"):
        restart.take_up(networks.Detector().stem, shipped, batch)


@pytest.mark.parametrize("content", [b"", b"not a network", None])
def test_a_file_that_is_no_onnx_is_refused_in_one_line(content, batch, tmp_path: Path):
    file = tmp_path / "detector.onnx"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.TrainingError, match=r"^detector\.onnx [^\n]*$"):
        restart.take_up(networks.Detector(), file, batch)


def test_who_has_learnt_before_enters_late_and_has_all_the_minutes_asked_for(tmp_path: Path):
    run = runs.Run.begin(torch.nn.Linear(2, 2), tmp_path / "a.pt", 30.0, peak=1e-3, resume=False)
    run.enter(0.75)
    assert run.clock.progress == 0.75
    assert 60 * run.clock.minutes - run.clock.spent == pytest.approx(30 * 60)


def test_a_killed_run_that_entered_late_does_not_enter_again(tmp_path: Path):
    first = runs.Run.begin(torch.nn.Linear(2, 2), tmp_path / "a.pt", 30.0, peak=1e-3, resume=False)
    first.enter(0.75)
    first.step, first.clock.spent = 9, 60 * 108.0
    first.save()
    second = runs.Run.begin(torch.nn.Linear(2, 2), tmp_path / "a.pt", 30.0, peak=1e-3, resume=True)
    second.enter(0.75)
    assert second.clock.progress == pytest.approx(0.9)
