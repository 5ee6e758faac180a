"""One model pack at work: from a picture to its faces, computing only what is wanted."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import SpoofingUnavailable
from app.domain.ports import Early
from app.domain.stages import Stage, Timed
from app.domain.values import (
    Box,
    Embedding,
    Face,
    Glance,
    Image,
    Orientation,
    Point,
    SpoofingCondition,
    Wanted,
)
from app.vision.alignment import ARCFACE, similarity
from app.vision.attributes import Aligned, Attributes
from app.vision.detectors import FaceFinder, Network, open_network
from app.vision.embedders import embedder
from app.vision.exposure import lit
from app.vision.geometry import Detections, Floats
from app.vision.landmarks import Retail0009
from app.vision.manifests import DetectorSection, Pack, Weights
from app.vision.parts import Embedder, Finder, Poser, Reader, Refiner
from app.vision.pose import Adas0001, Angles, rolls, steadied, turns_from_points
from app.vision.quality import Grade, grades
from app.vision.sessions import Session, SessionPool
from app.vision.spoofing import Liveness, liveness

DECIMALS = 6
# Up to which enlargement a face in fewer pixels is as good as in all of them: no crop is then drawn
# larger than it was, also where ArcFace's 112 px become 128 and 96 are stretched to as many.
CLEAR = 0.75

Pixels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A picture as it is, and with the light that networks see it in."""

    glance: Glance
    lit: Image

    @classmethod
    def of(cls, glance: Glance) -> "_View":
        return cls(glance, lit(glance.pixels))


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """The networks of a pack. Safe to use from many threads; every call blocks."""

    finder: Finder
    embedder: Embedder
    landmarks: Refiner | None = None
    pose: Poser | None = None
    attributes: Reader | None = None
    liveness: Liveness | None = None

    @classmethod
    def open(cls, pack: Pack, sessions: SessionPool) -> "Pipeline":
        """Load a pack. Raises `ConfigurationError` when one of its files cannot be used."""

        def session(weights: Weights) -> Session:
            return sessions.open(pack, weights).session

        return cls(
            finder=_finder(open_network(pack, sessions), pack.detector),
            embedder=embedder(sessions.open(pack, pack.embedder), pack.embedder),
            landmarks=Retail0009(session(pack.landmarks)) if pack.landmarks else None,
            pose=Adas0001(session(pack.pose)) if pack.pose else None,
            attributes=Aligned(session(pack.attributes)) if pack.attributes else None,
            liveness=liveness(pack, lambda weights: sessions.open(pack, weights)),
        )

    def warm_up(self) -> None:
        """Run every network once, so that the first request does not pay for it."""
        image = np.zeros((ARCFACE.height, ARCFACE.width, 3), dtype=np.uint8)
        self.finder.detect(image)
        points = ARCFACE.points[None].astype(np.float32)
        whole = np.array([[0, 0, ARCFACE.width, ARCFACE.height]], dtype=np.float32)
        found = Detections(whole, points, np.ones(1, dtype=np.float32))
        condition = SpoofingCondition.BALANCED if self.liveness else None
        wanted = Wanted(orientation=True, mask=True, embeddings=1, spoofing=condition)
        self._describe(_View.of(Glance.of(image)), found, wanted)

    def analyze(self, image: Image, wanted: Wanted, early: Early | None = None) -> list[Face]:
        """Faces of an upright picture, largest first, with the parts `wanted`.

        `early` is told the first face's vector before what its answer does not depend on is
        computed. Raises `SpoofingUnavailable` when spoofing is wanted and the pack cannot tell.
        """
        view = _View.of(Glance.of(image))
        found = self._found(view, wanted)
        return self._describe(view, found, wanted, early) if len(found) else []

    def glance(
        self, glance: Glance, wanted: Wanted, early: Early | None = None
    ) -> list[Face] | None:
        """The same of a picture that shows fewer pixels than it has; None if it shows too few.

        Raises as `analyze`.
        """
        if max(glance.pixels.shape[:2]) < self.finder.max_side:
            return None
        view = _View.of(glance)
        found = self._found(view, wanted)
        if any(enlargement(points) > CLEAR for points in found.points):
            return None
        return self._describe(view, found, wanted, early) if len(found) else []

    def is_spoof(self, crop: Image, condition: SpoofingCondition) -> bool:
        """Whether an aligned crop shows no live face. Raises `SpoofingUnavailable`."""
        if self.liveness is None:
            raise SpoofingUnavailable
        with Timed(Stage.SPOOFING):
            return self.liveness.is_spoof(crop, condition)

    def _found(self, view: "_View", wanted: Wanted) -> Detections:
        if wanted.spoofing and not self.liveness:
            raise SpoofingUnavailable
        height, width = view.lit.shape[:2]
        with Timed(Stage.DETECT):
            return largest(self.finder.detect(view.lit), width, height, wanted.max_faces)

    def _describe(
        self, view: "_View", found: Detections, wanted: Wanted, early: Early | None = None
    ) -> list[Face]:
        # What judges the picture itself sees it as it is.
        image, original = view.lit, view.glance.pixels
        points = self._refined(image, found)
        found = replace(found, points=points)
        faces = _faces(view.glance, found)
        if wanted.eligible is None:  # then a vector depends on nothing that follows
            faces = self._embedded(image, points, faces, wanted)
            if early and faces[0].embedding is not None:
                early(faces[0].embedding)
        turned = wanted.orientation or wanted.eligible is not None
        graded = wanted.eligible is not None and wanted.eligible.grades
        attributes = self._attributes(image, points, wanted, turned=turned, graded=graded)
        if turned:
            faces = _oriented(faces, found, self._turns(image, found, attributes))
        if graded:
            faces = _graded(faces, grades(original, points, attributes))
        if wanted.mask and attributes is not None:
            masks = attributes.masks.tolist()
            faces = [replace(face, mask=mask) for face, mask in zip(faces, masks, strict=True)]
        if wanted.spoofing and self.liveness:
            with Timed(Stage.SPOOFING):
                spoofs = self.liveness.spoofs(original, found.boxes, points, wanted.spoofing)
            faces = [
                replace(face, spoofing=spoof) for face, spoof in zip(faces, spoofs, strict=True)
            ]
        if wanted.eligible is not None:
            faces = self._embedded(image, points, faces, wanted)
        return faces if wanted.orientation else [replace(face, orientation=None) for face in faces]

    def _refined(self, image: Image, found: Detections) -> Floats:
        if self.landmarks is None:
            return found.points
        with Timed(Stage.LANDMARKS):
            return self.landmarks.refine(image, found)

    def _attributes(
        self, image: Image, points: Floats, wanted: Wanted, *, turned: bool, graded: bool
    ) -> Attributes | None:
        if self.attributes and (wanted.mask or graded or (turned and not self.pose)):
            with Timed(Stage.POSE):
                return self.attributes.read(image, points)
        return None

    def _turns(self, image: Image, found: Detections, attributes: Attributes | None) -> Angles:
        if self.pose:
            with Timed(Stage.POSE):
                turns = self.pose.turns(image, found.boxes, found.points)
                return steadied(turns, found.points)
        if attributes:
            return steadied(attributes.turns, found.points)
        return turns_from_points(found.points)

    def _embedded(
        self, image: Image, points: Floats, faces: list[Face], wanted: Wanted
    ) -> list[Face]:
        if wanted.eligible:
            objections = wanted.eligible.objections
            faces = [replace(face, objections=tuple(objections(face))) for face in faces]
        fit = [row for row, face in enumerate(faces) if not face.objections]
        chosen = fit[: wanted.embeddings]
        if not chosen:
            return faces
        with Timed(Stage.EMBED):
            vectors = self.embedder.embed(image, points[chosen])
        known: dict[int, Embedding] = dict(zip(chosen, vectors, strict=True))
        return [replace(face, embedding=known.get(row)) for row, face in enumerate(faces)]


def _finder(network: Network, section: DetectorSection) -> FaceFinder:
    return FaceFinder(
        network,
        section.max_side,
        least=section.score_threshold,
        enlarged=section.enlarged_side,
    )


def largest(found: Detections, width: int, height: int, limit: int) -> Detections:
    """The `limit` largest faces with an area inside the picture, ties from the top left."""
    boxes = whole_pixels(found.boxes, width, height)
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides.prod(axis=1)
    order = np.lexsort((boxes[:, 0], boxes[:, 1], -areas))
    return found.take(order[areas[order] > 0][:limit])


def whole_pixels(places: Floats, width: int, height: int) -> Pixels:
    """Places (n, even), x and y by turns, as whole pixels inside the picture."""
    limits = [width, height] * (places.shape[1] // 2)
    return np.minimum(np.maximum(np.rint(places), 0), limits).astype(np.int64)


def in_picture_order(points: Floats) -> Floats:
    """Points (n, 5, 2) with the eye, and mouth corner, at the left of the picture first."""
    swapped = points[:, (0, 3), 0] > points[:, (1, 4), 0]
    if not swapped.any():
        return points
    eyes = np.where(swapped[:, :1, None], points[:, 1::-1], points[:, :2])
    mouth = np.where(swapped[:, 1:, None], points[:, :2:-1], points[:, 3:])
    return np.concatenate([eyes, points[:, 2:3], mouth], axis=1)


def enlargement(points: Floats) -> float:
    """How many pixels of an aligned face's crop one pixel beneath it becomes, along a side."""
    return float(np.hypot(*similarity(points, ARCFACE)[:, 0]))


def _faces(glance: Glance, found: Detections) -> list[Face]:
    height, width = glance.height, glance.width
    if not glance.is_whole:
        found = found.enlarged(max(height, width) / max(glance.pixels.shape))
    boxes = whole_pixels(found.boxes, width, height)
    places = whole_pixels(in_picture_order(found.points).reshape(-1, 10), width, height)
    sides = (boxes[:, 2:] - boxes[:, :2]).min(axis=1).tolist()
    confidences = np.clip(found.scores.astype(np.float64) * 100.0, 0.0, 100.0).tolist()
    size = np.array([width, height])
    corners = (boxes / np.tile(size, 2)).tolist()
    points = (places.reshape(-1, 5, 2) / size).tolist()
    return [
        Face(Box(*corner), _five(five), round(confidence, DECIMALS), side)
        for corner, five, confidence, side in zip(corners, points, confidences, sides, strict=True)
    ]


def _five(places: list[list[float]]) -> tuple[Point, Point, Point, Point, Point]:
    left_eye, right_eye, nose, left_mouth, right_mouth = (Point(x, y) for x, y in places)
    return left_eye, right_eye, nose, left_mouth, right_mouth


def _oriented(faces: list[Face], found: Detections, turns: Angles) -> list[Face]:
    angles = np.column_stack([turns, rolls(found.points)]).round(DECIMALS)
    return [
        replace(face, orientation=Orientation(*turn))
        for face, turn in zip(faces, angles.tolist(), strict=True)
    ]


def _graded(faces: list[Face], seen: list[Grade]) -> list[Face]:
    return [
        replace(face, quality=grade.quality(face.side, face.orientation))
        for face, grade in zip(faces, seen, strict=True)
    ]
