"""Whether strangers reach a similarity as often as the pack's table promises.

    python -m benchmarks.accuracy.promises open --weights FOLDER --pairs lfw_pairs.txt \
        --photos lfw --folds 4 5

Compares every photo of the folds' people with every photo of everybody else, without fitting
anything: name folds that the table was not fitted on (its provenance says which those are).
Rates are counted twice: each pair of photos alike, and each pair of people alike.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from app.domain.fitting import Ranked, Trials, cross
from app.domain.values import ErrorRates
from app.intake.pairs import read_pairs
from app.vision.packs import MODELS, PackCatalog
from models.training.evaluate import vectors_of
from models.training.packs import PackUnderTest

SHOWN = (50, 60, 70, 80, 85, 90, 92.5, 95)


def judged(ranked: Ranked, cosine: float, promise: float) -> dict[str, object]:
    """The rate at `cosine`, with its interval, and how often it lies over what was promised."""
    rate = ranked.rate(cosine)
    low, high = ranked.interval(cosine)
    return {
        "rate": float(f"{rate:.3g}"),
        "interval": [float(f"{low:.3g}"), float(f"{high:.3g}")],
        "times_the_promise": round(rate / promise, 3),
    }


def promises(
    same: Trials, different: Trials, rates: ErrorRates, cosines: dict[float, float]
) -> list[dict[str, object]]:
    """For each similarity what is promised and what happened."""
    # Each pair of photos alike: as if no two of them shared anybody.
    by_photo, by_people = Trials.unrelated(different.cosines).ranked(), different.ranked()
    return [
        {
            "similarity": similarity,
            "promised": rates.at(similarity).false_match,
            "pairs_of_photos": judged(by_photo, cosine, rates.at(similarity).false_match),
            "pairs_of_people": judged(by_people, cosine, rates.at(similarity).false_match),
            "same_person_missed": round(float(np.mean(same.cosines < cosine)), 5),
        }
        for similarity, cosine in cosines.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack")
    parser.add_argument("--weights", type=Path, action="append", default=[])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", required=True)
    asked = parser.parse_args()
    catalog = PackCatalog(MODELS, asked.weights)
    table = catalog.table(catalog.get(asked.pack))
    if table.rates is None:
        sys.stderr.write(f"the table of {asked.pack} promises nothing\n")
        return 2
    chosen = [pair for pair in read_pairs(asked.pairs, asked.photos) if pair.fold in asked.folds]
    people = {path.parent for pair in chosen for path in (pair.first, pair.second)}
    photos = sorted(path for folder in people for path in folder.iterdir())
    pack = PackUnderTest.open(asked.pack, MODELS, tuple(asked.weights))
    vectors, names = vectors_of(pack, [(path, path.parent.name) for path in photos])
    same, different = cross(vectors, names)
    cosines = {similarity: table.calibration.cosine(similarity) for similarity in SHOWN}
    found = {
        "pack": asked.pack,
        "table": table.rates.provenance,
        "photos": len(names),
        "people": len(set(names)),
        "pairs_of_strangers": len(different),
        "at": promises(same, different, table.rates, cosines),
    }
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
