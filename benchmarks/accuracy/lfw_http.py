"""The LFW verification protocol through a running server's compare.

    python -m benchmarks.accuracy.lfw_http --url http://127.0.0.1:8000 --app-key KEY \
        --pairs pairs.txt --photos lfw

PAIRS is in the standard format (first line: folds and pairs per fold; three columns for the same
person, four for two people); PHOTOS holds Person_Name/Person_Name_0001.jpg. The score of a pair is
the similarity of the source's largest face and the target's face nearest the centre, the one LFW
labels. Each fold is judged at the threshold that is best on the others (Huang et al. 2007,
"Labeled Faces in the Wild", UMass Amherst technical report 07-49).
"""

import argparse
import base64
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm  # type: ignore[import-untyped]  # it ships no types

NOT_FOUND = 0.0  # what a pair scores when a face is not found: counted, never left out


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos of one fold, and whether they show the same person."""

    fold: int
    left: Path
    right: Path
    same: bool


def read_pairs(file: Path, photos: Path) -> list[Pair]:
    """Every pair of the protocol file."""
    lines = file.read_text(encoding="utf-8").splitlines()
    count = int(lines[0].split()[1])
    rows = [line.split() for line in lines[1:] if line.strip()]
    return [_pair(row, number // (2 * count), photos) for number, row in enumerate(rows)]


def _pair(row: list[str], fold: int, photos: Path) -> Pair:
    if len(row) == 3:
        return Pair(fold, _photo(photos, row[0], row[1]), _photo(photos, row[0], row[2]), same=True)
    return Pair(fold, _photo(photos, row[0], row[1]), _photo(photos, row[2], row[3]), same=False)


def _photo(photos: Path, person: str, number: str) -> Path:
    return photos / person / f"{person}_{int(number):04d}.jpg"


@lru_cache(maxsize=8192)
def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


class Server:
    """Compares photos through HTTP."""

    def __init__(self, url: str, app_key: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._path = f"/nhn-face-reco/v1.0/appkeys/{app_key}/compare"

    def score(self, pair: Pair) -> float | None:
        """The similarity 0..100, None when one of the faces is not found."""
        body = {
            "sourceImage": {"bytes": _encoded(pair.left)},
            "targetImage": {"bytes": _encoded(pair.right)},
            "orientation": False,
            "mask": False,
        }
        answer = self._client.post(self._path, params={"threshold": 1}, json=body).json()
        if answer["header"]["resultCode"] != 0:
            return None
        data = answer["data"]
        faces = data["matchedFaceDetails"] + data["unmatchedFaceDetails"]
        return float(min(faces, key=_off_centre)["similarity"]) if faces else None


def _off_centre(face: dict[str, dict[str, dict[str, float]]]) -> float:
    box = face["faceDetail"]["bbox"]
    return abs(box["x0"] + box["x1"] - 1) + abs(box["y0"] + box["y1"] - 1)


def fold_accuracies(
    scores: NDArray[np.float64], same: NDArray[np.bool_], folds: NDArray[np.int64]
) -> Iterator[tuple[float, float]]:
    """For each fold its accuracy 0..1 and the threshold, chosen on the other folds."""
    for fold in np.unique(folds):
        rest, mine = folds != fold, folds == fold
        threshold = best_threshold(scores[rest], same[rest])
        yield float(np.mean((scores[mine] >= threshold) == same[mine])), threshold


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The threshold with the most right answers; the middle one when several are as good."""
    candidates = np.unique(scores)
    ranked_same = np.sort(scores[same])
    ranked_other = np.sort(scores[~same])
    right = (len(ranked_same) - np.searchsorted(ranked_same, candidates)) + np.searchsorted(
        ranked_other, candidates
    )
    best = candidates[right == right.max()]
    return float(best[len(best) // 2])


def report(scores: list[float | None], pairs: list[Pair]) -> dict[str, object]:
    """Accuracy over folds with its standard error, and the pairs that could not be scored."""
    values = np.array([NOT_FOUND if score is None else score for score in scores])
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    results = list(fold_accuracies(values, same, folds))
    accuracies = np.array([accuracy for accuracy, _ in results])
    return {
        "pairs": len(pairs),
        "accuracy": round(float(accuracies.mean()), 6),
        "standard_error": round(float(accuracies.std(ddof=1) / np.sqrt(len(accuracies))), 6),
        "folds": [round(accuracy, 6) for accuracy in accuracies.tolist()],
        "thresholds": [round(threshold, 3) for _, threshold in results],
        "not_found": sum(score is None for score in scores),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--app-key", required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    pairs = read_pairs(arguments.pairs, arguments.photos)
    server = Server(arguments.url, arguments.app_key)
    with ThreadPoolExecutor(arguments.clients) as pool:
        scores = list(tqdm(pool.map(server.score, pairs), total=len(pairs), file=sys.stderr))
    print(json.dumps(report(scores, pairs), indent=1))


if __name__ == "__main__":
    main()
