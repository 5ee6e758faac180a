"""Knows the pictures the detector learns from: photos cut, bent, turned, pasted together."""

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from app.vision.geometry import Floats, Matrix
from models.training.data import Image, load
from models.training.errors import NoPicturesError
from models.training.geometry import Points, apply, intersection_over_union
from models.training.grounds import Grounds, ellipse, hide
from models.training.labels import labelled_68, read_wider
from models.training.masks import draw
from models.training.optics import develop

Rng = np.random.Generator

SIDE = 320  # px of a training picture
SMALLEST = 9.0  # px; smaller faces are neither wanted nor punished
LARGEST_ZOOM = 5.0
TILTS = {8.0: 0.6, 30.0: 0.3, 60.0: 0.1}  # degrees, standard deviations, and how often each
STRETCH, STRETCHED = 0.4, 0.5  # natural logarithm of width against height, either way; how often
LEAN, LEANING = 0.25, 0.35  # shear, px across for each px down, either way; how often
COVERED = 0.2  # how often a face has something before it
LARGEST_WANTED = 60.0  # px; a face of a photo is chosen the likelier the larger, up to here
MIRRORED = np.array([1, 0, 2, 4, 3])  # left and right of a mirrored face change names
# How often a view is taken from each set; sets not named share what is left by their size.
SHARES = {"wider": 0.40, "lfw": 0.22, "mask": 0.14, "aflw80": 0.07, "facescrub": 0.07}


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture with boxes (n, 4), points (n, 5, 2), NaN where unknown, and boxes to ignore."""

    image: Image
    boxes: Floats
    points: Floats
    ignored: Floats
    path: str = ""


def scenes(data: Path, prepared: Path, *, held_out: bool) -> dict[str, list[Scene]]:
    """Scenes by set; WIDER with its own boxes, all others with what the teachers found.

    Raises:
        NoPicturesError: `prepared` holds no index.
    """
    if not (prepared / "faces.npz").exists():
        raise NoPicturesError(f"no faces.npz in {prepared}")
    with np.load(prepared / "faces.npz") as file:
        index = dict(file)
    labels, crowds = labelled_68(data), read_wider(data)
    by_set: dict[str, list[Scene]] = defaultdict(list)
    first = np.searchsorted(index["owner"], np.arange(len(index["path"]) + 1))
    for i in np.flatnonzero(index["held_out"] == held_out):
        path, mine = str(index["path"][i]), slice(first[i], first[i + 1])
        image = load(data / path)
        if image is not None:
            boxes, points = index["boxes"][mine], _better(index["points"][mine], labels.get(path))
            scene = replace(_scene(image, boxes, points, crowds.get(path)), path=path)
            if len(scene.boxes):
                by_set[path.split("/")[0]].append(scene)
    return dict(by_set)


def _scene(image: Image, boxes: Floats, points: Floats, crowd: Floats | None) -> Scene:
    if crowd is None:
        return Scene(image, boxes, points, np.zeros((0, 4), np.float32))
    usable = crowd[:, 4] == 0
    own = crowd[usable, :4]
    return Scene(image, own, _matched(own, boxes, points), crowd[~usable, :4])


def _matched(own: Floats, boxes: Floats, points: Floats) -> Floats:
    """For each of `own` the points of the teacher's face at the same place, or NaN."""
    out = np.full((len(own), 5, 2), np.nan, np.float32)
    for i, box in enumerate(own):
        overlaps = intersection_over_union(box, boxes)
        if len(overlaps) and overlaps.max() > 0.45:
            out[i] = points[overlaps.argmax()]
    return out


def _better(found: Floats, label: Points | None) -> Floats:
    """`found` with the face nearest to `label` replaced by it."""
    if label is None or not len(found):
        return found
    out = found.copy()
    out[np.abs(found - label).mean((1, 2)).argmin()] = label
    return out


class Studio:
    """Draws training pictures from scenes.

    What surrounds a view comes from parts of photos without a face: 114 crowds show a network too
    little of what is not one.
    """

    def __init__(self, by_set: dict[str, list[Scene]]) -> None:
        self.by_set = by_set
        everything = [scene for scenes in by_set.values() for scene in scenes]
        self._grounds = Grounds([(s.image, np.vstack([s.boxes, s.ignored])) for s in everything])

    def shoot(self, random: Rng) -> Scene:
        """One picture of SIDE x SIDE: a view, a view with another stuck on it, or a mosaic."""
        if random.random() < 0.3:
            return _developed(self._collage(random), random)
        across = int(random.choice([1, 2, 3], p=[0.45, 0.4, 0.15]))
        return _developed(self._mosaic(across, random), random)

    def _collage(self, random: Rng) -> Scene:
        """A crowd or street with another photo stuck on it."""
        pool = self.by_set.get("wider") or next(iter(self.by_set.values()))
        ground = pool[random.integers(len(pool))]
        base = self._take(ground, SIDE, SIDE, random)
        width, height = (int(v) for v in random.integers(48, SIDE - 32, 2))
        left, top = int(random.integers(SIDE - width)), int(random.integers(SIDE - height))
        part = _shifted(self._view(width, height, random), left, top)
        image = base.image.copy()
        image[top : top + height, left : left + width] = part.image
        return _joined(image, [_uncovered(base, left, top, width, height), part])

    def _mosaic(self, across: int, random: Rng) -> Scene:
        """`across` times `across` views."""
        cuts = _cuts(across, random), _cuts(across, random)
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        parts = []
        for top, bottom in cuts[0]:
            for left, right in cuts[1]:
                part = self._view(right - left, bottom - top, random)
                image[top:bottom, left:right] = part.image
                parts.append(_shifted(part, left, top))
        return _joined(image, parts)

    def _view(self, width: int, height: int, random: Rng) -> Scene:
        return self._take(self._choose(random), width, height, random)

    def _take(self, scene: Scene, width: int, height: int, random: Rng) -> Scene:
        """A (height, width) part around one face, mirrored half of the time."""
        chosen = _some_face(scene, random)
        onto = _framing(scene, chosen, width, height, random)
        around = self._grounds.draw(width, height, random)
        shown = take(scene, onto, around)
        if random.random() < 0.2:
            shown = _alone(shown, chosen, around, random)
        shown = _some_covered(_some_masked(shown, random), self._grounds, random)
        return _clipped(_mirrored(shown) if random.random() < 0.5 else shown)

    def _choose(self, random: Rng) -> Scene:
        named = [name for name in SHARES if name in self.by_set]
        rest = [name for name in self.by_set if name not in SHARES]
        if random.random() < sum(SHARES[name] for name in named) or not rest:
            weights = np.array([SHARES[name] for name in named])
            pool = self.by_set[named[random.choice(len(named), p=weights / weights.sum())]]
        else:
            pool = self.by_set[rest[random.integers(len(rest))]]
        return pool[random.integers(len(pool))]


def _uncovered(scene: Scene, left: int, top: int, width: int, height: int) -> Scene:
    """The faces that a rectangle leaves visible; those it touches are to be ignored."""
    corner, end = np.array([left, top]), np.array([left + width, top + height])
    common = np.minimum(scene.boxes[:, 2:], end) - np.maximum(scene.boxes[:, :2], corner)
    area = (scene.boxes[:, 2:] - scene.boxes[:, :2]).prod(1)
    share = np.clip(common, 0, None).prod(1) / np.maximum(area, 1e-6)
    free, touched = share < 0.05, (share >= 0.05) & (share < 0.8)
    ignored = np.concatenate([scene.ignored, scene.boxes[touched]])
    return replace(scene, boxes=scene.boxes[free], points=scene.points[free], ignored=ignored)


def _cuts(across: int, random: Rng) -> list[tuple[int, int]]:
    """`across` uneven intervals that cover 0..SIDE."""
    inner = [int(SIDE * (i + random.uniform(-0.2, 0.2)) / across) for i in range(1, across)]
    edges = [0, *inner, SIDE]
    return list(pairwise(edges))


def _some_face(scene: Scene, random: Rng) -> int:
    """The index of a face, the likelier the larger: most of a crowd are specks."""
    sides = np.sqrt(np.maximum((scene.boxes[:, 2:] - scene.boxes[:, :2]).prod(1), 1.0))
    weights = np.minimum(sides, LARGEST_WANTED)
    return int(random.choice(len(sides), p=weights / weights.sum()))


def _framing(scene: Scene, chosen: int, width: int, height: int, random: Rng) -> Matrix:
    """Puts a face of the scene somewhere in the frame at a size between tiny and filling it."""
    box = scene.boxes[chosen]
    face = math.sqrt(max(float((box[2:] - box[:2]).prod()), 16.0))
    room = min(width, height)
    wanted = math.exp(random.uniform(math.log(14), math.log(room * 1.05)))
    zoom = min(wanted / face, LARGEST_ZOOM if face > 30 else 2.5)
    if random.random() < 0.6:  # mostly the picture covers the frame
        zoom = max(zoom, room / max(scene.image.shape[:2]))
    linear = _turn(zoom, random)
    slack = max(0.0, room - zoom * face) / 2
    centre = np.array([width, height]) / 2 + random.uniform(-1, 1, 2) * (
        slack + 0.08 * room + np.array([width - room, height - room]) / 2
    )
    return np.hstack([linear, (centre - linear @ ((box[:2] + box[2:]) / 2))[:, None]])


def _turn(zoom: float, random: Rng) -> Matrix:
    """Zoomed, stretched, sheared, then turned: a matrix (2, 2).

    A camera that looks from above or beside does the first two, who dances or sleeps the last.
    """
    angle = math.radians(random.normal(0, random.choice(list(TILTS), p=list(TILTS.values()))))
    stretch = math.exp(_now_and_then(STRETCH / 2, STRETCHED, random))
    lean = np.array([[1.0, _now_and_then(LEAN, LEANING, random)], [0.0, 1.0]])
    cos, sin = math.cos(angle), math.sin(angle)
    turned = np.array([[cos, -sin], [sin, cos]])
    return np.asarray(turned @ lean @ np.diag([zoom * stretch, zoom / stretch]))


def _now_and_then(reach: float, often: float, random: Rng) -> float:
    return float(random.uniform(-reach, reach)) if random.random() < often else 0.0


def take(scene: Scene, onto: Matrix, around: Image) -> Scene:
    """What `onto` shows of the scene, in the frame of `around`, which stays where it shows nothing.

    A frame's first two axes are its height and width in px.
    """
    image, matrix = _reduced(scene.image, onto)
    frame = around.shape[1], around.shape[0]
    view = cv2.warpAffine(image, matrix, frame, around.copy(), borderMode=cv2.BORDER_TRANSPARENT)
    points = apply(onto, scene.points.reshape(-1, 2)).reshape(-1, 5, 2)
    boxes, ignored = _moved(scene.boxes, onto), _moved(scene.ignored, onto)
    return Scene(np.asarray(view), boxes, points, ignored)


def _alone(scene: Scene, chosen: int, around: Image, random: Rng) -> Scene:
    """One face cut out by an ellipse: hair, hats and shoulders are no part of a face."""
    box = scene.boxes[chosen]
    share = ellipse(scene.image.shape[:2], box, random.uniform(1.05, 1.9), random)
    mixed = scene.image * share + around * (1 - share)
    others = np.delete(scene.boxes, chosen, axis=0)
    ignored = np.concatenate([scene.ignored, others[_inside_share(share, others) > 0.05]])
    alone = [chosen]
    return Scene(
        mixed.astype(np.uint8), scene.boxes[alone], scene.points[alone], ignored, scene.path
    )


def _inside_share(share: Floats, boxes: Floats) -> Floats:
    """Of each box the greatest share (n,) that is still to be seen."""
    height, width = share.shape[:2]
    spans = np.clip(np.round(boxes), 0, [width, height, width, height]).astype(int)
    seen = [share[top:bottom, left:right].max(initial=0.0) for left, top, right, bottom in spans]
    return np.array(seen, np.float32)


def _some_covered(scene: Scene, grounds: Grounds, random: Rng) -> Scene:
    """Hands, flags, brims and other heads before a face: up to two fifths of it."""
    image = scene.image
    for box in scene.boxes:
        if box[2] - box[0] > 20 and random.random() < COVERED:
            image = hide(image, box, grounds, random)
    return replace(scene, image=image)


def _reduced(image: Image, onto: Matrix) -> tuple[Image, Matrix]:
    """Halved as long as `onto` shrinks to less than half, so that nothing flickers."""
    matrix = onto.copy()
    while math.hypot(matrix[0, 0], matrix[1, 0]) < 0.5:
        image = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        matrix[:, :2] *= 2
    return image, matrix


def _moved(boxes: Floats, onto: Matrix) -> Floats:
    """Upright boxes around what becomes of the ellipses inside `boxes`.

    A head is rounder than its box: around the turned box itself would be far too large.
    """
    centres = apply(onto, (boxes[:, :2] + boxes[:, 2:]) / 2)
    half = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2 @ (onto[:, :2] ** 2).T)
    return np.hstack([centres - half, centres + half]).astype(np.float32)


def _some_masked(scene: Scene, random: Rng) -> Scene:
    image = scene.image
    for box, points in zip(scene.boxes, scene.points, strict=True):
        large = box[2] - box[0] > 30 and np.isfinite(points).all()
        if large and random.random() < 0.08:
            image = draw(image, points, random)
    return replace(scene, image=image)


def _mirrored(scene: Scene) -> Scene:
    width = scene.image.shape[1]
    points = scene.points[:, MIRRORED].copy()
    points[..., 0] = width - 1 - points[..., 0]
    return Scene(
        scene.image[:, ::-1],
        _mirrored_boxes(scene.boxes, width),
        points,
        _mirrored_boxes(scene.ignored, width),
    )


def _mirrored_boxes(boxes: Floats, width: int) -> Floats:
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)


def _clipped(scene: Scene) -> Scene:
    """Faces mostly outside the frame, or too small, move to the ignored ones."""
    height, width = scene.image.shape[:2]
    limit = np.array([width, height, width, height], np.float32)
    visible = np.clip(scene.boxes, 0, limit)
    area = (scene.boxes[:, 2:] - scene.boxes[:, :2]).prod(1)
    share = (visible[:, 2:] - visible[:, :2]).prod(1) / np.maximum(area, 1e-6)
    wanted = (share > 0.6) & (np.sqrt(area) >= SMALLEST)
    touched = (share > 0.02) & ~wanted
    ignored = np.clip(np.concatenate([scene.ignored, scene.boxes[touched]]), 0, limit)
    return Scene(scene.image, scene.boxes[wanted], scene.points[wanted], ignored)


def _shifted(scene: Scene, left: int, top: int) -> Scene:
    shift = np.array([left, top], np.float32)
    twice = np.tile(shift, 2)
    return replace(
        scene,
        boxes=scene.boxes + twice,
        points=scene.points + shift,
        ignored=scene.ignored + twice,
    )


def _joined(image: Image, parts: list[Scene]) -> Scene:
    return Scene(
        image,
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.ignored for part in parts]),
    )


def _developed(scene: Scene, random: Rng) -> Scene:
    return replace(scene, image=develop(scene.image, random))
