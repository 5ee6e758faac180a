"""One ONNX Runtime session per weight file, shared by every pack and every thread."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import ConfigurationError
from app.vision.manifests import Pack, Weights, one_line
from app.vision.packs import PackCatalog
from app.vision.providers import Providers

# Errors only: graphs of foreign packs warn about unused weights and about their own shapes.
LOG_ERRORS = 3


Write = Callable[[bytes], bytes]
"""Writes a network otherwise; raises `KeyError` with the name of an output that it lacks."""


class Node(Protocol):
    """An input or output of a network; a dimension that may vary is a name or None."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> list[int | str | None]: ...


class Session(Protocol):
    """What the adapters use of `onnxruntime.InferenceSession`; safe to call from many threads."""

    def get_inputs(self) -> list[Node]: ...

    def get_outputs(self) -> list[Node]: ...

    def run(
        self, outputs: list[str] | None, inputs: Mapping[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the file it was made from."""

    session: Session
    path: Path


class SessionPool:
    """Opens each weight file once, after its hash was checked, on the `providers` wanted.

    One thread per run: requests run side by side on the worker threads, and two threads sharing
    a session do as much as two processes with a copy each.
    """

    def __init__(self, catalog: PackCatalog, providers: Providers | None = None) -> None:
        self._catalog = catalog
        self._providers = providers or Providers()
        self._lock = threading.Lock()
        self._opened: dict[str, Opened] = {}

    def open(self, pack: Pack, weights: Weights, write: Write | None = None) -> Opened:
        """The session of a weight file, of the network that `write` makes of its bytes.

        A file is always written alike: whoever comes first settles how.

        Raises:
            ConfigurationError: the file is missing, not what the manifest says, or no network, or a
                provider that is wanted cannot be used.
        """
        with self._lock:
            if weights.sha256 not in self._opened:
                path, content = self._catalog.read(pack, weights)
                session = _session(path, _written(path, content, write), self._providers)
                self._opened[weights.sha256] = Opened(session, path)
            return self._opened[weights.sha256]


def batched(
    session: Session, batch: NDArray[np.float32], outputs: list[str] | None = None
) -> list[NDArray[np.float32]]:
    """Run a batch (n, 3, height, width), in pieces where the network was made for a fixed n."""
    entry = session.get_inputs()[0]
    size = entry.shape[0]
    if not isinstance(size, int) or size == len(batch):
        return session.run(outputs, {entry.name: batch})
    parts = [
        session.run(outputs, {entry.name: batch[start : start + size]})
        for start in range(0, len(batch), size)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _session(path: Path, content: bytes, wanted: Providers) -> Session:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    refusals = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf)
    providers = wanted.to_ask_for(onnxruntime.get_available_providers())
    try:
        if wanted.on_cpu and (written := _in_blocks(content)) is not None:
            with suppress(*refusals):  # then as it came
                return onnxruntime.InferenceSession(written, _options(), providers=providers)  # type: ignore[no-any-return]
        opened = onnxruntime.InferenceSession(content, _options(), providers=providers)
    except refusals as error:
        raise ConfigurationError(f"weight file {path}: {one_line(error)}") from error
    wanted.check(opened)
    session: Session = opened
    return session


def _written(path: Path, content: bytes, write: Write | None) -> bytes:
    from google.protobuf.message import DecodeError

    try:
        return write(content) if write else content
    except DecodeError:
        return content  # ONNX Runtime tells better what is wrong with it
    except KeyError as error:
        raise ConfigurationError(f"weight file {path}: it has no output {error}") from error


def _in_blocks(content: bytes) -> bytes | None:
    """The network as the processor runs it best; None when it is none, or cannot be better."""
    from google.protobuf.message import DecodeError

    from app.vision.graphs import in_blocks

    try:
        written = in_blocks(content)
    except DecodeError:
        return None  # ONNX Runtime tells better what is wrong with it
    return None if written is content else written


def _options() -> object:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = LOG_ERRORS
    # A thread that spins for work takes the core from the request beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
