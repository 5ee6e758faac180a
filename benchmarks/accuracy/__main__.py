"""Measures packs on folders in the standard layouts: JSON, plots, and a page that compares them.

    python -m benchmarks.accuracy starter open --weights FOLDER --out runs/accuracy \
        --pairs lfw_pairs.txt --photos lfw --wider boxes.txt --wider-photos wider \
        --masked with_mask --bare without_mask --live ClientRaw --attacks ImposterRaw

Whatever is not named is not measured. `--fold 5` takes one fold of the pairs; `--held-out DATA`
only pictures that training on folder DATA keeps out (models/training/data.py).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.intake.pairs import read_pairs
from benchmarks.accuracy import page, plots
from models.training import measures
from models.training.data import group_of, held_out_people, is_held_out
from models.training.labels import read_boxes
from models.training.packs import PackUnderTest

Found = TypeVar("Found")

MODELS = Path(__file__).resolve().parents[2] / "models"


class NothingToMeasureError(Exception):
    """A folder or file that was named is not there, or holds nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one pack was found to do; None where nothing was asked or the pack cannot."""

    verification: measures.Verification | None
    detection: measures.Detection | None
    masks: measures.Flag | None
    liveness: measures.Liveness | None

    def as_json(self) -> dict[str, object]:
        parts = {name: getattr(self, name) for name in self.__slots__}
        return {name: part.as_json() for name, part in parts.items() if part is not None}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="benchmarks.accuracy", description=__doc__.splitlines()[0])
    made.add_argument("packs", nargs="+", help="names of packs")
    made.add_argument("--weights", type=Path, action="append", default=[], help="where weights lie")
    made.add_argument("--out", type=Path, required=True, help="folder for JSON, plots and the page")
    made.add_argument("--pairs", type=Path, help="pairs in the format of LFW")
    made.add_argument("--photos", type=Path, help="folder of the pairs' photos")
    made.add_argument("--fold", type=int, help="one fold of the pairs alone, counted from 1")
    made.add_argument("--wider", type=Path, help="boxes in the format of WIDER")
    made.add_argument("--wider-photos", type=Path, help="folder of their photos")
    made.add_argument("--held-out", type=Path, metavar="DATA", help="only what training kept out")
    for name in ("masked", "bare", "live", "attacks"):
        made.add_argument(f"--{name}", type=Path, nargs="+", default=[], help=f"folders: {name}")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    try:
        measured = {name: measure(name, asked) for name in asked.packs}
    except (NothingToMeasureError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    write(measured, asked.out)
    return 0


def measure(name: str, asked: argparse.Namespace) -> Measured:
    """One pack in front of everything that was named."""
    pack = PackUnderTest.open(name, MODELS, tuple(asked.weights))
    kept = _Kept(asked.held_out)
    verified = detected = flagged = alive = None
    if asked.pairs:
        pairs = [
            pair
            for pair in read_pairs(asked.pairs, asked.photos)
            if asked.fold in (None, pair.fold)
        ]
        verified = measures.verification(pack, _some(pairs, asked.pairs))
    if asked.wider:
        boxes = read_boxes(asked.wider, asked.wider_photos)
        labelled = {path: rows for path, rows in boxes.items() if kept.allows(path)}
        detected = measures.detection(pack, labelled)
    if asked.masked or asked.bare:
        flagged = measures.masks(pack, kept.below(asked.masked), kept.below(asked.bare))
    if asked.live or asked.attacks:
        alive = measures.liveness(pack, kept.below(asked.live), kept.below(asked.attacks))
    return Measured(verified, detected, flagged, alive)


class _Kept:
    """Which pictures count: all, or those that training on a folder keeps out."""

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self._people = held_out_people(data) if data else frozenset()

    def allows(self, path: Path) -> bool:
        if self._data is None:
            return True
        group = group_of(path.relative_to(self._data))
        return is_held_out(group, kept_out=self._people)

    def below(self, folders: list[Path]) -> list[Path]:
        found = [path for folder in folders for path in measures.pictures_below(folder)]
        return _some([path for path in found if self.allows(path)], *folders)


def _some(found: list[Found], *places: Path) -> list[Found]:
    if not found and places:
        raise NothingToMeasureError(f"nothing to measure in {', '.join(map(str, places))}")
    return found


def write(measured: dict[str, Measured], out: Path) -> None:
    """PACK.json for each, det.png, scores-PACK.png, recall.png, liveness.png, comparison.md."""
    out.mkdir(parents=True, exist_ok=True)
    figures = {name: one.as_json() for name, one in measured.items()}
    for name, content in figures.items():
        (out / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    drawn = list(_draw(measured, out))
    how = "python -m benchmarks.accuracy"
    (out / "comparison.md").write_text(page.comparison(figures, drawn, how), encoding="utf-8")


def _draw(measured: dict[str, Measured], out: Path) -> list[str]:
    drawn = []
    verified = {name: one.verification for name, one in measured.items() if one.verification}
    if verified:
        curves = {name: one.curve for name, one in verified.items()}
        accept, reject = "strangers accepted", "same person missed"
        plots.det(curves, out / "det.png", accept=accept, reject=reject)
        drawn.append("det.png")
    for name, one in verified.items():
        plots.histogram(one, name, out / f"scores-{name}.png")
        drawn.append(f"scores-{name}.png")
    detected = {name: one.detection for name, one in measured.items() if one.detection}
    if detected:
        plots.recall_by_size(detected, out / "recall.png")
        drawn.append("recall.png")
    alive = {name: one.liveness for name, one in measured.items() if one.liveness}
    if alive:
        plots.liveness(alive, out / "liveness.png")
        drawn.append("liveness.png")
    return drawn


if __name__ == "__main__":
    raise SystemExit(main())
