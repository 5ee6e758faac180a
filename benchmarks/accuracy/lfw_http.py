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
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import httpx
import numpy as np
from tqdm import tqdm

from app.intake.pairs import Pair, read_pairs
from models.training.scores import fold_accuracies

NOT_FOUND = 0.0  # what a pair scores when a face is not found: counted, never left out


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
            "sourceImage": {"bytes": _encoded(pair.first)},
            "targetImage": {"bytes": _encoded(pair.second)},
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
