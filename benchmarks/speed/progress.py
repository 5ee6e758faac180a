"""How far a long measurement is, told on standard error."""

import sys
from types import TracebackType
from typing import Self

WIDTH = 30


class Progress:
    """A bar on a terminal, a line for each section elsewhere; `steps` are those expected."""

    def __init__(self, steps: int) -> None:
        self._steps, self._done, self._section = steps, 0, ""
        self._lively = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lively:
            sys.stderr.write("\r\x1b[K")

    def begins(self, section: str) -> None:
        self._section = section
        if self._lively:
            self._show()
        else:
            sys.stderr.write(f"{self._share():3.0f} % {section}\n")
            sys.stderr.flush()

    def step(self) -> None:
        self._done += 1
        if self._lively:
            self._show()

    def _share(self) -> float:
        return min(100.0, 100.0 * self._done / self._steps)

    def _show(self) -> None:
        full = round(WIDTH * self._share() / 100.0)
        bar = "#" * full + "." * (WIDTH - full)
        sys.stderr.write(f"\r[{bar}] {self._share():3.0f} % {self._section}\x1b[K")
        sys.stderr.flush()
