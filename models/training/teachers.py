"""Knows how to ask the teachers: pack `open`, through the server's own adapters."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.domain.errors import ConfigurationError
from app.vision.alignment import NARROW, align
from app.vision.detectors import STRIDES, FaceFinder, open_network
from app.vision.embedders import Reid0095
from app.vision.geometry import Detections, Floats, unit_rows
from app.vision.landmarks import Retail0009
from app.vision.packs import PackCatalog
from app.vision.pose import Adas0001
from app.vision.sessions import Session, SessionPool
from models.training.data import Image
from models.training.errors import TrainingError

PACK = "open"
MAX_SIDE = 1280  # px; crowds are worth a closer look than the server takes
SMALL = 320  # px; smaller pictures are shown with a border of a quarter of their side
CROP = 128


@dataclass(frozen=True, slots=True)
class Teachers:
    """The four networks whose opinions are learnt."""

    finder: FaceFinder
    refiner: Retail0009
    embedder: Reid0095
    pose: Adas0001

    @classmethod
    def load(cls, models: Path, weights: Path) -> "Teachers":
        """Pack `open` of folder `models`, its weights in `weights`.

        Raises:
            TrainingError: a file is missing, or is not what the manifest says.
        """
        try:
            return cls._open(PackCatalog(models, (weights,)))
        except ConfigurationError as error:
            raise TrainingError(str(error)) from error

    @classmethod
    def _open(cls, catalog: PackCatalog) -> "Teachers":
        pack, sessions = catalog.get(PACK), SessionPool(catalog)

        def session(part: str) -> Session:
            return sessions.open(pack, getattr(pack, part)).session

        return cls(
            FaceFinder(open_network(pack, sessions), MAX_SIDE),
            Retail0009(session("landmarks")),
            Reid0095(session("embedder"), pack.embedder),
            Adas0001(session("pose")),
        )

    def faces(self, image: Image) -> Detections:
        """Boxes, scores and refined points of every face, in pixels of `image`."""
        border = max(image.shape[:2]) // 4 if max(image.shape[:2]) <= SMALL else 0
        shown = np.pad(image, ((border, border), (border, border), (0, 0)))
        found = self.finder.detect(shown).moved(shift=border, scale=1.0)
        if not len(found):
            return found
        return Detections(found.boxes, self.refiner.refine(image, found), found.scores)

    def embed(self, crops: list[Image]) -> Floats:
        """Unit vectors (n, 256) of crops in the embedder's own frame (128, 128, 3)."""
        return unit_rows(self.embedder.vectors([np.ascontiguousarray(crop) for crop in crops]))


class CellScores:
    """What the teacher's detector says of every cell of a picture."""

    def __init__(self, session: Session) -> None:
        """`session` is of YuNet as it was published, with all its outputs."""
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [f"{kind}_{stride}" for kind in ("cls", "obj") for stride in STRIDES]

    @classmethod
    def load(cls, models: Path, weights: Path) -> "CellScores":
        """The detector of pack `open` of folder `models`, its weights in `weights`.

        Raises:
            TrainingError: the file is missing, or is not what the manifest says.
        """
        try:
            catalog = PackCatalog(models, (weights,))
            pack = catalog.get(PACK)
            return cls(SessionPool(catalog).open(pack, pack.detector).session)
        except ConfigurationError as error:
            raise TrainingError(str(error)) from error

    def of(self, image: Image) -> Floats:
        """Scores 0..1 (n,) of the cells of an RGB picture, stride by stride, rows first."""
        pixels = image[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        answers = self._session.run(self._outputs, {self._input: pixels})
        flat = [np.minimum(answer.reshape(-1), 1.0) for answer in answers]
        classes, objects = np.concatenate(flat[:3]), np.concatenate(flat[3:])
        scores: Floats = np.sqrt(classes * objects)
        return scores


def teacher_crop(image: Image, points: Floats) -> Image:
    """The face as the embedder wants to see it: (128, 128, 3)."""
    return align(image, points, NARROW, CROP)
