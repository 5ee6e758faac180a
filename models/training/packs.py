"""Knows how to put a whole pack, as the server runs it, in front of a folder of pictures."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.vision.exposure import lit
from app.vision.geometry import Detections, Floats
from app.vision.packs import PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.pose import steadied, turns_from_points
from app.vision.sessions import SessionPool
from app.vision.spoofing import Judges, judges
from models.training.data import Image


@dataclass(frozen=True, slots=True)
class PackUnderTest:
    """A pack's networks behind the questions that an evaluation asks."""

    pipeline: Pipeline
    judges: Judges | None = None

    @classmethod
    def open(cls, name: str, models: Path, weights: tuple[Path, ...] = ()) -> "PackUnderTest":
        """The pack `name` of folder `models`; its weights there or in one of `weights`."""
        catalog = PackCatalog(models, weights)
        pack, sessions = catalog.get(name), SessionPool(catalog)
        judging = judges(pack, lambda part: sessions.open(pack, part)) if pack.spoofing else None
        return cls(Pipeline.open(pack, sessions), judging)

    def aligned_by(self, other: "PackUnderTest") -> "PackUnderTest":
        """This pack's embedder behind the other's boxes and points."""
        finder, landmarks = other.pipeline.finder, other.pipeline.landmarks
        return PackUnderTest(replace(self.pipeline, finder=finder, landmarks=landmarks))

    def faces(self, image: Image) -> Detections:
        """Faces with their refined points, in pixels."""
        image = lit(image)
        found = self.pipeline.finder.detect(image)
        refiner = self.pipeline.landmarks
        if refiner is None or not len(found):
            return found
        return Detections(found.boxes, refiner.refine(image, found), found.scores)

    def central_face(self, image: Image) -> Detections | None:
        """The face nearest the middle, whom LFW's label names; None without one."""
        found = self.faces(image)
        if not len(found):
            return None
        centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        middle = np.array(image.shape[1::-1]) / 2
        nearest = np.linalg.norm(centres - middle, axis=1).argmin()
        return found.take(np.array([nearest]))

    def central_vector(self, image: Image) -> Floats | None:
        """The vector of that face."""
        face = self.central_face(image)
        if face is None:
            return None
        return np.asarray(self.pipeline.embedder.embed(lit(image), face.points)[0])

    def yaw(self, image: Image, face: Detections) -> float:
        """Degrees, as the server would tell of this one face."""
        image = lit(image)
        pipeline = self.pipeline
        if pipeline.pose:
            turns = pipeline.pose.turns(image, face.boxes, face.points)
        elif pipeline.attributes:
            turns = pipeline.attributes.read(image, face.points).turns
        else:
            turns = turns_from_points(face.points)
        return float(steadied(turns, face.points)[0, 0])
