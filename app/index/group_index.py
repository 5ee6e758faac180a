"""One group's vectors in memory, searched exactly by FAISS."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray

from app.domain.values import Embedding, FaceRow, GroupChanges, Neighbour

# Inner products of one vector may differ in the last bits by where it lies in memory.
TIE = 1e-6


class GroupIndex:
    """A flat inner-product index with its own table of face rows.

    Searches share the index; a change waits for running searches and holds up new ones.
    """

    def __init__(self) -> None:
        self.version = 0
        self.catching_up = threading.Lock()
        self._gate = _SharedGate()
        self._flat: faiss.IndexFlatIP | None = None
        self._rows = np.empty(0, dtype=np.int64)
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    @property
    def nbytes(self) -> int:
        """Bytes of the vectors and of the table beside them."""
        width = self._flat.d * 4 if self._flat is not None else 0
        return len(self._places) * (width + 8 + 100)

    def apply(self, changes: GroupChanges) -> None:
        """Bring the index to `changes.version`; changes known already are no change."""
        with self._gate.exclusive():
            if changes.version <= self.version:
                return
            if changes.is_whole:
                self._clear()
            for row in changes.removed.tolist():
                self._remove(row)
            self._add(changes.added, changes.vectors)
            self.version = changes.version

    def discard(self, row: int) -> None:
        """Overwrite and drop the vector of a face that is gone; an unknown one is no matter."""
        with self._gate.exclusive():
            self._remove(row)

    def clear(self) -> None:
        """Overwrite every vector; the index is as new."""
        with self._gate.exclusive():
            self._clear()
            self.version = 0

    def search(self, query: Embedding, limit: int, leave_out: FaceRow | None) -> list[Neighbour]:
        """The `limit` nearest, nearest first, and whatever ties with the last of them."""
        with self._gate.shared():
            if self._flat is None or not self._places:
                return []
            places = self._candidates(self._flat, query, limit + (leave_out is not None))
            rows = self._rows[places]
            # Anew in float64, so that search, compare and verify give the same similarity.
            vectors = self._matrix(self._flat)[places].astype(np.float64)
            cosines = vectors @ query.astype(np.float64)
        found = [
            Neighbour(FaceRow(row), min(1.0, max(-1.0, cosine)))
            for row, cosine in zip(rows.tolist(), cosines.tolist(), strict=True)
            if row != leave_out
        ]
        found.sort(key=lambda neighbour: (-neighbour.cosine, neighbour.row))
        return [n for n in found if n.cosine >= found[min(limit, len(found)) - 1].cosine]

    def _candidates(
        self, flat: faiss.IndexFlatIP, query: Embedding, wanted: int
    ) -> NDArray[np.int64]:
        """Places of the nearest, widened until none that ties with the last is missing."""
        ask = wanted + 1
        while True:
            ask = min(ask, len(self._places))
            scores, places = flat.search(query[np.newaxis], ask)
            enough = ask == len(self._places) or scores[0, -1] < scores[0, wanted - 1] - TIE
            if enough:
                near = scores[0] >= scores[0, min(wanted, ask) - 1] - TIE
                return np.asarray(places[0][near])
            ask *= 2

    def _add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        fresh = [i for i, row in enumerate(rows.tolist()) if row not in self._places]
        if not fresh:
            return
        if self._flat is None:
            self._flat = faiss.IndexFlatIP(vectors.shape[1])
        count = len(self._places)
        self._reserve(count + len(fresh))
        self._flat.add(np.ascontiguousarray(vectors[fresh], dtype=np.float32))
        for place, row in enumerate(rows[fresh].tolist(), start=count):
            self._rows[place] = row
            self._places[row] = place

    def _reserve(self, count: int) -> None:
        if count > len(self._rows):
            grown = np.empty(max(count, 2 * len(self._rows)), dtype=np.int64)
            grown[: len(self._rows)] = self._rows
            self._rows = grown

    def _remove(self, row: int) -> None:
        """Constant time: the last vector takes the place of the one that goes."""
        place = self._places.pop(row, None)
        if place is None or self._flat is None:
            return
        last = self._flat.ntotal - 1
        matrix = self._matrix(self._flat)
        if place != last:
            matrix[place] = matrix[last]
            moved = int(self._rows[last])
            self._rows[place] = moved
            self._places[moved] = place
        # Not left behind in the freed tail of the buffer.
        matrix[last] = 0.0
        self._flat.codes.resize(last * self._flat.code_size)
        self._flat.ntotal = last

    def _clear(self) -> None:
        if self._flat is not None:
            self._matrix(self._flat)[:] = 0.0
        self._flat = None
        self._places.clear()

    @staticmethod
    def _matrix(flat: faiss.IndexFlatIP) -> NDArray[np.float32]:
        """FAISS's own buffer as an array of shape (count, dimension); no copy."""
        view: NDArray[np.float32] = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
        return view.reshape(flat.ntotal, flat.d)


class _SharedGate:
    """Many readers or one writer; a waiting writer goes before new readers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writers = 0
        self._writing = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._writers == 0)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._changed:
            self._writers += 1
            self._changed.wait_for(lambda: self._readers == 0 and not self._writing)
            self._writing = True
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._writers -= 1
                self._changed.notify_all()
