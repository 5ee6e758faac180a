"""Throughput and latency against the offered rate, one line for each operation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.use("Agg")  # no display where servers stand


def draw(result: Mapping[str, Any], out: Path) -> None:
    figure = Figure(figsize=(11, 9), layout="constrained")
    above, below = figure.subplots(2, 1)
    for name, row in result["operations"].items():
        offered = [line["offered_per_s"] for line in row["open"]]
        above.plot(offered, [line["answers_per_s"] for line in row["open"]], "o-", label=name)
        below.plot(offered, [line["ms"]["p99"] for line in row["open"]], "o-", label=name)
    above.set_ylabel("answers a second")
    below.set_ylabel("99th percentile, ms")
    below.set_yscale("log")
    for axes in (above, below):
        axes.set_xscale("log")
        axes.set_xlabel("requests a second offered")
        axes.grid(color="0.9")
        axes.legend()
    figure.suptitle(f"facereco under load: pack {result['pack']} on {result['cores']} cores")
    figure.savefig(out, dpi=120)
