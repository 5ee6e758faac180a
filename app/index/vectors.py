"""Vectors behind one another in memory of their own, which grows in place and is given back."""

import mmap

import numpy as np
from numpy.typing import NDArray

_FLOAT_BYTES = 4
_SMALLEST = 64  # rows
# What is copied at a time when the memory grows, so that old and new are never both full.
_STEP_BYTES = 8 * 1024 * 1024
# Neither in core dumps nor in the forked processes that decode pictures.
_PRIVATE = ("MADV_DONTDUMP", "MADV_DONTFORK")
# A search reads everything: with pages of 4 KB it takes up to ten times as long on a busy machine.
_HUGE_PAGES = "MADV_HUGEPAGE"
_HUGE_PAGE_BYTES = 2 * 1024 * 1024
_WORTH_HUGE_PAGES = 2 * _HUGE_PAGE_BYTES


class Vectors:
    """`count` rows of `dimension` float32 values, and room behind them.

    The memory is mapped, not taken from the heap: room that was never written costs nothing, so
    there can be plenty, and what is let go returns to the system at once. It stays out of core
    dumps and out of forked processes.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.count = 0
        self._width = dimension * _FLOAT_BYTES
        self._map, self._rows = _mapped(_SMALLEST, dimension)

    @property
    def nbytes(self) -> int:
        """Bytes that were taken from the system, at most."""
        page = mmap.PAGESIZE if len(self._map) < _WORTH_HUGE_PAGES else _HUGE_PAGE_BYTES
        return min(len(self._map), -(-self.count * self._width // page) * page)

    @property
    def filled(self) -> NDArray[np.float32]:
        """The rows that count, shape (count, dimension); no copy."""
        return self._rows[: self.count]

    def room(self, rows: int) -> NDArray[np.float32]:
        """The next `rows` rows, to be written before `keep` makes them count; no copy."""
        if self.count + rows > len(self._rows):
            self._grow(max(self.count + rows, 2 * len(self._rows)))
        return self._rows[self.count : self.count + rows]

    def keep(self, rows: int) -> None:
        """Let the first `rows` rows of the room count."""
        self.count += rows

    def remove(self, place: int) -> None:
        """Constant time: the last row takes the place of the one that goes."""
        last = self.count - 1
        if place != last:
            self._rows[place] = self._rows[last]
        # Not left behind in the room.
        self._rows[last] = 0.0
        self.count = last

    def give_back(self) -> None:
        """Return the pages behind the rows that count to the system."""
        first = -(-self.count * self._width // mmap.PAGESIZE) * mmap.PAGESIZE
        if first < len(self._map):
            self._map.madvise(mmap.MADV_DONTNEED, first)

    def _grow(self, rows: int) -> None:
        old_map, old_rows = self._map, self._rows
        self._map, self._rows = _mapped(rows, self.dimension)
        step = max(1, _STEP_BYTES // self._width)
        given_back = 0
        for start in range(0, self.count, step):
            end = min(start + step, self.count)
            self._rows[start:end] = old_rows[start:end]
            copied = end * self._width // mmap.PAGESIZE * mmap.PAGESIZE
            if copied > given_back:
                old_map.madvise(mmap.MADV_DONTNEED, given_back, copied - given_back)
                given_back = copied


def _mapped(rows: int, dimension: int) -> tuple[mmap.mmap, NDArray[np.float32]]:
    size = max(1, rows * dimension * _FLOAT_BYTES)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    memory = mmap.mmap(-1, size, flags=flags)
    for name in (*_PRIVATE, *([_HUGE_PAGES] if size >= _WORTH_HUGE_PAGES else [])):
        if (advice := getattr(mmap, name, None)) is not None:
            memory.madvise(advice)
    values = np.frombuffer(memory, dtype=np.float32, count=rows * dimension)
    return memory, values.reshape(rows, dimension)
