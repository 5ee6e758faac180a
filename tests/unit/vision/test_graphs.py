"""A network written for the processor's kernels answers as the one it came from."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.vision.graphs import in_blocks

CHANNELS = 16
SHAPE = [1, CHANNELS, 6, 5]
BY_CHANNEL = np.linspace(-0.5, 2.0, CHANNELS, dtype=np.float32)


def network(slope, *, settable=False, ir_version=9, rest=()):
    """A PRelu between an input `x` and an output `y`."""
    entries = [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)]
    if settable:
        entries.append(helper.make_tensor_value_info("slope", TensorProto.FLOAT, slope.shape))
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slope"], ["y"]), *rest],
        "g",
        entries,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, SHAPE)],
        [numpy_helper.from_array(slope, "slope")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=ir_version
    )
    return model.SerializeToString()


def operators(content):
    return [node.op_type for node in onnx.load_model_from_string(content).graph.node]


def answer(content, x):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize(
    "slope",
    [
        BY_CHANNEL.reshape(CHANNELS, 1, 1),
        BY_CHANNEL.reshape(1, CHANNELS, 1, 1),
        np.array([0.25], dtype=np.float32),
        np.array([[[-0.25]]], dtype=np.float32),
    ],
    ids=["by channel", "with a batch", "one for all", "negative"],
)
def test_a_network_without_prelu_answers_like_the_one_with_it(slope):
    content = network(slope)
    x = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)

    written = in_blocks(content)

    assert "PRelu" not in operators(written)
    np.testing.assert_allclose(answer(written, x), answer(content, x), rtol=1e-6, atol=1e-7)


def test_slopes_that_differ_from_pixel_to_pixel_stay():
    content = network(np.ones((CHANNELS, 6, 5), dtype=np.float32))

    assert in_blocks(content) is content


def test_slopes_along_the_last_side_are_not_taken_for_channels():
    content = network(np.ones(5, dtype=np.float32))

    assert in_blocks(content) is content


def test_a_slope_that_a_caller_may_set_stays():
    content = network(np.array([0.25], dtype=np.float32), settable=True)

    assert in_blocks(content) is content


def test_in_old_files_every_constant_is_listed_as_an_input():
    content = network(np.array([0.25], dtype=np.float32), settable=True, ir_version=3)

    assert operators(in_blocks(content)) == ["LeakyRelu"]


def test_a_network_without_any_prelu_is_left_as_it_is():
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, SHAPE)],
    )
    content = helper.make_model(graph).SerializeToString()

    assert in_blocks(content) is content
