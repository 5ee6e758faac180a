"""How often a pack's own spoofing lines are wrong, on the people whom training never saw.

    python -m benchmarks.accuracy.spoofing_rates --pack starter --data FOLDER

For a detector that was exchanged: the lines stay where they were drawn, and the manifest's apcer
and bpcer are measured anew. FOLDER holds `spoof_nuaa`. Prints JSON: whole pictures, then crops.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.domain.values import SpoofingCondition
from app.vision.manifests import PointsSection
from app.vision.packs import MODELS, PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.sessions import SessionPool
from benchmarks.accuracy.spoofing import chances, read
from models.training.data import Picture, pictures
from models.training.labels import is_printed
from models.training.measures import Liveness
from models.training.scores import Scores

SET = "spoof_nuaa"


def seen(pipeline: Pipeline, photos: list[Picture]) -> list[tuple[float, float] | None]:
    """The chances of life that each picture's largest face is given, None without a face."""
    if pipeline.liveness is None:
        raise SystemExit("the pack tells nobody's life")
    judges = pipeline.liveness.judges
    return [chances(pipeline, judges, read(photo.path)) for photo in tqdm(photos)]


def rates(lines: PointsSection, live: Scores, attacks: Scores) -> dict[str, object]:
    """APCER and BPCER at each of the pack's lines."""
    found = Liveness(live, attacks, 0)
    return {c.value: found.at(lines.at(c.value).threshold) for c in SpoofingCondition}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pack", default="starter")
    parser.add_argument("--model-path", type=Path, action="append", default=[])
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    catalog = PackCatalog(MODELS, asked.model_path)
    pipeline = Pipeline.open(catalog.get(asked.pack), SessionPool(catalog))
    photos = [p for p in pictures(asked.data) if p.source == SET and p.held_out]
    both = seen(pipeline, photos)
    told = np.array([pair for pair in both if pair is not None])
    shown = np.array(
        [is_printed(f"/{p.path}") for p, pair in zip(photos, both, strict=True) if pair is not None]
    )
    lines = pipeline.liveness
    assert lines is not None  # `seen` would have ended it
    print(
        json.dumps(
            {
                "pictures_without_a_face": len(photos) - len(told),
                "whole": rates(lines.points, told[~shown, 0], told[shown, 0]),
                "aligned": rates(lines.aligned_points, told[~shown, 1], told[shown, 1]),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
