"""What a pack makes of folders in the standard layouts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm  # type: ignore[import-untyped]  # it ships no types

from app.domain.rates import Rate
from app.intake.pairs import PICTURE_SUFFIXES, Pair
from app.vision.geometry import Detections, Floats
from models.training.data import Image, load
from models.training.geometry import intersection_over_union
from models.training.packs import PackUnderTest
from models.training.scores import (
    ErrorCurve,
    Scores,
    best_threshold,
    error_curve,
    fold_accuracies,
    resampled,
)

OVERLAP = 0.5  # intersection over union from which a labelled face counts as found (WIDER, VOC)
MEETS_NOTHING = 0.3  # a found box below it on every labelled face is a false one
FALSE_ALLOWED = 0.1  # false faces a photo, where recall is read
SIZES = (16, 24, 32, 50, 80, 120, 10_000)  # px, edges of the classes of size
NOT_FOUND = -1.0  # the cosine of a pair in which a face was not found: counted, never left out


class Finds(Protocol):
    """What a detection is measured of."""

    def faces(self, image: Image) -> Detections: ...


def readable(paths: Sequence[Path], what: str) -> Iterator[tuple[Path, Image]]:
    """The pictures among `paths` with a progress bar; broken files are passed over."""
    for path in tqdm(paths, desc=what, mininterval=5, disable=not paths):
        image = load(path)
        if image is not None:
            yield path, image


def pictures_below(folder: Path) -> list[Path]:
    """Every picture file below `folder`, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)


@dataclass(frozen=True, slots=True)
class Verification:
    """Cosines (n,) of labelled pairs, which of them show one person, and their folds."""

    scores: Scores
    same: NDArray[np.bool_]
    folds: NDArray[np.int64]
    missing: int

    @property
    def curve(self) -> ErrorCurve:
        return error_curve(self.scores[self.same], self.scores[~self.same])

    def accuracies(self, parts: int = 10) -> list[float]:
        """Of each fold, judged where the others are judged best; one fold is cut into `parts`.

        Too few pairs for two parts are judged where they themselves are judged best.
        """
        folds = self.folds if len(np.unique(self.folds)) > 1 else self._cut(parts)
        if len(np.unique(folds)) == 1:
            threshold = best_threshold(self.scores, self.same)
            return [float(((self.scores >= threshold) == self.same).mean())]
        return [accuracy for accuracy, _ in fold_accuracies(self.scores, self.same, folds)]

    def _cut(self, parts: int) -> NDArray[np.int64]:
        folds = np.zeros(len(self.same), np.int64)
        for kind in (self.same, ~self.same):
            count = int(kind.sum())
            folds[kind] = np.arange(count) * parts // max(count, 1)
        return folds

    def as_json(self) -> dict[str, object]:
        accuracies, curve = np.array(self.accuracies()), self.curve
        right = (self.scores >= best_threshold(self.scores, self.same)) == self.same
        low, high = Rate(int(right.sum()), len(right)).interval
        eer = resampled(self.scores[self.same], self.scores[~self.same])
        return {
            "pairs": len(self.scores),
            "pairs_with_a_face_not_found": self.missing,
            "accuracy": round(float(accuracies.mean()), 6),
            "interval": [round(low, 6), round(high, 6)],
            "equal_error_rate": round(curve.equal_error_rate, 6),
            "equal_error_rate_interval": [round(value, 6) for value in eer],
            "false_rejects_at": {
                f"{rate:g}": round(curve.false_rejects_at(rate), 6) for rate in (0.1, 0.01, 0.001)
            },
        }


def verification(pack: PackUnderTest, pairs: Sequence[Pair]) -> Verification:
    """Every pair by the faces nearest the centres."""
    paths = sorted({path for pair in pairs for path in (pair.first, pair.second)})
    vectors = {path: pack.central_vector(image) for path, image in readable(paths, "pairs")}
    cosines = [_cosine(vectors.get(pair.first), vectors.get(pair.second)) for pair in pairs]
    scores = np.array(cosines, np.float64)
    return Verification(
        scores,
        np.array([pair.same for pair in pairs]),
        np.array([pair.fold for pair in pairs]),
        int((scores == NOT_FOUND).sum()),
    )


def _cosine(first: Floats | None, second: Floats | None) -> float:
    return NOT_FOUND if first is None or second is None else float(first @ second)


@dataclass(frozen=True, slots=True)
class Detection:
    """Labelled faces: shorter side in px (n,) and score they were found with (n,), 0 where not.

    `false_scores` (m,) and `false_sides` (m,) are those of found boxes that meet no labelled face.
    """

    sides: Scores
    scores: Scores
    false_scores: Scores
    false_sides: Scores
    photos: int

    def false_a_photo(self, smallest: float = 0.0) -> float:
        """Found boxes of at least `smallest` px that meet no labelled face, a photo."""
        return int((self.false_sides >= smallest).sum()) / max(self.photos, 1)

    def recall(self, smallest: float, largest: float = np.inf, *, threshold: float = 0.0) -> Rate:
        """Of faces with `smallest` <= side < `largest`, found with more than `threshold`."""
        of_size = (self.sides >= smallest) & (self.sides < largest)
        return Rate(int((self.scores[of_size] > threshold).sum()), int(of_size.sum()))

    @property
    def strict_threshold(self) -> float:
        """The lowest score with at most one false face in ten photos."""
        allowed = int(FALSE_ALLOWED * self.photos)
        ranked = np.sort(self.false_scores)[::-1]
        return float(ranked[allowed]) if len(ranked) > allowed else 0.0

    def as_json(self) -> dict[str, object]:
        bounds = list(pairwise(SIZES))
        strict = self.strict_threshold
        return {
            "photos": self.photos,
            "false_faces_per_photo": round(self.false_a_photo(), 4),
            "recall_from_50_px": self.recall(50).as_json(),
            "threshold_for_a_false_face_in_ten_photos": round(strict, 4),
            "recall_from_50_px_at_that_threshold": self.recall(50, threshold=strict).as_json(),
            "recall_by_side_px": {
                f"{low}-{high if high < SIZES[-1] else ''}": self.recall(low, high).as_json()
                for low, high in bounds
            },
        }


def detection(pack: Finds, labelled: dict[Path, Floats]) -> Detection:
    """Photos with rows of left, top, right, bottom and 1 for a face that is not to count."""
    sides: list[float] = []
    scores: list[float] = []
    false: list[Detections] = []
    photos = 0
    for path, image in readable(sorted(labelled), "detection"):
        truth, found = labelled[path], pack.faces(image)
        counted = truth[truth[:, 4] == 0]
        sides += (counted[:, 2:4] - counted[:, :2]).min(1, initial=np.inf).tolist()
        scores += [_score_on(box[:4], found) for box in counted]
        false.append(_meeting_none(found, truth))
        photos += 1
    boxes = np.concatenate([some.boxes for some in false]) if false else np.empty((0, 4))
    return Detection(
        np.array(sides),
        np.array(scores),
        np.concatenate([some.scores for some in false]) if false else np.empty(0),
        (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf),
        photos,
    )


def _meeting_none(found: Detections, truth: Floats) -> Detections:
    overlaps = [intersection_over_union(box, truth[:, :4]).max(initial=0.0) for box in found.boxes]
    return found.take(np.flatnonzero(np.array(overlaps) < MEETS_NOTHING))


def _score_on(box: Floats, found: Detections) -> float:
    overlaps = intersection_over_union(box, found.boxes) >= OVERLAP
    return float(found.scores[overlaps].max(initial=0.0))


@dataclass(frozen=True, slots=True)
class Flag:
    """What was told of pictures that have, and of pictures that lack, what a flag names."""

    seen: Rate  # told of those that have it
    spared: Rate  # not told of those that lack it
    without_face: int

    @property
    def balanced(self) -> float:
        return (self.seen.value + self.spared.value) / 2

    def as_json(self) -> dict[str, object]:
        return {
            "balanced_accuracy": round(self.balanced, 6),
            "masks_seen": self.seen.as_json(),
            "bare_faces_spared": self.spared.as_json(),
            "pictures_without_a_face": self.without_face,
        }


def masks(pack: PackUnderTest, masked: Sequence[Path], bare: Sequence[Path]) -> Flag | None:
    """The mask flag of each picture's largest face; None where the pack has none."""
    if pack.pipeline.attributes is None:
        return None
    worn = [_masked(pack, image) for _, image in readable(masked, "masked")]
    none = [_masked(pack, image) for _, image in readable(bare, "bare")]
    return Flag(
        Rate(sum(told is True for told in worn), sum(told is not None for told in worn)),
        Rate(sum(told is False for told in none), sum(told is not None for told in none)),
        sum(told is None for told in worn + none),
    )


def _masked(pack: PackUnderTest, image: Image) -> bool | None:
    face, reader = largest(pack.faces(image)), pack.pipeline.attributes
    if face is None or reader is None:
        return None
    return bool(reader.read(image, face.points).masks[0])


def largest(found: Detections) -> Detections | None:
    """The face of the greatest area alone; None where nothing was found."""
    if not len(found):
        return None
    areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1)
    return found.take(np.array([areas.argmax()]))


@dataclass(frozen=True, slots=True)
class Liveness:
    """Chances of life 0..1 that the largest faces of live pictures and of attacks were given."""

    live: Scores
    attacks: Scores
    without_face: int

    @property
    def curve(self) -> ErrorCurve:
        return error_curve(self.live, self.attacks)

    def at(self, threshold: float) -> dict[str, object]:
        """APCER and BPCER of ISO/IEC 30107-3: attacks accepted, live faces refused."""
        accepted = Rate(int((self.attacks >= threshold).sum()), len(self.attacks))
        refused = Rate(int((self.live < threshold).sum()), len(self.live))
        return {
            "apcer": accepted.as_json(),
            "bpcer": refused.as_json(),
            "balanced_accuracy": round(1 - (accepted.value + refused.value) / 2, 6),
        }

    def as_json(self) -> dict[str, object]:
        return {
            "live": len(self.live),
            "attacks": len(self.attacks),
            "pictures_without_a_face": self.without_face,
            "equal_error_rate": round(self.curve.equal_error_rate, 6),
            "at_threshold": {f"{t:g}": self.at(t) for t in (0.25, 0.5, 0.75)},
        }


def liveness(pack: PackUnderTest, live: Sequence[Path], attacks: Sequence[Path]) -> Liveness | None:
    """Both kinds through the pack's spoofing networks; None where it has none."""
    if pack.judges is None:
        return None
    good = [_chance(pack, image) for _, image in readable(live, "live")]
    bad = [_chance(pack, image) for _, image in readable(attacks, "attacks")]
    return Liveness(
        np.array([chance for chance in good if chance is not None]),
        np.array([chance for chance in bad if chance is not None]),
        sum(chance is None for chance in good + bad),
    )


def _chance(pack: PackUnderTest, image: Image) -> float | None:
    face = largest(pack.faces(image))
    if face is None or pack.judges is None:
        return None
    return float(pack.judges.live(image, face.boxes, face.points)[0])
