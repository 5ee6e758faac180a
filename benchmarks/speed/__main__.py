"""The speed suite: every operation beside what it could cost at the least, in one run.

    ./facereco bench speed [--json] [--out DIR] [--quick]

Prints a table and writes speed.json and speed.png. `bare` holds unit rates and times of this
machine, `ratios` one entry for each promise, `bars` what was promised, `floors` what some ratios
are of the pipeline without a server, `parts` where the time of a request goes. What cannot be
measured here is null, and `why_null` says why. All is measured by short turns, so that whatever
else the machine does falls on ours and on the floor alike.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from numpy.typing import NDArray

from app.intake.decoders import Decoders
from app.settings import Settings
from app.telemetry import logs
from app.vision.manifests import Pack
from app.vision.packs import MODELS, PackCatalog
from benchmarks.load import machine
from benchmarks.speed import idle, parts, throughput, versus
from benchmarks.speed.bars import Figures, floors, judged, ratios, show
from benchmarks.speed.groups import vectors
from benchmarks.speed.progress import Progress
from benchmarks.speed.stage import LARGE, WIDE, BareIndex, Groups, Packs, furnish, serving

SETTLED = 3.0  # seconds until a server that just started is idle


@dataclass(frozen=True, slots=True)
class Suite:
    """One run: what is measured, in which folder, and how long."""

    packs: Packs
    folder: Path
    options: argparse.Namespace
    progress: Progress

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'database' / 'facereco.db'}"

    @property
    def settings(self) -> dict[str, str]:
        folders = ":".join(str(path.resolve()) for path in self.options.model_path)
        return {"model": self.packs.name, "model_path": folders}

    def measure(self) -> dict[str, Any]:
        self.progress.begins("filling groups")
        (self.folder / "database").mkdir(parents=True)
        groups = uvloop.run(furnish(self.folder, self.url, self.packs))
        faces = vectors(LARGE, dimension=WIDE)
        bare = BareIndex(faces)
        where = self._parts(bare, faces)
        memory = self._idle_memory()
        with serving(self.folder, self.settings) as (base, _):
            alone = self._alone(base, groups, bare)
            rates = self._rates(base, groups, bare)
        pack = versus.comparable(self.packs.catalog)
        theirs = self._versus(pack) if pack else None
        where["HTTP"] = _beside(alone["detect"] - alone["bare_detect"], alone["healthz"])
        return {
            "pack": self.packs.name,
            "insightface_pack": pack.name if pack else None,
            "cores": throughput.cores(),
            "bare": _bare(rates, alone, where),
            **judged(ratios(rates, alone, theirs, memory)),
            "floors": floors(alone),
            "parts": where,
            "rates_per_s": rates,
            "idle_ms": alone,
            "insightface": theirs,
            "register_growth": alone["register_100k"] / alone["register_1k"],
        }

    def _parts(self, bare: BareIndex, faces: NDArray[np.float32]) -> dict[str, Figures]:
        self.progress.begins("where the time goes")
        decoders = Decoders(1)
        decoders.check()
        with (
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            parts.of_groups(self.folder, self.url, runner, bare, faces) as of_groups,
        ):
            all_parts = {**parts.of_pictures(self.packs, decoders), **of_groups}
            where = parts.measured(all_parts, self.options.turns, self.progress.step)
        decoders.close()
        return where

    def _idle_memory(self) -> float:
        """Megabytes of a server with pack `starter` to whom nobody has spoken yet."""
        self.progress.begins("memory of an idle server")
        with machine.serving(None, model="starter") as server:
            time.sleep(SETTLED)
            return server.resident()

    def _alone(self, base: str, groups: Groups, bare: BareIndex) -> Figures:
        asking, turns, step = idle.Asking(base), self.options.turns, self.progress.step
        self.progress.begins("one request at a time")
        idle.enrol(asking, groups)
        narrow = BareIndex(vectors(LARGE, 1, self.packs.dimension))
        pictures = idle.of_pictures(asking, groups, self.packs, narrow)
        alone = idle.by_turns(pictures, turns, step)
        self.progress.begins("growing groups")
        growth = idle.by_turns(idle.of_growth(asking, groups, bare), turns, step)
        asking.close()
        return {**alone, **growth}

    def _rates(self, base: str, groups: Groups, bare: BareIndex) -> Figures:
        rounds, seconds, step = self.options.rounds, self.options.seconds, self.progress.step
        self.progress.begins("eight clients with pictures")
        pictures = throughput.of_pictures(base, groups, self.packs)
        rates = uvloop.run(throughput.medians(pictures, rounds, seconds, step))
        self.progress.begins("searches by face")
        searches = throughput.of_searches(base, groups, bare)
        return {**rates, **uvloop.run(throughput.medians(searches, rounds, seconds / 2, step))}

    def _versus(self, pack: Pack) -> Figures:
        self.progress.begins("beside insightface")
        options = self.options
        return versus.compare(self.packs.catalog, pack, options.seconds, self.progress.step)


def _bare(rates: Figures, alone: Figures, where: dict[str, dict[str, float]]) -> Figures:
    """Unit rates and times of this machine, nothing of ours around them."""
    return {
        "detect_per_s": rates["bare_detect_250"],
        "detect_640x480_per_s": rates["bare_detect"],
        "embed_640x480_per_s": rates["bare_embed"],
        "faiss_100k_batched_per_s": rates["bare_batched"],
        "healthz_per_s": rates["healthz"],
        "detect_640x480_ms": alone["bare_detect"],
        "detect_12mp_ms": alone["bare_detect_12mp"],
        "embed_640x480_ms": alone["bare_embed"],
        "faiss_100k_ms": alone["bare_index"],
        "faiss_100k_of_512_ms": alone["bare_100k"],
        "healthz_ms": alone["healthz"],
        **{f"{name.replace(' ', '_')}_ms": row["floor_ms"] for name, row in where.items()},
    }


def _beside(ours: float, floor: float) -> Figures:
    return {"ms": ours, "floor_ms": floor, "ratio": ours / floor}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="facereco bench speed", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--pack", default="open", help="`starter` where its weights are missing")
    parser.add_argument(
        "--model-path", type=Path, action="append", help="as in FACERECO_MODEL_PATH, several times"
    )
    parser.add_argument("--turns", type=int, default=20, help="of single requests")
    parser.add_argument("--rounds", type=int, default=3, help="of many clients at once")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each part of a round")
    parser.add_argument("--out", type=Path, help="folder for speed.json and speed.png")
    parser.add_argument("--json", action="store_true", help="print the JSON alone")
    options = parser.parse_args()
    options.model_path = options.model_path or list(Settings.read().model_path)
    return options


def main() -> None:
    logs.configure("error")
    options = parse()
    packs = Packs.choose(PackCatalog(MODELS, options.model_path), options.pack)
    steps = 3 * options.turns + 10 * (options.rounds + 1) + 11
    with Progress(steps) as progress, tempfile.TemporaryDirectory(prefix="facereco-") as place:
        result = Suite(packs, Path(place) / "data", options, progress).measure()
    text = json.dumps(result, indent=None if options.json else 2)
    if options.json:
        print(text)
    else:
        show(result)
    out = options.out or (None if options.json else Path())
    if out is not None:
        from benchmarks.speed.drawing import draw

        out.mkdir(parents=True, exist_ok=True)
        (out / "speed.json").write_text(text + "\n", encoding="utf-8")
        draw(result, out / "speed.png")
        print(f"wrote {out / 'speed.json'} and {out / 'speed.png'}", file=sys.stderr)


if __name__ == "__main__":
    main()
