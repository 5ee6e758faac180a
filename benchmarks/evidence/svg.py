"""Draws curves and bars as SVG text, so that a page needs nothing beside itself."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 620, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
NAME_WIDTH = 150  # of a curve's name above the plot
COLOURS = ("#1b6ca8", "#c8553d", "#3c8d5a", "#8a5aa8", "#b8860b")

Point = tuple[float, float]
Tick = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from `low` to `high`, placed along a line by `scale`; `ticks` are shown."""

    title: str
    low: float
    high: float
    ticks: Sequence[Tick]
    scale: Callable[[float], float] = float

    def place(self, value: float) -> float:
        """0..1 from `low` to `high`; what lies beyond is put at the end."""
        kept = min(max(value, self.low), self.high)
        start, end = self.scale(self.low), self.scale(self.high)
        return (self.scale(kept) - start) / (end - start)


def plain(title: str, low: float, high: float, step: float) -> Axis:
    """An axis with a tick at every `step`."""
    count = round((high - low) / step)
    values = [low + step * at for at in range(count + 1)]
    return Axis(title, low, high, [(value, f"{value:g}") for value in values])


def upwards(title: str, highest: float, most: int = 5) -> Axis:
    """An axis from 0 to `highest` or a little more, with up to `most` ticks of round numbers."""
    power = 10.0 ** math.floor(math.log10(highest / most))
    step = next(s for s in (power, 2 * power, 5 * power, 10 * power) if s * most >= highest)
    return plain(title, 0.0, step * math.ceil(highest / step), step)


@dataclass(slots=True)
class Chart:
    """A picture with two axes; what is drawn later lies on top."""

    title: str
    across: Axis
    up: Axis
    _parts: list[str] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)

    def curve(self, name: str, points: Sequence[Point]) -> None:
        """A line through `points`."""
        path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
        colour = self._named(name)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )

    def bars(self, name: str, edges: Sequence[float], heights: Sequence[float]) -> None:
        """A bar between each two edges."""
        colour = self._named(name)
        for (low, high), height in zip(pairwise(edges), heights, strict=True):
            x, y = self._x(low), self._y(height)
            self._parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{self._x(high) - x:.1f}" '
                f'height="{HEIGHT - BOTTOM - y:.1f}" fill="{colour}" fill-opacity="0.5"/>'
            )

    def dots(self, name: str, points: Sequence[tuple[float, float, float, float]]) -> None:
        """Values with the lower and the upper end of their intervals: (x, value, low, high)."""
        colour = self._named(name)
        for x, value, low, high in points:
            at = self._x(x)
            self._parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{self._y(low):.1f}" '
                f'y2="{self._y(high):.1f}" stroke="{colour}" stroke-width="2"/>'
                f'<circle cx="{at:.1f}" cy="{self._y(value):.1f}" r="4" fill="{colour}"/>'
            )

    def svg(self) -> str:
        """The picture as text."""
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            f"<title>{escape(self.title)}</title>{self._frame()}{''.join(self._parts)}"
            f"{self._legend()}</svg>"
        )

    def _named(self, name: str) -> str:
        self._names.append(name)
        return COLOURS[(len(self._names) - 1) % len(COLOURS)]

    def _x(self, value: float) -> float:
        return LEFT + self.across.place(value) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        return HEIGHT - BOTTOM - self.up.place(value) * (HEIGHT - TOP - BOTTOM)

    def _frame(self) -> str:
        across = "".join(
            f'<line class="grid" x1="{self._x(v):.1f}" x2="{self._x(v):.1f}" y1="{TOP}" '
            f'y2="{HEIGHT - BOTTOM}"/><text x="{self._x(v):.1f}" y="{HEIGHT - BOTTOM + 18}" '
            f'text-anchor="middle">{escape(text)}</text>'
            for v, text in self.across.ticks
        )
        up = "".join(
            f'<line class="grid" y1="{self._y(v):.1f}" y2="{self._y(v):.1f}" x1="{LEFT}" '
            f'x2="{WIDTH - RIGHT}"/><text x="{LEFT - 8}" y="{self._y(v) + 4:.1f}" '
            f'text-anchor="end">{escape(text)}</text>'
            for v, text in self.up.ticks
        )
        middle = (TOP + HEIGHT - BOTTOM) / 2
        return (
            f'{across}{up}<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" '
            f'text-anchor="middle">{escape(self.across.title)}</text><text '
            f'transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">'
            f"{escape(self.up.title)}</text>"
        )

    def _legend(self) -> str:
        """The names above the plot, where they hide nothing; one alone needs no colour."""
        if len(self._names) < 2:
            return ""
        places = [LEFT + NAME_WIDTH * at for at in range(len(self._names))]
        return "".join(
            f'<rect x="{x}" y="12" width="12" height="12" '
            f'fill="{COLOURS[at % len(COLOURS)]}"/><text x="{x + 18}" y="23">{escape(name)}</text>'
            for at, (x, name) in enumerate(zip(places, self._names, strict=True))
        )
