"""A network written for the processor's kernels answers as the one it came from."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.vision.graphs import BOXES, CELLS, LEAST, POINTS, PRODUCTS, in_blocks, of_cells
from tests.unit.vision import packs

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


STRIDES = (8, 16, 32)


def heads(content, x):
    """The outputs of a detector by name."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input": x}), strict=True))


def test_a_detector_gives_the_cells_with_a_face_alone(tmp_path):
    packs.detector(tmp_path / "detector.onnx")
    content = (tmp_path / "detector.onnx").read_bytes()
    x = packs.picture(128, 96, (1, 2), (3, 0)).transpose(2, 0, 1)[None].astype(np.float32)
    every = {
        head: np.concatenate([heads(content, x)[f"{head}_{s}"][0] for s in STRIDES])
        for head in ("cls", "obj", "bbox", "kps")
    }
    products = (every["cls"] * every["obj"])[:, 0]
    expected = np.flatnonzero(products >= 0.36)

    session = onnxruntime.InferenceSession(
        of_cells(content, STRIDES), providers=["CPUExecutionProvider"]
    )
    inputs = {"input": x, LEAST: np.array([0.36], np.float32)}
    cells, found, boxes, points = session.run([CELLS, PRODUCTS, BOXES, POINTS], inputs)

    assert len(expected) == 2
    assert cells.tolist() == expected.tolist()
    assert np.array_equal(found, products[expected])
    assert np.array_equal(boxes, every["bbox"][expected])
    assert np.array_equal(points, every["kps"][expected])


def test_a_score_that_is_just_enough_counts_and_nothing_found_is_no_row(tmp_path):
    packs.detector(tmp_path / "detector.onnx")
    content = of_cells((tmp_path / "detector.onnx").read_bytes(), STRIDES)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = packs.picture(64, 64, (1, 1)).transpose(2, 0, 1)[None].astype(np.float32)

    counts = [
        len(session.run([CELLS], {"input": x, LEAST: np.array([least], np.float32)})[0])
        for least in (1.0, 1.001)
    ]

    assert counts == [1, 0]
