"""Where a pack's spoofing conditions draw the line, and how often they are wrong there.

    python -m benchmarks.accuracy.spoofing --pack open --model-path WEIGHTS \
        --live nuaa/ClientRaw --attacks nuaa/ImposterRaw --name "NUAA"

LIVE and ATTACKS hold a folder per person. The thresholds come from every second person and the
error rates from the others, who lend no picture to the choice. A condition is a share of live faces
refused where it was chosen: weak 1 %, balanced 3 %, strict 10 %. Once so for faces in whole
pictures, once for 224x224 crops cut as `aligned` requests bring them. The output is the manifest's
[spoofing_points] and [aligned_spoofing_points], with the figures behind them as comments.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from tqdm import tqdm

from app.domain.values import Image
from app.vision.alignment import ARCFACE, align
from app.vision.packs import MODELS, PackCatalog
from app.vision.pipeline import Pipeline, largest
from app.vision.sessions import SessionPool
from app.vision.spoofing import Judges, judges
from models.training.scores import error_curve

REFUSED = {"weak": 0.01, "balanced": 0.03, "strict": 0.10}
ALIGNED_SIDE = 224


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture of one face, who it is, and whether the face is live."""

    path: Path
    person: str
    live: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Probabilities (n,) of being live, whether that is so, and whether the person chooses."""

    chances: NDArray[np.float64]
    live: NDArray[np.bool_]
    choosing: NDArray[np.bool_]


def photos_in(folder: Path, *, live: bool) -> Iterator[Photo]:
    """Every picture below `folder`, whose subfolders are people."""
    for path in sorted(folder.glob("*/*.jpg")):
        yield Photo(path, path.parent.name, live)


def read(path: Path) -> Image:
    with Pictures.open(path) as picture:
        return np.ascontiguousarray(picture.convert("RGB"))


def chances(pipeline: Pipeline, judging: Judges, image: Image) -> tuple[float, float] | None:
    """How likely the largest face is live, in the picture and as a crop; None without a face."""
    height, width = image.shape[:2]
    found = largest(pipeline.finder.detect(image), width, height, 1)
    if not len(found):
        return None
    refiner = pipeline.landmarks
    points = refiner.refine(image, found) if refiner else found.points
    crop = align(image, points[0], ARCFACE, ALIGNED_SIDE)
    whole = judging.live(image, found.boxes, points)
    return float(whole[0]), judging.live_crop(crop)


def threshold(live: NDArray[np.float64], refused: float) -> float:
    """The probability below which at most the share `refused` of live faces lies."""
    ranked = np.sort(live)
    return float(ranked[int(refused * len(ranked))])


def table(name: str, scores: Scores, measured_on: str) -> list[str]:
    """One of the manifest's tables."""
    lines = [f"[{name}]", f'measured_on = "{measured_on}"']
    reported = ~scores.choosing
    for condition, refused in REFUSED.items():
        line = round(threshold(scores.chances[scores.choosing & scores.live], refused), 4)
        apcer = np.mean(scores.chances[reported & ~scores.live] >= line)
        bpcer = np.mean(scores.chances[reported & scores.live] < line)
        lines += [f"\n[{name}.{condition}]", f"threshold = {line}"]
        lines += [f"apcer = {apcer:.4f}", f"bpcer = {bpcer:.4f}"]
    return [*lines, ""]


def equal_error_rate(scores: Scores) -> float:
    """The rate at which attacks pass as often as live faces are refused, all people."""
    live, attacks = scores.chances[scores.live], scores.chances[~scores.live]
    return error_curve(live, attacks).equal_error_rate


def measured(scores: Scores, name: str) -> str:
    chosen = np.sum(scores.choosing & scores.live)
    live = np.sum(~scores.choosing & scores.live)
    attacks = np.sum(~scores.choosing & ~scores.live)
    return (
        f"{name}: thresholds from {chosen} live pictures of half of the people, "
        f"rates from {live} live pictures and {attacks} attacks of the others"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="open")
    parser.add_argument("--model-path", type=Path, action="append", default=[])
    parser.add_argument("--live", type=Path, required=True)
    parser.add_argument("--attacks", type=Path, required=True)
    parser.add_argument("--name", required=True, help="of the data, for `measured_on`")
    arguments = parser.parse_args()
    catalog = PackCatalog(MODELS, arguments.model_path)
    pack = catalog.get(arguments.pack)
    sessions = SessionPool(catalog)
    pipeline = Pipeline.open(pack, sessions)
    judging = judges(pack, lambda weights: sessions.open(pack, weights))
    photos = [*photos_in(arguments.live, live=True), *photos_in(arguments.attacks, live=False)]
    found = [
        (photo, both)
        for photo in tqdm(photos, file=sys.stderr)
        if (both := chances(pipeline, judging, read(photo.path))) is not None
    ]
    people = sorted({photo.person for photo in photos})
    live = np.array([photo.live for photo, _ in found])
    choosing = np.array([people.index(photo.person) % 2 == 0 for photo, _ in found])
    print(f"# {len(photos) - len(found)} of {len(photos)} pictures show no face to the detector.")
    for column, title in enumerate(("spoofing_points", "aligned_spoofing_points")):
        scores = Scores(np.array([both[column] for _, both in found]), live, choosing)
        print(f"# Equal error rate over all people: {100 * equal_error_rate(scores):.2f} %")
        print("\n".join(table(title, scores, measured(scores, arguments.name))))


if __name__ == "__main__":
    main()
