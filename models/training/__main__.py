"""The recipe's command line: `python -m models.training STEP --data FOLDER …`.

Steps in order: prepare; invent; embedder, detector, landmarks, attributes and spoofing; export;
realign, after which the embedder goes on with --resume; export again; calibrate; evaluate. With
--resume a killed training goes on, too. While the embedder trains, invent may go on, too.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.domain.errors import ConfigurationError
from app.vision.packs import PackCatalog
from models.training.errors import TrainingError

if TYPE_CHECKING:
    from models.training.packs import PackUnderTest

MODELS = Path(__file__).resolve().parents[1]
KINDS = ("embedder", "detector", "landmarks", "attributes", "spoofing")
INVENTIONS = 150_000


def main(arguments: list[str] | None = None) -> int:
    """Run one step; 0 when it is done, 2 with one line on standard error when it cannot be."""
    asked = _parser().parse_args(arguments)
    try:
        asked.step(asked)
    except (TrainingError, ConfigurationError, MemoryError) as error:
        return _refuse(str(error) or "not enough memory")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return _refuse("this step needs PyTorch: install torch into the environment (extra train)")
    return 0


def _refuse(line: str) -> int:
    sys.stderr.write(f"{line}\n")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="models.training", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    _step(steps, "prepare", prepare, "find and align every face, ask the teachers")
    inventing = _step(steps, "invent", invent, "make faces nobody has, ask the teacher")
    inventing.add_argument("--count", type=int, default=INVENTIONS, help="faces in all")
    for kind in KINDS:
        training = _step(steps, kind, _trainer(kind), f"train the {kind}")
        training.add_argument("--minutes", type=float, required=True, help="wall time of the run")
        training.add_argument("--resume", action="store_true", help="take up a killed run")
        training.add_argument("--threads", type=int, default=0, help="0: all cores")
        if kind == "detector":
            training.add_argument(
                "--start", metavar="PACK", help="the pack whose detector goes on learning"
            )
        if kind == "spoofing":
            training.add_argument(
                "--without-part", type=int, choices=range(4), help="leave out a quarter of people"
            )
    realigning = _step(steps, "realign", realign, "cut the crops where the own pack puts them")
    realigning.add_argument("--pack", required=True, help="the pack's name")
    exporting = _step(steps, "export", export, "write the ONNX files and check them")
    exporting.add_argument("--pack", type=Path, required=True, help="folder for the ONNX files")
    calibrating = _step(steps, "calibrate", calibrate, "fit a pack's calibration.json on LFW")
    calibrating.add_argument("--pack", required=True, help="the pack's name")
    calibrating.add_argument(
        "--folds",
        type=int,
        nargs="+",
        help="of the pairs; if not given, the one held out",
    )
    evaluating = _step(steps, "evaluate", evaluate, "measure a pack on what was held out")
    evaluating.add_argument("--pack", required=True, help="the pack's name")
    timing = _step(steps, "time", time_networks, "time a pack's networks on one core")
    timing.add_argument("--pack", required=True, help="the pack's name")
    return parser


def _step(
    steps: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    action: Callable[[argparse.Namespace], None],
    text: str,
) -> argparse.ArgumentParser:
    step = steps.add_parser(name, help=text, description=text)
    step.set_defaults(step=action)
    step.add_argument("--data", type=Path, required=True, help="folder of picture sets")
    step.add_argument("--teachers", type=Path, required=True, help="weights of pack `open`")
    step.add_argument("--out", type=Path, required=True, help="folder for all that is made")
    return step


def prepare(asked: argparse.Namespace) -> None:
    """Crops and teacher vectors of every face."""
    from models.training import crops, data
    from models.training.teachers import Teachers

    found = data.pictures(asked.data)
    teachers = Teachers.load(MODELS, asked.teachers)
    crops.prepare(found, asked.data, teachers, asked.out)


def invent(asked: argparse.Namespace) -> None:
    """More faces than there are people: files that a training embedder takes up as they come."""
    from models.training import inventions
    from models.training.teachers import Teachers

    inventions.prepare(asked.out, Teachers.load(MODELS, asked.teachers), asked.count)


def realign(asked: argparse.Namespace) -> None:
    """The crops once more, as the pack's own detector and landmarks align them."""
    from models.training import crops

    crops.realign(asked.data, _pack(asked), asked.out)


def _trainer(kind: str) -> Callable[[argparse.Namespace], None]:
    def run(asked: argparse.Namespace) -> None:
        checkpoint, minutes = asked.out / _checkpoint_name(kind, asked), asked.minutes
        _refuse_to_overwrite(checkpoint, resume=asked.resume)
        _use_threads(asked.threads)
        _train(kind, asked, checkpoint, minutes)

    return run


def _checkpoint_name(kind: str, asked: argparse.Namespace) -> str:
    part = getattr(asked, "without_part", None)
    return f"{kind}.pt" if part is None else f"{kind}-without-{part}.pt"


def _train(kind: str, asked: argparse.Namespace, checkpoint: Path, minutes: float) -> None:
    from models.training import (
        train_attributes,
        train_detector,
        train_embedder,
        train_landmarks,
        train_spoofing,
    )
    from models.training.teachers import CellScores, Teachers

    data, out, resume = asked.data, asked.out, asked.resume
    if kind == "embedder":
        train_embedder.train(out, checkpoint, minutes, resume=resume)
    elif kind == "detector":
        teacher = partial(CellScores.load, MODELS, asked.teachers)
        crowds = train_detector.Sources(data, out, teacher, _start(asked))
        train_detector.train(crowds, checkpoint, minutes, resume=resume)
    elif kind == "landmarks":
        train_landmarks.train(data, out, checkpoint, minutes, resume=resume)
    elif kind == "spoofing":
        lessons = train_spoofing.lessons(data, out, asked.without_part)
        train_spoofing.train(lessons, checkpoint, minutes, resume=resume)
    else:
        sources = train_attributes.Sources(data, out, Teachers.load(MODELS, asked.teachers))
        train_attributes.train(sources, checkpoint, minutes, resume=resume)


def _start(asked: argparse.Namespace) -> bytes | None:
    """The detector that is to go on learning, its hash checked."""
    if asked.start is None:
        return None
    catalog = PackCatalog(MODELS, (asked.teachers,))
    pack = catalog.get(asked.start)
    return catalog.read(pack, pack.detector)[1]


def _use_threads(count: int) -> None:
    import cv2
    import torch

    cv2.setNumThreads(0)
    if count:
        torch.set_num_threads(count)


def _refuse_to_overwrite(checkpoint: Path, *, resume: bool) -> None:
    if checkpoint.exists() and not resume:
        raise TrainingError(f"{checkpoint} exists: --resume takes it up, moving it starts anew")


def export(asked: argparse.Namespace) -> None:
    """Every network that has a checkpoint, as ONNX, its SHA-256 on standard output."""
    from models.training.export import export as write

    asked.pack.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        if (asked.out / f"{kind}.pt").exists():
            digest = write(kind, asked.out / f"{kind}.pt", asked.pack / f"{kind}.onnx")
            sys.stdout.write(f"{kind}.onnx {digest}\n")


def calibrate(asked: argparse.Namespace) -> None:
    """Write calibration.json of a pack to `--out`."""
    from models.training.data import HELD_OUT_FOLD
    from models.training.evaluate import calibration_of

    folds = frozenset(asked.folds or [HELD_OUT_FOLD])
    table = calibration_of(_pack(asked), asked.data, folds)
    _write_json(asked.out / "calibration.json", table)


def evaluate(asked: argparse.Namespace) -> None:
    """Write every figure of a pack to `--out`."""
    from models.training.evaluate import measure
    from models.training.packs import PackUnderTest

    teacher = PackUnderTest.open("open", MODELS, (asked.teachers,))
    _write_json(asked.out / f"{asked.pack}.json", measure(_pack(asked), teacher, asked.data))


def time_networks(asked: argparse.Namespace) -> None:
    """The pack's networks against the embedding teacher, one core, milliseconds an input."""
    from models.training.speed import milliseconds

    files = sorted((MODELS / asked.pack).glob("*.onnx"))
    files += sorted(asked.teachers.glob("face-reidentification-*.onnx"))
    _write_json(asked.out / f"{asked.pack}-speed.json", dict(milliseconds(files)))


def _pack(asked: argparse.Namespace) -> "PackUnderTest":
    from models.training.packs import PackUnderTest

    return PackUnderTest.open(asked.pack, MODELS, (asked.teachers,))


def _write_json(file: Path, content: dict[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
