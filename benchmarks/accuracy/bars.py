"""The bars of accuracy that this project sets itself, measured on a folder in the usual layouts.

    python -m benchmarks.accuracy.bars open --weights FOLDER --data FOLDER --out runs/bars.json

The folder holds `lfw/` with `lfw_pairs_dev.txt`, `wider/` with its boxes, and `aflw80/`; what is
not there is left out. `--folds 5` takes some folds of the pairs alone: of the people in the others
the pack `starter` has learnt.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from app.domain.calibration import Table
from app.domain.fitting import cross
from app.domain.rates import Rate
from app.domain.values import Image
from app.intake.pairs import Pair, people_below
from app.vision.geometry import Floats
from app.vision.packs import MODELS, PackCatalog
from app.vision.pose import rolls, wrapped
from benchmarks.accuracy.hardships import HARDSHIPS, Change, Vectors, turned
from benchmarks.accuracy.promises import promises
from models.training.data import dev_pairs, load
from models.training.evaluate import WIDER_SIDE
from models.training.labels import labelled_aflw, read_wider
from models.training.measures import detection
from models.training.packs import PackUnderTest

Figures = dict[str, object]


class Known(Protocol):
    """Gives the vector of a photo, None where no face is found."""

    def of(self, path: Path, change: Change | None) -> Floats | None: ...


PARTS = ("verification", "promises", "identification", "roll", "detection", "yaw")
PROMISED = (80.0, 90.0, 95.0)
ENROLLED = 1_000
TURNS = (-60.0, -45.0, -30.0, -15.0, 15.0, 30.0, 45.0, 60.0)
TURNED_PHOTOS = 60
REGISTERED_SIDE = 60.0  # px, shorter side; the default of FACERECO_MIN_FACE
CLASSES = range(1, 6)
FRONTAL = 3  # the class of aflw80 that looks ahead; below it to the left edge, above to the right


def verified(vectors: Vectors, pairs: Sequence[Pair], names: Sequence[str]) -> Figures:
    """The accuracy of the LFW protocol under each hardship, with its standard error."""
    figures: Figures = {}
    for name in names:
        found = vectors.verification(pairs, HARDSHIPS[name])
        accuracies = np.array(found.accuracies())
        error = accuracies.std(ddof=1) / np.sqrt(len(accuracies)) if len(accuracies) > 1 else 0.0
        figures[name] = {
            "what": HARDSHIPS[name].title,
            "accuracy": round(float(accuracies.mean()), 5),
            "standard_error": round(float(error), 5),
            "pairs": len(pairs),
            "pairs_with_a_face_not_found": found.missing,
        }
    return figures


def promised(vectors: Known, photos: Sequence[tuple[str, Path]], read: Table) -> Figures:
    """How often strangers reach what the pack promises, among all photos of some people."""
    if read.rates is None:
        return {}
    known = [(person, vectors.of(path, None)) for person, path in photos]
    found = [(person, vector) for person, vector in known if vector is not None]
    same, different = cross(np.stack([vector for _, vector in found]), [who for who, _ in found])
    cosines = {similarity: read.calibration.cosine(similarity) for similarity in PROMISED}
    return {
        "photos": len(found),
        "pairs_of_strangers": len(different),
        "at": promises(same, different, read.rates, cosines),
    }


def identified(vectors: Known, photos: Sequence[tuple[str, Path]]) -> Figures:
    """Rank 1 among people of whom one photo is enrolled; the next one of each is looked for.

    All further photos of everybody are looked for as well: more trials, most of them of the few
    people with many photos. `missed` names those of the first kind, for somebody to look at:
    labels of public sets are not all right.
    """
    people: dict[str, list[Path]] = {}
    for person, path in photos:
        people.setdefault(person, []).append(path)
    # Those with a second photo first, so that as many as possible are looked for.
    chosen = sorted(people.items(), key=lambda known: (len(known[1]) < 2, known[0]))[:ENROLLED]
    gallery = _stacked([vectors.of(own[0], None) for _, own in chosen])
    hits = {
        path: _is_first(gallery, vectors.of(path, None), at)
        for at, (_, own) in enumerate(tqdm(chosen, desc="identification", mininterval=5))
        for path in own[1:]
    }
    asked = [own[1] for _, own in chosen if len(own) > 1]
    return {
        "enrolled": len(chosen),
        "rank_1": Rate(sum(hits[path] for path in asked), len(asked)).as_json(),
        "missed": [f"{path.parent.name}/{path.name}" for path in asked if not hits[path]],
        "rank_1_of_every_other_photo": Rate(sum(hits.values()), len(hits)).as_json(),
    }


def _stacked(vectors: Sequence[Floats | None]) -> Floats:
    """A row each; of zeros, which resemble nobody, where no face was found."""
    width = next(len(vector) for vector in vectors if vector is not None)
    rows = [np.zeros(width, np.float32) if vector is None else vector for vector in vectors]
    return np.stack(rows)


def _is_first(gallery: Floats, probe: Floats | None, at: int) -> bool:
    return probe is not None and int((gallery @ probe).argmax()) == at


def detected(pack: PackUnderTest, data: Path) -> Figures:
    """Faces of at least 50 px found, with at most one false face in ten photos."""
    labels = {data / name: rows for name, rows in read_wider(data).items()}
    found = detection(pack, labels)
    return {
        "photos": found.photos,
        "found": found.recall(WIDER_SIDE, threshold=found.strict_threshold).as_json(),
        "found_as_served": found.recall(WIDER_SIDE).as_json(),
        "false_faces_a_photo_as_served": round(found.false_a_photo(), 4),
        "those_large_enough_to_register": round(found.false_a_photo(REGISTERED_SIDE), 4),
    }


def rolled(pack: PackUnderTest, photos: Sequence[Path]) -> Figures:
    """How far the roll of a turned photo is from that of the photo and the turn, in degrees."""
    errors: dict[float, list[float]] = {turn: [] for turn in TURNS}
    missing = 0
    for path in tqdm(photos, desc="roll", mininterval=5):
        image = load(path)
        straight = None if image is None else _roll(pack, image)
        if image is None or straight is None:
            continue
        for turn, some in errors.items():
            roll = _roll(pack, turned(pack, image, path, degrees=turn))
            missing += roll is None
            if roll is not None:
                some.append(abs(float(wrapped(np.array(roll - straight - turn)))))
    everything = [error for some in errors.values() for error in some]
    return {
        "photos": len(photos),
        "mean_error": round(float(np.mean(everything)), 3),
        "median_error": round(float(np.median(everything)), 3),
        "within_3_degrees": Rate(sum(e <= 3.0 for e in everything), len(everything)).as_json(),
        "face_not_found": missing,
        "median_error_by_turn": {
            f"{turn:g}": round(float(np.median(some)), 3) for turn, some in errors.items()
        },
    }


def _roll(pack: PackUnderTest, image: Image) -> float | None:
    face = pack.central_face(image)
    return None if face is None else float(rolls(face.points)[0])


def mirrored(pack: PackUnderTest, data: Path) -> Figures:
    """Yaw of turned heads: its sign by the label, in a mirror, and the order of the classes."""
    told = list(_yaws(pack, data))
    turned_heads = [row for row in told if row[0] != FRONTAL]
    right = sum((yaw > 0) == (kind > FRONTAL) for kind, yaw, _ in turned_heads)
    opposite = sum(yaw * mirror < 0 for _, yaw, mirror in turned_heads)
    kinds = [np.array([yaw for kind, yaw, _ in told if kind == k]) for k in CLASSES]
    return {
        "faces": len(told),
        "sign_by_label": Rate(right, len(turned_heads)).as_json(),
        "opposite_in_a_mirror": Rate(opposite, len(turned_heads)).as_json(),
        "median_yaw_by_class": [round(float(np.median(yaws)), 1) for yaws in kinds],
        "classes": in_order(kinds),
    }


def in_order(kinds: Sequence[np.ndarray]) -> Figures:
    """Whether the yaws of rising classes rise.

    Of two faces of different classes the one of the higher class should have the greater yaw:
    `pairs_in_order` is how often it has, of every two faces of the set, most of them frontal ones
    beside others. Beside it stands the same with every pair of classes weighing alike, of classes
    that are neighbours, and of those further apart; and whether the means rise at all.
    """
    right = {
        (low, high): int((kinds[low][:, None] < kinds[high][None]).sum())
        for low, high in combinations(range(len(kinds)), 2)
    }
    trials = {(low, high): len(kinds[low]) * len(kinds[high]) for low, high in right}
    shares = {pair: right[pair] / trials[pair] for pair in right}
    beside = [share for (low, high), share in shares.items() if high - low == 1]
    apart = [share for (low, high), share in shares.items() if high - low > 1]
    means = [float(yaws.mean()) for yaws in kinds]
    return {
        "means": [round(mean, 2) for mean in means],
        "neighbouring_means_in_order": Rate(
            sum(low < high for low, high in pairwise(means)), len(means) - 1
        ).as_json(),
        "pairs_in_order": Rate(sum(right.values()), sum(trials.values())).as_json(),
        "classes_in_order": round(float(np.mean([*beside, *apart])), 5),
        "neighbouring_classes_in_order": round(float(np.mean(beside)), 5),
        "classes_further_apart_in_order": round(float(np.mean(apart)), 5),
        "in_order_by_classes": {
            f"{low + 1}-{high + 1}": round(share, 4) for (low, high), share in shares.items()
        },
    }


def _yaws(pack: PackUnderTest, data: Path) -> Iterator[tuple[int, float, float]]:
    """Class, yaw, and yaw in a mirror of each labelled face that is found in both."""
    for name, (label, kind) in tqdm(sorted(labelled_aflw(data).items()), desc="yaw", mininterval=5):
        image = load(data / name)
        if image is None:
            continue
        width = image.shape[1]
        other = (label * np.array((-1, 1), np.float32) + np.array((width - 1, 0), np.float32))[
            [1, 0, 2, 4, 3]
        ]
        mirror = np.ascontiguousarray(image[:, ::-1])
        yaws = [_yaw(pack, image, label), _yaw(pack, mirror, other)]
        if yaws[0] is not None and yaws[1] is not None:
            yield kind, yaws[0], yaws[1]


def _yaw(pack: PackUnderTest, image: Image, label: np.ndarray) -> float | None:
    found = pack.faces(image)
    if not len(found):
        return None
    nearest = int(np.abs(found.points - label).mean((1, 2)).argmin())
    return pack.yaw(image, found.take(np.array([nearest])))


def measure(name: str, asked: argparse.Namespace) -> Figures:
    """Every bar for one pack, or those parts that are asked for."""
    pack, data, parts = (
        PackUnderTest.open(name, MODELS, tuple(asked.weights)),
        asked.data,
        asked.parts,
    )
    pairs = [pair for pair in dev_pairs(data) if not asked.folds or pair.fold in asked.folds]
    figures: Figures = {"pack": name, "folds": asked.folds or "all"}
    if pairs:
        figures |= of_people(pack, name, pairs, asked)
    if (data / "wider").is_dir() and "detection" in parts:
        figures["detection"] = detected(pack, data)
    if (data / "aflw80").is_dir() and "yaw" in parts:
        figures["yaw"] = mirrored(pack, data)
    return figures


def of_people(
    pack: PackUnderTest, name: str, pairs: Sequence[Pair], asked: argparse.Namespace
) -> Figures:
    """The parts that are measured on the photos of the pairs."""
    vectors, parts, figures = Vectors(pack), asked.parts, Figures()
    folders = {path.parent for pair in pairs for path in (pair.first, pair.second)}
    photos = [known for known in people_below(asked.data / "lfw") if known[1].parent in folders]
    if "verification" in parts:
        figures["verification"] = verified(vectors, pairs, asked.hardships)
    if "promises" in parts:
        catalog = PackCatalog(MODELS, asked.weights)
        table = catalog.table(catalog.get(name))
        figures["promises"] = promised(vectors, _judged(photos, pairs, asked.judge), table)
        figures["promises_among_all"] = promised(vectors, photos, table)
    if "identification" in parts:
        figures["identification"] = identified(vectors, photos)
    if "roll" in parts:
        step = max(1, len(photos) // TURNED_PHOTOS)
        figures["roll"] = rolled(pack, [path for _, path in photos[::step]])
    return figures


def _judged(
    photos: Sequence[tuple[str, Path]], pairs: Sequence[Pair], folds: Sequence[int]
) -> list[tuple[str, Path]]:
    """The photos of the people of some folds; of all when none of them is measured."""
    people = {
        path.parent.name
        for pair in pairs
        if pair.fold in folds
        for path in (pair.first, pair.second)
    }
    return [known for known in photos if not people or known[0] in people]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packs", nargs="+")
    parser.add_argument("--weights", type=Path, action="append", default=[])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="file for the figures, JSON")
    parser.add_argument("--folds", type=int, nargs="+", default=[], help="of the pairs")
    parser.add_argument(
        "--judge", type=int, nargs="+", default=[4, 5], help="folds the table was not fitted on"
    )
    parser.add_argument("--hardships", nargs="+", choices=HARDSHIPS, default=list(HARDSHIPS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    figures = [measure(name, asked) for name in asked.packs]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(asked.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
