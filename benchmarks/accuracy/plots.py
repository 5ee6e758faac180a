"""Draws what was measured, several packs in one picture."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from models.training.measures import SIZES, Detection, Liveness, Verification
from models.training.scores import ErrorCurve

mpl.use("Agg")  # no display where servers stand

TICKS = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.2, 0.4)


def det(curves: Mapping[str, ErrorCurve], out: Path, *, accept: str, reject: str) -> None:
    """Both errors on normal-deviate axes (Martin et al. 1997, "The DET curve")."""

    def draw(axes: Axes) -> None:
        for name, curve in curves.items():
            kept = (curve.false_accepts > 0) & (curve.false_rejects > 0)
            axes.plot(
                norm.ppf(curve.false_accepts[kept]), norm.ppf(curve.false_rejects[kept]), label=name
            )
        places, labels = norm.ppf(TICKS), [f"{100 * tick:g} %" for tick in TICKS]
        axes.set_xticks(places, labels)
        axes.set_yticks(places, labels)
        axes.set_xlim(places[0], places[-1])
        axes.set_ylim(places[0], places[-1])
        axes.plot(places, places, color="0.8", linewidth=0.8, zorder=0)
        axes.set_xlabel(accept)
        axes.set_ylabel(reject)

    _save(draw, out, "Detection error trade-off")


def histogram(verified: Verification, name: str, out: Path) -> None:
    """How cosines of one person and of two people lie."""

    def draw(axes: Axes) -> None:
        edges = np.linspace(-0.4, 1.0, 57)
        for same, label in ((False, "two people"), (True, "one person")):
            # A face that was not found has the cosine -1: shown in the first bar.
            scores = np.clip(verified.scores[verified.same == same], edges[0], edges[-1])
            axes.hist(
                scores, edges.tolist(), alpha=0.6, label=f"{label} ({len(scores)})", density=True
            )
        axes.set_xlabel("cosine")
        axes.set_ylabel("density")

    _save(draw, out, f"Scores of pack {name}")


def recall_by_size(detections: Mapping[str, Detection], out: Path) -> None:
    """Found faces by the shorter side of their box, with intervals."""

    def draw(axes: Axes) -> None:
        bounds = list(pairwise(SIZES))
        for shift, (name, detected) in enumerate(detections.items()):
            rates = [detected.recall(low, high) for low, high in bounds]
            values = np.array([rate.value for rate in rates])
            spread = np.abs(np.array([rate.interval for rate in rates]).T - values)
            places = np.arange(len(bounds)) + 0.12 * shift
            axes.errorbar(places, values, spread, fmt="o", capsize=3, label=name)
        counted = next(iter(detections.values()))
        axes.set_xticks(
            range(len(bounds)),
            [f"from {low}\n{counted.recall(low, high).trials}" for low, high in bounds],
        )
        axes.set_ylim(0, 1.03)
        axes.set_xlabel("shorter side of the face, px; number of faces")
        axes.set_ylabel("found")

    _save(draw, out, "Detection by face size")


def liveness(measured: Mapping[str, Liveness], out: Path) -> None:
    """Attacks accepted against live faces refused."""
    curves = {name: one.curve for name, one in measured.items()}
    det(curves, out, accept="attacks accepted (APCER)", reject="live faces refused (BPCER)")


def _save(draw: Callable[[Axes], None], out: Path, title: str) -> None:
    figure = Figure(figsize=(6.4, 4.8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(out)
