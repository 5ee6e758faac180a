"""The same tables for a network trained here, whose people must not choose its thresholds.

    python -m benchmarks.accuracy.starter_spoofing --data FOLDER --prepared FOLDER

The people training may see were scored by networks trained without them (`models.training spoofing
--without-part 0` to 3) and choose the thresholds; the held-out people, scored by the network that
ships, give the error rates. PREPARED is where training left its checkpoints.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from app.vision.manifests import SpoofingSection
from app.vision.packs import MODELS, PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.sessions import Node, Opened, SessionPool
from app.vision.spoofing import Judges, LiveFaces
from benchmarks.accuracy.spoofing import Scores, chances, equal_error_rate, read, table
from models.training.data import Picture, pictures
from models.training.labels import is_printed
from models.training.networks import Spoofing
from models.training.runs import averaged
from models.training.train_spoofing import SET, SHOWN_SCALE, people_left_out

PARTS = 4


class _Node:
    def __init__(self, name: str, shape: list[int | str | None]) -> None:
        self.name, self.shape = name, shape


class TorchSession:
    """A checkpoint behind the port of ONNX Runtime's sessions."""

    def __init__(self, checkpoint: Path) -> None:
        self._network = averaged(Spoofing(), checkpoint)

    def get_inputs(self) -> list[Node]:
        return [_Node("input", [None, 3, Spoofing.SIDE, Spoofing.SIDE])]

    def get_outputs(self) -> list[Node]:
        return [_Node("logits", [None, 2])]

    def run(
        self, _outputs: list[str] | None, inputs: Mapping[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        with torch.no_grad():
            return [self._network(torch.from_numpy(inputs["input"])).numpy()]


def judging(checkpoint: Path) -> Judges:
    section = SpoofingSection(
        family="minifasnet", file=checkpoint.name, sha256="0" * 64, box_scale=SHOWN_SCALE
    )
    return Judges((LiveFaces(Opened(TorchSession(checkpoint), checkpoint), section),))


def scored_by(prepared: Path, faces: Mapping[str, np.ndarray]) -> dict[str, Judges]:
    """Which network scores each person that training may see."""
    return {
        group: judges
        for part in range(PARTS)
        for judges in (judging(prepared / f"spoofing-without-{part}.pt"),)
        for group in people_left_out(dict(faces), part)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--pack", default="starter", help="whose detector finds the faces")
    parser.add_argument("--name", required=True, help="of the data, for `measured_on`")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # pictures come one at a time: a second thread only waits
    with np.load(arguments.prepared / "faces.npz") as faces:
        others = scored_by(arguments.prepared, dict(faces))
    shipped = judging(arguments.prepared / "spoofing.pt")
    catalog = PackCatalog(MODELS, ())
    pipeline = Pipeline.open(catalog.get(arguments.pack), SessionPool(catalog))
    photos = [photo for photo in pictures(arguments.data) if photo.source == SET]
    found = [
        (photo, both)
        for photo in tqdm(photos, file=sys.stderr)
        if (both := _chances(pipeline, photo, shipped if photo.held_out else others[photo.group]))
    ]
    print(f"# {len(photos) - len(found)} of {len(photos)} pictures show no face to the detector.")
    _print_tables([photo for photo, _ in found], np.array([both for _, both in found]), arguments)


def _chances(pipeline: Pipeline, photo: Picture, judges: Judges) -> tuple[float, float] | None:
    return chances(pipeline, judges, read(photo.path))


def _print_tables(photos: list[Picture], both: np.ndarray, asked: argparse.Namespace) -> None:
    live = np.array([not is_printed(photo.path.as_posix()) for photo in photos])
    choosing = np.array([not photo.held_out for photo in photos])
    told = (
        f"{asked.name}: thresholds from {(choosing & live).sum()} live pictures of the people in "
        f"training, each scored by a network that did not know them; rates from "
        f"{(~choosing & live).sum()} live pictures and {(~choosing & ~live).sum()} attacks of "
        f"{len({photo.group for photo in photos if photo.held_out})} people held out"
    )
    for column, title in enumerate(("spoofing_points", "aligned_spoofing_points")):
        scores = Scores(both[:, column], live, choosing)
        for people, who in (
            (choosing, "in training, by networks without them"),
            (~choosing, "held out"),
        ):
            part = Scores(both[people, column], live[people], choosing[people])
            print(f"# Equal error rate over the people {who}: {100 * equal_error_rate(part):.2f} %")
        print("\n".join(table(title, scores, told)))


if __name__ == "__main__":
    main()
