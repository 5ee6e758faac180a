"""How a network is written for ONNX Runtime, its answers left as they are.

A convolution there works on channels in blocks of 8 or 16, and so do the operators that may stand
between two of them. PRelu is none of these: around each one every value is brought into rows and
back, and its own kernel is slow. More than half of an embedding's time goes there (decision 0022).

A detector answers for thousands of cells of which a few hold a face. Those are chosen in the
network, too: each operation on an array is one more that lets go of the interpreter (0026).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

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


LEAST, CELLS = "facereco/least", "facereco/cells"
PRODUCTS, BOXES, POINTS = "facereco/products", "facereco/boxes", "facereco/points"
_HEADS = {"cls": [-1], "obj": [-1], "bbox": [-1, 4], "kps": [-1, 10]}


def of_cells(content: bytes, strides: Sequence[int]) -> bytes:
    """The YuNet `content`, which gives the cells with a face alone.

    A second input `LEAST` (1,) is the least product of both scores. Outputs: `CELLS` (k,), numbered
    through all `strides`, `PRODUCTS` (k,), `BOXES` (k, 4) and `POINTS` (k, 10) of those cells.
    Raises what onnx raises when it is no network, and `KeyError` when it is no YuNet.
    """
    model = load_model_from_string(content)
    graph = model.graph
    given = {output.name for output in graph.output}
    if missing := {f"{head}_{s}" for s in strides for head in _HEADS} - given:
        raise KeyError(min(missing))
    graph.node.extend(_chosen(strides))
    for head, shape in _HEADS.items():
        graph.initializer.append(from_array(np.array(shape, np.int64), _own(head, "shape")))
    graph.input.append(helper.make_tensor_value_info(LEAST, TensorProto.FLOAT, [1]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(CELLS, TensorProto.INT64, ["k"]))
    graph.output.append(helper.make_tensor_value_info(PRODUCTS, TensorProto.FLOAT, ["k"]))
    graph.output.append(helper.make_tensor_value_info(BOXES, TensorProto.FLOAT, ["k", 4]))
    graph.output.append(helper.make_tensor_value_info(POINTS, TensorProto.FLOAT, ["k", 10]))
    written: bytes = model.SerializeToString()
    return written


def _own(*parts: str) -> str:
    """A name that no network has by itself."""
    return "/".join(("facereco", *parts))


def _chosen(strides: Sequence[int]) -> Iterator[NodeProto]:
    node = helper.make_node
    for head in _HEADS:
        every = _own(head, "every")
        yield node("Concat", [f"{head}_{s}" for s in strides], [every], axis=1)
        yield node("Reshape", [every, _own(head, "shape")], [_own(head)])
    both, unlikely, likely, places = map(_own, ("both", "unlikely", "likely", "places"))
    yield node("Mul", [_own("cls"), _own("obj")], [both])
    yield node("Less", [both, LEAST], [unlikely])
    yield node("Not", [unlikely], [likely])
    yield node("NonZero", [likely], [places])
    yield node("Reshape", [places, _own("cls", "shape")], [CELLS])
    for rows, chosen in ((both, PRODUCTS), (_own("bbox"), BOXES), (_own("kps"), POINTS)):
        yield node("Gather", [rows, CELLS], [chosen], axis=0)


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
