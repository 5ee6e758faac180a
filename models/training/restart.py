"""Knows how the weights of a shipped ONNX file become a network that goes on learning.

A checkpoint holds more, but it stays with whoever trained; the file is in every clone.
"""

from contextlib import ExitStack
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from models.training.errors import ForeignCheckpointError, TrainingError

Convolution = tuple[Tensor, Tensor]  # weight (out, in, rows, columns) and bias (out,)


def take_up(network: nn.Module, file: Path, batch: Tensor) -> None:
    """Give `network`, of plain convolutions, the weights of the `file` it was exported to.

    The file's convolutions have swallowed the batch normalisation that followed them. Here it gets
    the mean and variance of what it is given when the network is shown `batch`, and the scale and
    shift that undo them and add the file's bias: the answers stay those of the file, and learning
    finds statistics that are true.

    Raises:
        TrainingError: the file cannot be read.
        ForeignCheckpointError: it holds other convolutions than `network`.
    """
    given = iter(_convolutions(file))
    foreign = ForeignCheckpointError(f"{file.name} was exported from another architecture")
    biases: list[Tensor] = []

    def fill(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.BatchNorm2d):
            _undone(module, inputs[0], biases[-1])
        elif isinstance(module, nn.Conv2d):
            weight, bias = next(given, (None, None))
            if weight is None or bias is None or weight.shape != module.weight.shape:
                raise foreign
            module.weight.copy_(weight)
            if module.bias is not None:
                module.bias.copy_(bias)
            biases.append(bias)

    was_training = network.training
    network.eval()
    with ExitStack() as stack, torch.no_grad():
        for module in network.modules():
            stack.enter_context(module.register_forward_pre_hook(fill))
        network(batch)
    network.train(was_training)
    if next(given, None) is not None:
        raise foreign


def _undone(norm: nn.BatchNorm2d, given: Tensor, bias: Tensor) -> None:
    """Let `norm` hand on what it is `given`, plus `bias`."""
    variance, mean = torch.var_mean(given, dim=(0, 2, 3), correction=0)
    for kept, value in (
        (norm.running_mean, mean),
        (norm.running_var, variance),
        (norm.weight, (variance + norm.eps).sqrt()),
        (norm.bias, bias + mean),
    ):
        if kept is not None:
            kept.copy_(value)


def _convolutions(file: Path) -> list[Convolution]:
    """All of a file, in the order in which they are run."""
    try:
        graph = onnx.load(file).graph
    except (OSError, DecodeError) as error:
        raise TrainingError(f"{file.name} cannot be read as ONNX") from error
    stored = {weight.name: weight for weight in graph.initializer}
    # Large weights are stored in half, each under the name that its cast gives back.
    stored |= {
        node.output[0]: stored[node.input[0]]
        for node in graph.node
        if node.op_type == "Cast" and node.input[0] in stored
    }
    taken = [node.input[1:] for node in graph.node if node.op_type == "Conv"]
    return [(_tensor(stored[weight]), _tensor(stored[bias])) for weight, bias in taken]


def _tensor(stored: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(numpy_helper.to_array(stored).astype("float32"))
