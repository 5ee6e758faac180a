"""One picture of a run: how far every row is from its bar, and every part from its floor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("Agg")  # no display where servers stand

HELD, MISSED, PLAIN = "#2a7f62", "#c0392b", "#4a6fa5"


def draw(result: Mapping[str, Any], out: Path) -> None:
    figure = Figure(figsize=(11, 9), layout="constrained")
    above, below = figure.subplots(2, 1)
    _bars(above, result["ratios"], result["bars"])
    _parts(below, result["parts"])
    figure.suptitle(f"facereco: speed of pack {result['pack']} on {result['cores']} cores")
    figure.savefig(out, dpi=120)


def _bars(axes: Axes, ratios: Mapping[str, float | None], bars: Mapping[str, Any]) -> None:
    """Each measured figure as a share of what the bar allows or asks for."""
    names = [name for name, ratio in ratios.items() if ratio is not None]
    shares = [ratios[name] / bars[name]["bound"] for name in names]
    colours = [HELD if bars[name]["held"] else MISSED for name in names]
    drawn = axes.barh(names, shares, color=colours)
    labels = [
        f"{ratios[name]:.2f} (bar {bars[name]['sign']} {bars[name]['bound']:g})" for name in names
    ]
    axes.bar_label(drawn, labels, padding=4, fontsize=8)
    axes.axvline(1.0, color="0.3", linewidth=0.8)
    axes.set_xlim(0, 1.35 * max([1.0, *shares]))
    axes.invert_yaxis()
    axes.set_xlabel("measured / bar")


def _parts(axes: Axes, parts: Mapping[str, Mapping[str, float]]) -> None:
    names = list(parts)
    places = range(len(names))
    for shift, field, label, colour in (
        (-0.2, "ms", "ours", PLAIN),
        (0.2, "floor_ms", "floor", "0.7"),
    ):
        values = [parts[name][field] for name in names]
        axes.barh([place + shift for place in places], values, 0.4, label=label, color=colour)
    axes.set_yticks(list(places), names)
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds")
    axes.invert_yaxis()
    axes.legend()
