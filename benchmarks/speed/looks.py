"""What the further looks at a picture without a face cost, beside one look at one, in one run.

    python -m benchmarks.speed.looks [--pack open --model-path DIR] [--json]

Two photos of 640x480 are shown to a pack's detector, one with a face and one with none, each as
the server shows it and without turning it; by short turns, so that whatever else the machine does
falls on all alike. Medians of the processor's time, and ratios to the photo with a face.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image as Pictures

from app.domain.values import Image
from app.vision.detectors import TURNS, FaceFinder, open_network
from app.vision.manifests import Pack
from app.vision.packs import MODELS, PackCatalog
from app.vision.sessions import SessionPool
from benchmarks.speed.detect import HEIGHT, WIDTH, Clock, Cost, Step, measure, photo, pin

ONE_LOOK = "a face"
UPRIGHT = "none, not turned"
TURNED = "none, turned"


def nobody() -> Image:
    """A cup of coffee on a table."""
    cup = Pictures.fromarray(skimage.data.coffee())  # type: ignore[no-untyped-call]
    return np.asarray(cup.resize((WIDTH, HEIGHT)))


def finders(catalog: PackCatalog, pack: Pack) -> tuple[FaceFinder, FaceFinder]:
    """The pack's detector as the server shows pictures to it, and without turning them."""
    section = pack.detector
    network = open_network(pack, SessionPool(catalog))
    served, upright = (
        FaceFinder(
            network,
            section.max_side,
            least=section.score_threshold,
            turns=turns,
            enlarged=section.enlarged_side,
        )
        for turns in (TURNS, ())
    )
    return served, upright


def looks(catalog: PackCatalog, pack: Pack) -> dict[str, tuple[Step, Clock]]:
    """What is timed. Raises `SystemExit` when the pack does not see who is there."""
    served, upright = finders(catalog, pack)
    shown = {
        ONE_LOOK: (served, photo(), 1),
        UPRIGHT: (upright, nobody(), 0),
        TURNED: (served, nobody(), 0),
    }
    return {name: (_step(*look), time.process_time) for name, look in shown.items()}


def _step(finder: FaceFinder, image: Image, faces: int) -> Step:
    if len(finder.detect(image)) != faces:
        raise SystemExit(f"this pack does not find {faces} faces where as many are")

    async def run() -> None:
        finder.detect(image)

    return run


def show(costs: Mapping[str, Cost], *, as_json: bool) -> None:
    rows = {
        name: {
            "processor_ms": cost.processor,
            "ratio": cost.processor / costs[ONE_LOOK].processor,
        }
        for name, cost in costs.items()
    }
    if as_json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        print(f"{name:18} {row['processor_ms']:8.2f} ms {row['ratio']:7.2f} x")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pack", default="starter")
    parser.add_argument("--model-path", type=Path, action="append", default=[])
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--core", type=int, default=0, help="the core that is used")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    options = parse()
    pin(options.core, None)
    catalog = PackCatalog(MODELS, options.model_path)
    steps = looks(catalog, catalog.get(options.pack))
    show(asyncio.run(measure(steps, options.turns)), as_json=options.json)


if __name__ == "__main__":
    main()
