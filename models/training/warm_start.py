"""Knows how the exported weights of a pack become a network that goes on learning.

A checkpoint holds more, but it stays with whoever trained; the weights are in every clone.
"""

from contextlib import ExitStack

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from models.training.errors import ForeignCheckpointError

Convolution = tuple[Tensor, Tensor]  # weight (out, in, rows, columns) and bias (out,)


def warm_start(network: nn.Module, content: bytes, batch: Tensor) -> None:
    """Give `network`, of plain convolutions, the weights of the ONNX file it was exported to.

    The file's convolutions have swallowed the batch normalisation that followed them. Here it gets
    the mean and variance of what it is given when the network is shown `batch` (n, 3, height,
    width), and the scale and shift that undo them and add the file's bias: the answers stay those
    of the file, and learning finds statistics that are true.

    Raises:
        ForeignCheckpointError: `content` holds other convolutions than `network`, or is no network.
    """
    given = iter(_convolutions(content))
    biases: list[Tensor] = []

    def fill(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.BatchNorm2d):
            _unfuse(module, inputs[0], biases[-1])
        elif isinstance(module, nn.Conv2d):
            weight, bias = next(given, (None, None))
            if weight is None or bias is None or weight.shape != module.weight.shape:
                raise _foreign()
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
        raise _foreign()


def _foreign() -> ForeignCheckpointError:
    return ForeignCheckpointError("the weights to start from are of another architecture")


def _unfuse(norm: nn.BatchNorm2d, given: Tensor, bias: Tensor) -> None:
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


def _convolutions(content: bytes) -> list[Convolution]:
    """All of a file, in the order in which they are run."""
    try:
        graph = onnx.load_from_string(content).graph
    except DecodeError as error:
        raise _foreign() from error
    stored = {weight.name: weight for weight in graph.initializer}
    # Large weights are stored in half, each under the name that its cast gives back.
    stored |= {
        node.output[0]: stored[node.input[0]]
        for node in graph.node
        if node.op_type == "Cast" and node.input[0] in stored
    }
    taken = [node.input[1:] for node in graph.node if node.op_type == "Conv"]
    if any(len(names) != 2 or not stored.keys() >= set(names) for names in taken):
        raise _foreign()
    return [(_tensor(stored[weight]), _tensor(stored[bias])) for weight, bias in taken]


def _tensor(stored: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(numpy_helper.to_array(stored).astype("float32"))
