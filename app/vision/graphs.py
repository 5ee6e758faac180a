"""How a network is written for ONNX Runtime's processor kernels, its answers left as they are.

A convolution there works on channels in blocks of 8 or 16, and so do the operators that may stand
between two of them. PRelu is none of these: around each one every value is brought into rows and
back, and its own kernel is slow. More than half of an embedding's time goes there (decision 0022).
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, load_model_from_string
from onnx.numpy_helper import from_array, to_array

Slopes = NDArray[np.float32]


def in_blocks(content: bytes) -> bytes:
    """The network `content` without PRelu as far as that is possible, or as it is without any.

    Raises what onnx raises when it is no network.
    """
    model = load_model_from_string(content)
    graph = model.graph
    slopes = _slopes(model)
    if not slopes:
        return content
    nodes = [new for node in graph.node for new in _written(node, slopes)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constants(slopes))
    written: bytes = model.SerializeToString()
    return written


def _slopes(model: ModelProto) -> dict[str, Slopes]:
    """Of every PRelu that can be written otherwise, by the name of its output."""
    constants = _fixed(model)
    found = {}
    for node in model.graph.node:
        if node.op_type == "PRelu" and node.input[1] in constants:
            slope = to_array(constants[node.input[1]])
            if slope.dtype == np.float32 and (slope.size == 1 or _by_channel(slope)):
                found[node.output[0]] = slope.reshape(-1)
    return found


def _fixed(model: ModelProto) -> dict[str, TensorProto]:
    """Constants by name. Since ONNX's IR 4 one that is an input as well may be set by a caller."""
    entries = {entry.name for entry in model.graph.input} if model.ir_version >= 4 else set()
    named = {constant.name: constant for constant in model.graph.initializer}
    return {name: constant for name, constant in named.items() if name not in entries}


def _by_channel(slope: Slopes) -> bool:
    """Whether it is one value for each channel of a picture: (c, 1, 1) or (1, c, 1, 1)."""
    return slope.ndim >= 3 and slope.shape[-3:] == (slope.size, 1, 1)


def _written(node: NodeProto, slopes: Mapping[str, Slopes]) -> Iterable[NodeProto]:
    slope = slopes.get(node.output[0])
    if slope is None or node.op_type != "PRelu":
        return [node]
    x, y = node.input[0], node.output[0]
    if slope.size == 1:  # this one is even computed together with the convolution before it
        return [helper.make_node("LeakyRelu", [x], [y], alpha=float(slope[0]))]
    # a x + (1 - a) max(x, 0), with a product by channel as a convolution of its own
    return [
        helper.make_node("Relu", [x], [f"{y}/positive"]),
        helper.make_node("Conv", [f"{y}/positive", f"{y}/rest"], [f"{y}/above"], group=slope.size),
        helper.make_node("Conv", [x, f"{y}/slope"], [f"{y}/all"], group=slope.size),
        helper.make_node("Add", [f"{y}/all", f"{y}/above"], [y]),
    ]


def _constants(slopes: Mapping[str, Slopes]) -> Iterator[TensorProto]:
    for y, slope in slopes.items():
        if slope.size > 1:
            by_channel = slope.reshape(-1, 1, 1, 1)
            yield from_array(by_channel, f"{y}/slope")
            yield from_array(np.float32(1.0) - by_channel, f"{y}/rest")
