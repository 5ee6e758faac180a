"""A network goes on from the weights in a clone; only where PyTorch is installed."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from models.training.errors import ForeignCheckpointError

torch = pytest.importorskip("torch")
networks = pytest.importorskip("models.training.networks")
export = pytest.importorskip("models.training.export")
warm_start = pytest.importorskip("models.training.warm_start").warm_start

SAME = 1e-4  # share of the largest answer, without the rounding to halves


@pytest.fixture(scope="module")
def shipped() -> bytes:
    return (Path(__file__).parents[3] / "models/starter/detector.onnx").read_bytes()


@pytest.fixture
def batch():
    return torch.from_numpy(np.random.default_rng(5).uniform(0, 255, (4, 3, 96, 64))).float()


def _difference(network, content: bytes, batch) -> float:
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return float(export.parity(networks.DetectorForExport(network), session, batch.numpy()))


def test_the_weights_in_the_clone_answer_as_before_in_a_network_that_starts_from_them(
    shipped, batch
):
    network = networks.Detector()
    warm_start(network, shipped, batch)
    assert _difference(network.eval(), shipped, batch + 3) < SAME


def test_they_answer_as_before_in_training_too_where_a_batch_makes_the_statistics(shipped, batch):
    network = networks.Detector()
    warm_start(network, shipped, batch)
    assert network.training
    assert _difference(network, shipped, batch) < SAME


@pytest.mark.parametrize("widths", [(16, 24, 48, 64, 112), (8, 24, 48, 64, 96)])
def test_weights_of_another_architecture_are_refused(widths, shipped, batch):
    with pytest.raises(ForeignCheckpointError, match="another architecture"):
        warm_start(networks.Detector(widths), shipped, batch)


def test_weights_of_a_longer_network_are_refused(shipped, batch):
    with pytest.raises(ForeignCheckpointError, match="another architecture"):
        warm_start(networks.Detector().stem, shipped, batch)


def _without_a_bias(model) -> None:
    next(node for node in model.graph.node if node.op_type == "Conv").input.pop()


def _without_stored_weights(model) -> None:
    del model.graph.initializer[:]


@pytest.mark.parametrize("spoil", [_without_a_bias, _without_stored_weights])
def test_convolutions_that_hold_no_weights_of_their_own_are_refused(spoil, shipped, batch):
    model = onnx.load_from_string(shipped)
    spoil(model)
    with pytest.raises(ForeignCheckpointError, match="another architecture"):
        warm_start(networks.Detector(), model.SerializeToString(), batch)


@pytest.mark.parametrize("content", [b"", b"not a network"])
def test_what_is_no_network_is_refused(content, batch):
    with pytest.raises(ForeignCheckpointError, match="another architecture"):
        warm_start(networks.Detector(), content, batch)
