"""Tiny networks that answer predictably, and packs made of them.

The detector takes a bright 32x32 cell for a face of 64x64 around the cell's centre; the embedder
answers with the mean of each of its input's channels.
"""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FACE_SIDE = 64
# Eyes, nose and mouth corners in strides from the cell's corner; the cell's centre is 0.5, 0.5.
FACE_POINTS = [0.2, 0.2, 0.8, 0.2, 0.5, 0.5, 0.3, 0.8, 0.7, 0.8]


def constant(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def floats(values):
    return np.array(values, dtype=np.float32)


def save(path, nodes, constants, inputs, outputs):
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def images(*shape):
    return [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(shape))]


def answers(**shapes):
    return [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        for name, shape in shapes.items()
    ]


def detector(path, shape=("n", 3, "h", "w")):
    nodes = [helper.make_node("ReduceMean", ["input"], ["grey"], axes=[1], keepdims=1)]
    constants = [constant("white", floats([255])), constant("cells", np.array([0, -1, 1]))]
    outputs = {}
    delta = [0.5, 0.5, math.log(FACE_SIDE / 32), math.log(FACE_SIDE / 32)]
    for stride in (8, 16, 32):
        s = str(stride)
        constants += [
            constant(f"on{s}", floats([1.0 if stride == 32 else 0.0])),
            constant(f"none{s}", floats([0])),
            constant(f"box{s}", floats(delta)),
            constant(f"points{s}", floats(FACE_POINTS)),
        ]
        square = [stride, stride]
        nodes += [
            helper.make_node(
                "AveragePool", ["grey"], [f"pool{s}"], kernel_shape=square, strides=square
            ),
            helper.make_node("Reshape", [f"pool{s}", "cells"], [f"flat{s}"]),
            helper.make_node("Div", [f"flat{s}", "white"], [f"share{s}"]),
            helper.make_node("Mul", [f"share{s}", f"on{s}"], [f"cls_{s}"]),
            helper.make_node("Identity", [f"cls_{s}"], [f"obj_{s}"]),
            helper.make_node("Mul", [f"cls_{s}", f"none{s}"], [f"zero{s}"]),
            helper.make_node("Add", [f"zero{s}", f"box{s}"], [f"bbox_{s}"]),
            helper.make_node("Add", [f"zero{s}", f"points{s}"], [f"kps_{s}"]),
        ]
        for head, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{head}_{s}"] = (1, f"cells{s}", width)
    save(path, nodes, constants, images(*shape), answers(**outputs))


def channel_means(path, size, batch="n", tail=()):
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "rows"], ["embedding"]),
    ]
    constants = [constant("rows", np.array([-1, 3, *tail]))]
    shape = (batch, 3, *tail)
    save(path, nodes, constants, images(batch, 3, size, size), answers(embedding=shape))


def section(path, **values):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": path.name, "sha256": digest, **values}


def toml(tables, where=""):
    lines = [f"{key} = {json.dumps(value)}" for key, value in tables.items() if not nested(value)]
    for name, value in tables.items():
        if isinstance(value, dict):
            lines.append(f"[{where}{name}]\n" + toml(value, f"{where}{name}."))
        elif nested(value):
            lines += [f"[[{where}{name}]]\n" + toml(table) for table in value]
    return "\n".join(lines) + "\n"


def nested(value):
    return isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict))


def manifest(folder, name):
    """The tables of a pack whose weight files this writes into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    detector(folder / "detector.onnx")
    channel_means(folder / "embedder.onnx", 112)
    (folder / "calibration.json").write_text('{"cosine": [-1, 1], "similarity": [0, 100]}')
    return {
        "name": name,
        "title": "white cells are faces",
        "licence": "made for tests",
        "commercial_use": True,
        "detector": section(folder / "detector.onnx", family="yunet", color="bgr"),
        "embedder": section(
            folder / "embedder.onnx",
            family="arcface",
            size=112,
            dimension=3,
            template="arcface",
            color="rgb",
            mean=127.5,
            scale=127.5,
        ),
        "calibration": {"file": "calibration.json"},
    }


def write(folder: Path, tables) -> Path:
    path = folder / "pack.toml"
    path.write_text(toml(tables))
    return path


def make(models: Path, name: str) -> Path:
    """A complete pack `name` below `models`; its folder."""
    folder = models / name
    write(folder, manifest(folder, name))
    return folder


def picture(width, height, *cells):
    """A black picture with the 32x32 cells at these (column, row) white."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for column, row in cells:
        image[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 255
    return image
