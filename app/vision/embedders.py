"""How an aligned face becomes a vector of unit length."""

from pathlib import Path
from typing import Protocol

import numpy as np

from app.domain.values import Image
from app.vision.alignment import TEMPLATES, align
from app.vision.geometry import Floats, blob, unit_rows
from app.vision.manifests import EmbedderSection
from app.vision.sessions import Opened, Session, batched


class Network(Protocol):
    """An embedding network."""

    def vectors(self, crops: list[Image]) -> Floats:
        """One row for each aligned RGB crop, of any length."""
        ...


class FaceEmbedder:
    """Aligns faces as a network was trained and gives vectors of unit length."""

    def __init__(self, network: Network, section: EmbedderSection) -> None:
        self._network = network
        self._template = TEMPLATES[section.template]
        self._size = section.size

    def embed(self, image: Image, points: Floats) -> Floats:
        """Vectors (n, dimension) of the faces at `points` (n, 5, 2), all in one run."""
        crops = [align(image, five, self._template, self._size) for five in points]
        return unit_rows(self._network.vectors(crops))


class ArcFace:
    """Networks of the ArcFace kind, through insightface's own class, which is given our session.

    The manifest decides mean, scale and colours: insightface guesses the first two from the graph.
    """

    def __init__(self, session: Session, path: Path, section: EmbedderSection) -> None:
        from insightface.model_zoo.arcface_onnx import ArcFaceONNX

        self._network = ArcFaceONNX(model_file=str(path), session=session)
        self._network.input_mean = section.mean
        self._network.input_std = section.scale
        self._network.input_size = (section.size, section.size)
        self._reverse = section.color == "rgb"
        batch = session.get_inputs()[0].shape[0]
        self._batch = batch if isinstance(batch, int) else None

    def vectors(self, crops: list[Image]) -> Floats:
        # insightface exchanges red and blue, so a network trained on RGB is handed BGR.
        shown = [crop[..., ::-1] if self._reverse else crop for crop in crops]
        step = self._batch or len(shown)
        parts = [
            self._network.get_feat(shown[start : start + step])
            for start in range(0, len(shown), step)
        ]
        return np.concatenate(parts)


class Reid0095:
    """face-reidentification-retail-0095 and its like: vectors of shape (n, dimension, 1, 1)."""

    def __init__(self, session: Session, section: EmbedderSection) -> None:
        self._session = session
        self._section = section

    def vectors(self, crops: list[Image]) -> Floats:
        section = self._section
        tensor = blob(crops, color=section.color, mean=section.mean, scale=section.scale)
        return batched(self._session, tensor)[0].reshape(len(crops), -1)


def embedder(opened: Opened, section: EmbedderSection) -> FaceEmbedder:
    """The embedder a manifest describes."""
    match section.family:
        case "arcface":
            return FaceEmbedder(ArcFace(opened.session, opened.path, section), section)
        case "reid-0095":
            return FaceEmbedder(Reid0095(opened.session, section), section)
