"""What a customer needs for so many requests a second and so many groups, from measured unit costs.

    ./facereco bench sizing [--rate search=20 …] [--groups 100] [--faces 10000] [--json] [--write]

Each operation is asked by a few clients for some seconds, and the processor time of all of the
server's processes is divided by the answers: a unit cost that holds also where the machine has
other work to do. `--write` puts the result into benchmarks/SIZING.md, formula included.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import uvloop

from app.settings import Settings
from app.telemetry import logs
from app.vision.packs import MODELS, PackCatalog
from benchmarks.load import machine, wire
from benchmarks.load.operations import MIX, Stage, furnish, requests
from benchmarks.load.wire import Client
from benchmarks.speed.progress import Progress
from benchmarks.speed.stage import Packs, serving
from benchmarks.speed.throughput import cores

PAGE = Path(__file__).with_name("SIZING.md")
CLIENTS = 8
SETTLING = 1.0  # seconds of an operation that nobody counts
BUSY = 0.6  # of its processors a server should be at most, so that nobody waits long
INDEX_FACTOR = 1.3  # of the vectors' own bytes a group takes in memory at most while it loads
DEFAULT_RATES = {name: share * 0.2 for name, share in MIX.items()}  # 20 requests a second

Figures = dict[str, float]


async def unit_costs(port: int, pid: int, stage: Stage, seconds: float) -> Figures:
    """Milliseconds of processor time of each operation."""
    client = Client(port)
    costs = {}
    for name, sent in (await requests(client, stage)).items():
        following = cycle(sent)
        await wire.closed_loop(client, following, CLIENTS, SETTLING)
        before = machine.processor(pid)
        done = await wire.closed_loop(client, following, CLIENTS, seconds)
        spent = machine.processor(pid) - before
        costs[name] = 1000 * spent / max(1, len(done.accepted()))
    client.close()
    return costs


def measure(options: argparse.Namespace, progress: Progress, folder: Path) -> dict[str, Any]:
    packs = Packs.choose(PackCatalog(MODELS, options.model_path), options.pack)
    (folder / "database").mkdir(parents=True)
    file = folder / "database" / "facereco.db"
    progress.begins("filling a group")
    stage = uvloop.run(furnish(folder, f"sqlite:///{file}", packs, options.faces))
    disk = sum(part.stat().st_size for part in file.parent.iterdir())
    folders = ":".join(str(path.resolve()) for path in options.model_path)
    with serving(folder, {"model": packs.name, "model_path": folders}) as (base, pid):
        idle = machine.resident(pid)
        progress.begins("unit costs")
        port = int(base.rpartition(":")[2])
        costs = uvloop.run(unit_costs(port, pid, stage, options.seconds))
        busy = machine.resident(pid)
    return {
        "pack": packs.name,
        "cores": cores(),
        "faces": options.faces,
        "processor_ms": costs,
        "idle_mb": idle,
        "busy_mb": busy,
        "vector_bytes": 4 * packs.dimension,
        "disk_bytes_a_face": disk / options.faces,
    }


def needs(costs: Mapping[str, Any], rates: Mapping[str, float], groups: int, faces: int) -> Figures:
    """Processors, megabytes of memory and of disk for so many requests a second and groups."""
    busy = sum(rate * costs["processor_ms"][name] for name, rate in rates.items()) / 1000
    vectors = groups * faces * costs["vector_bytes"] / 1e6
    own = max(0.0, costs["busy_mb"] - costs["faces"] * costs["vector_bytes"] / 1e6)
    return {
        "requests_per_s": sum(rates.values()),
        "processors_busy": busy,
        "processors": math.ceil(busy / BUSY),
        "index_memory_mb": vectors,
        "memory_mb": own + INDEX_FACTOR * vectors,
        "disk_mb": groups * faces * costs["disk_bytes_a_face"] / 1e6,
    }


def page(costs: Mapping[str, Any], example: Figures, wanted: Mapping[str, Any]) -> str:
    """The result as a page to read."""
    rows = [f"| `{name}` | {ms:.1f} |" for name, ms in costs["processor_ms"].items()]
    rates = ", ".join(f"{name} {rate:g}" for name, rate in wanted["rates"].items())
    return "\n".join(
        [
            "# Sizing",
            "",
            "Written by `./facereco bench sizing --write`; run it on your machine for your own.",
            "",
            f"Measured with pack `{costs['pack']}` on {costs['cores']} cores, in a group of "
            f"{costs['faces']:,} faces, photos of 640x480 with one face.",
            "",
            "| operation | processor ms each, all of the server's processes |",
            "| --- | --- |",
            *rows,
            "",
            "| | |",
            "| --- | --- |",
            f"| a server that has just started | {costs['idle_mb']:.0f} MB |",
            f"| the same after this load, with its group | {costs['busy_mb']:.0f} MB |",
            f"| a face in memory | {costs['vector_bytes']} bytes |",
            f"| a face in the database (SQLite) | {costs['disk_bytes_a_face']:.0f} bytes |",
            "",
            "## Formula",
            "",
            "```",
            f"processors = sum(requests a second x processor ms) / 1000 / {BUSY}",
            f"memory     = a busy server without its group + {INDEX_FACTOR} x groups in use "
            "x faces x bytes of a face",
            "disk       = groups x faces x bytes of a face in the database",
            "```",
            "",
            f"{BUSY} leaves room for bursts: nearer to 1 requests wait in line. {INDEX_FACTOR} is "
            "what a group may take while it loads.",
            "`FACERECO_INDEX_MEMORY` has to hold the groups in use; others are loaded when they "
            "are asked for. Searches by face in larger groups cost",
            "more, in proportion to the faces: `search_by_face` of 100,000 faces is a product of "
            "all of its vectors.",
            "Several servers share the work through one PostgreSQL; each needs memory for the "
            "groups it is asked for.",
            "",
            "## Example",
            "",
            f"{rates} a second, {wanted['groups']:,} groups of {wanted['faces']:,} faces in use:",
            "",
            "| | |",
            "| --- | --- |",
            f"| processors | {example['processors']:.0f} ({example['processors_busy']:.2f} busy) |",
            f"| memory | {example['memory_mb']:,.0f} MB |",
            f"| `FACERECO_INDEX_MEMORY` | at least {example['index_memory_mb']:,.0f} MB |",
            f"| disk | {example['disk_mb']:,.0f} MB |",
            "",
        ]
    )


def rate(text: str) -> tuple[str, float]:
    """`search=20` as a name and a number."""
    name, _, number = text.partition("=")
    if name not in {*MIX, "search_by_face"}:
        raise argparse.ArgumentTypeError(f"no operation is named {name!r}")
    return name, float(number)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="facereco bench sizing", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--rate", type=rate, action="append", metavar="OPERATION=PER_SECOND")
    parser.add_argument("--groups", type=int, default=100, help="in use at a time")
    parser.add_argument("--faces", type=int, default=10_000, help="in each group")
    parser.add_argument("--pack", default="open", help="`starter` where its weights are missing")
    parser.add_argument(
        "--model-path", type=Path, action="append", help="as in FACERECO_MODEL_PATH, several times"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each operation")
    parser.add_argument("--json", action="store_true", help="print the JSON alone")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    options.model_path = options.model_path or list(Settings.read().model_path)
    return options


def main() -> None:
    logs.configure("error")
    options = parse()
    rates = dict(options.rate) if options.rate else DEFAULT_RATES
    with Progress(2) as progress, tempfile.TemporaryDirectory(prefix="facereco-") as place:
        costs = measure(options, progress, Path(place) / "data")
    wanted = {"rates": rates, "groups": options.groups, "faces": options.faces}
    example = needs(costs, rates, options.groups, options.faces)
    text = page(costs, example, wanted)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")
    print(json.dumps({**costs, "wanted": wanted, "needs": example}) if options.json else text)


if __name__ == "__main__":
    main()
