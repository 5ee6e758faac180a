"""Knows how trained weights become the ONNX files of a pack, and proves that they answer alike."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.training.errors import TrainingError
from models.training.networks import (
    Attributes,
    AttributesForExport,
    Detector,
    DetectorForExport,
    Embedder,
    Landmarks,
    Spoofing,
)
from models.training.runs import averaged

OPSET = 17
HALF_FROM = 1024  # values; smaller tensors stay float32, they weigh nothing
# Shares of the largest output that ONNX Runtime may differ by from PyTorch: with the same weights,
# and with those stored in float16, which has 11 bits.
SAME, HALVED = 1e-4, 5e-3


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one network of the pack leaves PyTorch."""

    network: nn.Module
    wrapped: nn.Module
    outputs: tuple[str, ...]
    shape: tuple[int, int, int]
    free: tuple[str, ...] = ()  # names of input axes 2 and 3 where any size is taken


_SMALL: dict[str, tuple[type[Landmarks | Spoofing], str]] = {
    "landmarks": (Landmarks, "points"),
    "spoofing": (Spoofing, "logits"),
}


def recipe(kind: str) -> Recipe:
    """The recipe of `embedder`, `detector`, `landmarks`, `spoofing` or `attributes`."""
    if kind == "embedder":
        network: nn.Module = Embedder()
        return Recipe(network, network, ("embedding",), (3, 112, 112))
    if kind == "detector":
        network = Detector()
        wrapped = DetectorForExport(network)
        return Recipe(network, wrapped, wrapped.NAMES, (3, 320, 320), ("height", "width"))
    if kind in _SMALL:
        build, output = _SMALL[kind]
        network = build()
        return Recipe(network, network, (output,), (3, build.SIDE, build.SIDE))
    network = Attributes()
    return Recipe(network, AttributesForExport(network), AttributesForExport.NAMES, (3, 112, 112))


def export(kind: str, checkpoint: Path, out: Path) -> str:
    """Write the averaged weights of `checkpoint` to `out`; returns the file's SHA-256.

    Raises:
        ForeignCheckpointError: the checkpoint belongs to another architecture.
        TrainingError: ONNX Runtime answers differently from PyTorch.
    """
    how = recipe(kind)
    averaged(how.network, checkpoint)
    how.wrapped.eval()
    partial = out.with_suffix(".partial")
    _to_onnx(how, partial)
    _check(how, partial, SAME)
    halve_weights(partial)
    _check(how, partial, HALVED)
    partial.replace(out)
    return hashlib.sha256(out.read_bytes()).hexdigest()


def _to_onnx(how: Recipe, file: Path) -> None:
    axes = {"input": {0: "batch", **{2 + i: name for i, name in enumerate(how.free)}}}
    axes |= {
        name: {0: "batch", **({1: f"cells_{name}"} if how.free else {})} for name in how.outputs
    }
    torch.onnx.export(
        how.wrapped,
        (torch.zeros(1, *how.shape),),
        str(file),
        input_names=["input"],
        output_names=list(how.outputs),
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )


def halve_weights(file: Path) -> None:
    """Store large weights as float16, each followed by a Cast that ONNX Runtime folds at load."""
    model = onnx.load(file)
    graph, casts = model.graph, []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= HALF_FROM:
            name = weight.name
            half = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
            weight.CopyFrom(half)
            casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    onnx.save(model, file)


def _check(how: Recipe, file: Path, tolerance: float) -> None:
    """Ask both on noise, two at a time and at another size where any is taken."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    shape = (how.shape[0], 416, 256) if how.free else how.shape
    noise = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    noise = noise * 40 + 120 if how.shape[1] != 112 else np.clip(noise / 2, -1, 1)
    difference = parity(how.wrapped, session, noise)
    if difference > tolerance:
        raise TrainingError(f"{file.stem}.onnx differs from PyTorch by {difference:.1e}")


def parity(network: nn.Module, session: ort.InferenceSession, batch: np.ndarray) -> float:
    """Largest difference between both answers, as a share of the largest output."""
    with torch.no_grad():
        answer = network(torch.from_numpy(batch))
    expected = answer if isinstance(answer, tuple) else (answer,)
    given = session.run(None, {"input": batch})
    return max(
        float(np.abs(mine.numpy() - theirs).max() / max(np.abs(theirs).max(), 1e-6))
        for mine, theirs in zip(expected, given, strict=True)
    )
