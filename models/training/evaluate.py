"""Knows how good a pack is on the pictures that training never saw."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]  # it ships no types

from app.domain import fitting
from app.vision.geometry import Floats
from models.training import measures
from models.training.data import HELD_OUT_FOLD, Image, Picture, dev_pairs, load, pictures
from models.training.labels import labelled_68, labelled_aflw, read_wider, wears_mask
from models.training.packs import PackUnderTest


def calibration_of(pack: PackUnderTest, data: Path, folds: frozenset[int]) -> dict[str, object]:
    """A pack's calibration.json from every pair of the LFW photos of some folds of the pairs."""
    people = people_of(data, folds)
    photos = [p.path for p in pictures(data) if p.source == "lfw"]
    known = [(path, path.parent.name) for path in photos if path.parent.name in people]
    vectors, names = vectors_of(pack, known)
    provenance = (
        f"All pairs among {len(names)} LFW photos of {len(set(names))} people (folds "
        f"{', '.join(map(str, sorted(folds)))} of the development pairs), found, aligned and "
        "embedded by this pack. Each pair of people weighs the same. Rates with fewer than "
        f"{fitting.COUNTED_FROM} pairs of people beyond them from a normal tail. Intervals at 95 %."
    )
    return fitting.fit(*fitting.cross(vectors, names)).as_json(provenance)


def people_of(data: Path, folds: frozenset[int]) -> frozenset[str]:
    """Everybody in some folds of the development pairs; nobody is in two."""
    pairs = [pair for pair in dev_pairs(data) if pair.fold in folds]
    return frozenset(path.parent.name for pair in pairs for path in (pair.first, pair.second))


def vectors_of(pack: PackUnderTest, photos: Sequence[tuple[Path, str]]) -> tuple[Floats, list[str]]:
    """Vectors (n, d) of the faces nearest the middle that were found, and whose they are."""
    answers = [
        (pack.central_vector(image), person)
        for path, person in tqdm(photos, mininterval=10)
        if (image := load(path)) is not None
    ]
    found = [(vector, person) for vector, person in answers if vector is not None]
    return np.stack([vector for vector, _ in found]), [person for _, person in found]


SINGLE_FACE_SETS = ("aflw80", "congress", "facescrub", "keypoints", "lfw")
WIDER_SIDE = 50.0  # px; shorter side of a box that counts
MASK_SETS = ("chandrika", "prajnasb", "rmfd", "CWM", "IWM")
TURNED_CLASSES = {1: -1, 2: -1, 4: 1, 5: 1}  # aflw80: towards the left edge, towards the right


def measure(pack: PackUnderTest, teacher: PackUnderTest, data: Path) -> dict[str, object]:
    """Every figure of the model card, on the held-out part alone.

    `teacher` aligns once more for the embedder, to tell its faults from the points'.
    """
    kept = [p for p in pictures(data) if p.held_out]
    by_set = {name: [p for p in kept if p.source == name] for name in {p.source for p in kept}}
    return {
        "lfw": _lfw(pack, data),
        "lfw_aligned_by_teacher": _lfw(pack.aligned_by(teacher), data),
        "crowd": _crowd(pack),
        "found": {name: _found(pack, by_set.get(name, [])) for name in SINGLE_FACE_SETS},
        "wider": _wider(pack, by_set.get("wider", []), data),
        "points": _points(pack, by_set.get("keypoints", []), data),
        "mask": _masks(pack, by_set.get("mask", []), data),
        "mask_by_set": {
            name: _masks(pack, [p for p in by_set.get("mask", []) if name in p.path.parts], data)
            for name in MASK_SETS
        },
        "yaw": _yaw(pack, by_set.get("aflw80", []), data),
    }


def _lfw(pack: PackUnderTest, data: Path) -> dict[str, float]:
    pairs = [pair for pair in dev_pairs(data) if pair.fold == HELD_OUT_FOLD]
    verified = measures.verification(pack, pairs)
    same, different = verified.scores[verified.same], verified.scores[~verified.same]
    return {
        "accuracy": float(np.mean(verified.accuracies())),
        "pairs": len(pairs),
        "same_mean": float(same.mean()),
        "different_mean": float(different.mean()),
        "different_deviation": float(different.std()),
    }


def _images(photos: list[Picture]) -> list[tuple[Picture, Image]]:
    loaded = ((photo, load(photo.path)) for photo in photos)
    return [(photo, image) for photo, image in loaded if image is not None]


def _found(pack: PackUnderTest, photos: list[Picture]) -> dict[str, float]:
    counts = np.array([len(pack.faces(image)) for _, image in _images(photos)])
    return {
        "photos": len(counts),
        "with_a_face": float((counts > 0).mean()),
        "with_several": float((counts > 1).mean()),
    }


def _wider(pack: PackUnderTest, photos: list[Picture], data: Path) -> dict[str, float]:
    """Recall of faces of at least 50 px, and found boxes that meet no labelled face at all."""
    labels = read_wider(data)
    labelled = {photo.path: labels[photo.path.relative_to(data).as_posix()] for photo in photos}
    found = measures.detection(pack, labelled)
    recall = found.recall(WIDER_SIDE)
    return {
        "photos": found.photos,
        "faces": recall.trials,
        "recall": recall.value,
        "false_per_photo": found.false_a_photo(),
    }


def _nearest(pack: PackUnderTest, image: Image, label: Floats) -> Floats | None:
    """The five points of the face that lies nearest to a label, or None."""
    points = pack.faces(image).points
    if not len(points):
        return None
    return np.asarray(points[np.abs(points - label).mean((1, 2)).argmin()])


def _points(pack: PackUnderTest, photos: list[Picture], data: Path) -> dict[str, float]:
    """Mean distance in shares of the eye distance."""
    labels, errors = labelled_68(data), []
    for photo, image in _images(photos):
        label = labels.get(photo.path.relative_to(data).as_posix())
        points = None if label is None else _nearest(pack, image, label)
        if points is not None and label is not None:
            apart = np.linalg.norm(label[1] - label[0])
            errors.append(np.linalg.norm(points - label, axis=1).mean() / apart)
    return {"faces": len(errors), "mean_error": float(np.mean(errors)) if errors else 1.0}


def _masks(pack: PackUnderTest, photos: list[Picture], data: Path) -> dict[str, float]:
    """The flag of the largest face against the folder; a photo without a face is not judged."""
    kinds: dict[bool, list[Path]] = {True: [], False: []}
    for photo in photos:
        kinds[wears_mask(photo.path.relative_to(data).as_posix())].append(photo.path)
    flag = measures.masks(pack, kinds[True], kinds[False])
    if flag is None:
        return {}
    rates = {"masks_seen": flag.seen, "bare_seen": flag.spared}
    told = {name: rate.value for name, rate in rates.items() if rate.trials}
    mean = float(np.mean(list(told.values()))) if told else 0.0
    judged = flag.seen.trials + flag.spared.trials
    return {"photos": len(photos), "judged": judged, **told, "balanced_accuracy": mean}


def _crowd(pack: PackUnderTest) -> dict[str, float]:
    """The group of six that comes with insightface."""
    package = importlib.util.find_spec("insightface")
    folder = Path(package.origin).parent if package and package.origin else Path()
    image = load(folder / "data" / "images" / "t1.jpg")
    return {"faces": 6, "found": 0 if image is None else len(pack.faces(image))}


def _yaw(pack: PackUnderTest, photos: list[Picture], data: Path) -> dict[str, float]:
    """Share of turned heads whose yaw has the label's sign."""
    labels, right = labelled_aflw(data), []
    for photo, image in _images(photos):
        label, turned = labels.get(photo.path.relative_to(data).as_posix(), (None, 0))
        found = pack.faces(image)
        if label is not None and turned in TURNED_CLASSES and len(found):
            nearest = int(np.abs(found.points - label).mean((1, 2)).argmin())
            yaw = pack.yaw(image, found.take(np.array([nearest])))
            right.append(yaw * TURNED_CLASSES[turned] > 0)
    return {"faces": len(right), "right_sign": float(np.mean(right)) if right else 0.0}
