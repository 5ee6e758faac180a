"""One group's vectors in memory, searched exactly by FAISS."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import faiss
import numpy as np
from numpy.typing import NDArray

from app.domain.digests import FacesDigest
from app.domain.values import Embedding, FaceRow, GroupChanges, Neighbour
from app.index.vectors import Vectors

# FAISS's scores are sums in float32, whose last bits depend on where a vector lies and on how many
# queries run together: they differ by 4e-7 at most. Whatever is as near as that is looked at anew.
TIE = 4e-6
# A question that wants more than this is searched alone: all of a batch want as much as one.
MOST_TOGETHER = 256
# Queries times dimension from which FAISS multiplies matrices. The product costs four single
# searches whatever the number of queries, so from four queries of 512 values on it pays.
BLAS_FROM = 4 * 512
_ENTRY_BYTES = 120  # of a row number, and of its entry in the table of places; measured


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Who are the `limit` nearest to `query`, `leave_out` aside?"""

    query: Embedding
    limit: int
    leave_out: FaceRow | None = None

    @property
    def wanted(self) -> int:
        """Candidates that are needed: one more where one will be left out."""
        return self.limit + (self.leave_out is not None)

    @property
    def together(self) -> bool:
        """Whether it may share a product with others."""
        return self.wanted <= MOST_TOGETHER


class GroupIndex:
    """A flat inner-product index with its own table of face rows.

    It knows nothing of threads: whoever has it lets one thing happen at a time.
    """

    def __init__(self) -> None:
        self.version = 0
        self._vectors: Vectors | None = None
        self._rows = np.empty(0, dtype=np.int64)
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    @property
    def dimension(self) -> int:
        """Values of a vector; 0 as long as there was none."""
        return self._vectors.dimension if self._vectors is not None else 0

    @property
    def nbytes(self) -> int:
        """Bytes of the vectors and of the tables beside them."""
        vectors = self._vectors.nbytes if self._vectors is not None else 0
        return vectors + len(self) * _ENTRY_BYTES

    def room(self, count: int, dimension: int) -> NDArray[np.float32]:
        """Where the vectors that `apply` will bring may be written, so that none is copied."""
        if self._vectors is None:
            self._vectors = Vectors(dimension)
        return self._vectors.room(count)

    def apply(self, changes: GroupChanges) -> None:
        """Bring the index to `changes.version`; changes known already are no change."""
        if changes.version <= self.version:
            return
        if changes.is_whole:
            self.clear()
        # First, because the vectors may lie in the room behind those there are.
        self._add(changes.added, changes.vectors)
        for row in changes.removed.tolist():
            self._remove(row)
        if self._vectors is not None and len(changes.removed):
            self._vectors.give_back()
        self.version = changes.version

    def discard(self, row: FaceRow) -> None:
        """Overwrite and drop the vector of a face that is gone; an unknown one is no matter."""
        self._remove(row)

    def clear(self) -> None:
        """Overwrite every vector; the index is as new."""
        if self._vectors is not None:
            self._vectors.filled[:] = 0.0
        self._vectors = None
        self._places = {}
        self.version = 0

    def search(self, questions: Sequence[Question]) -> list[list[Neighbour]]:
        """For each question the nearest, nearest first, and whatever ties with the last of them.

        The answers do not depend on which questions are asked together.
        """
        if self._vectors is None or not self._places:
            return [[] for _ in questions]
        answers: list[list[Neighbour]] = []
        for part in _parts(questions):
            answers += self._search(self._vectors.filled, part)
        return answers

    def digest(self, after: FaceRow, upto: FaceRow, key: bytes) -> FacesDigest:
        """What the index holds of the rows behind `after` up to and including `upto`."""
        digest = FacesDigest(key)
        rows = self._rows[: len(self)]
        for place in np.flatnonzero((rows > after) & (rows <= upto)).tolist():
            if self._vectors is not None:
                digest.add(int(rows[place]), self._vectors.filled[place])
        return digest

    def _search(
        self, vectors: NDArray[np.float32], questions: list[Question]
    ) -> Iterator[list[Neighbour]]:
        ask = min(max(question.wanted for question in questions) + 1, len(vectors))
        queries = (
            questions[0].query[np.newaxis]
            if len(questions) == 1
            else np.stack([question.query for question in questions])
        )
        scores, places = _knn(queries, vectors, ask)
        for question, near, where in zip(questions, scores, places, strict=True):
            candidates = self._candidates(vectors, question, near, where)
            yield self._neighbours(vectors, question, candidates)

    @staticmethod
    def _candidates(
        vectors: NDArray[np.float32],
        question: Question,
        scores: NDArray[np.float32],
        places: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Places of the nearest, widened until none that ties with the last is missing."""
        while len(places) < len(vectors) and scores[-1] >= scores[question.wanted - 1] - TIE:
            ask = min(2 * len(places), len(vectors))
            scores, places = (found[0] for found in _knn(question.query[None], vectors, ask))
        last = scores[min(question.wanted, len(scores)) - 1]
        near: NDArray[np.int64] = places[scores >= last - TIE]
        return near

    def _neighbours(
        self, vectors: NDArray[np.float32], question: Question, places: NDArray[np.int64]
    ) -> list[Neighbour]:
        # Anew in float64, so that search, compare and verify give the same similarity; and one
        # vector at a time, because a product of matrices rounds by a vector's place among others.
        query = question.query.astype(np.float64)
        cosines = np.einsum("ij,j->i", vectors[places].astype(np.float64), query)
        found = [
            Neighbour(FaceRow(row), min(1.0, max(-1.0, cosine)))
            for row, cosine in zip(self._rows[places].tolist(), cosines.tolist(), strict=True)
            if row != question.leave_out
        ]
        found.sort(key=lambda neighbour: (-neighbour.cosine, neighbour.row))
        last = min(question.limit, len(found)) - 1
        return [n for n in found if n.cosine >= found[last].cosine]

    def _add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        fresh = [i for i, row in enumerate(rows.tolist()) if row not in self._places]
        if not fresh:
            return
        room = self.room(len(rows), vectors.shape[1])
        if len(fresh) < len(rows) or room.ctypes.data != vectors.ctypes.data:
            room[: len(fresh)] = vectors[fresh]
            room[len(fresh) :] = 0.0
        self._number(rows[fresh])
        if self._vectors is not None:
            self._vectors.keep(len(fresh))

    def _number(self, rows: NDArray[np.int64]) -> None:
        count = len(self._places)
        if count + len(rows) > len(self._rows):
            grown = np.empty(max(count + len(rows), 2 * len(self._rows)), dtype=np.int64)
            grown[:count] = self._rows[:count]
            self._rows = grown
        self._rows[count : count + len(rows)] = rows
        self._places.update(zip(rows.tolist(), range(count, count + len(rows)), strict=True))

    def _remove(self, row: int) -> None:
        place = self._places.pop(row, None)
        if place is None or self._vectors is None:
            return
        last = self._vectors.count - 1
        self._vectors.remove(place)
        if place != last:
            moved = int(self._rows[last])
            self._rows[place] = moved
            self._places[moved] = place


def _parts(questions: Sequence[Question]) -> Iterator[list[Question]]:
    """Which questions are asked together, in their order."""
    if len(questions) == 1:
        yield list(questions)
        return
    for together, some in groupby(questions, lambda question: question.together):
        several = list(some)
        yield from [several] if together else [[question] for question in several]


def bytes_per_face(dimension: int) -> int:
    """What one face with vectors of `dimension` values takes in memory."""
    return dimension * 4 + _ENTRY_BYTES


def prepare_thread() -> None:
    """Called in each thread that searches."""
    # One thread a search: more gain nothing on a single query and stand in each other's way on a
    # busy machine. This counts only for the thread that says it.
    faiss.omp_set_num_threads(1)


def _knn(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The search of `IndexFlatIP`, on vectors that lie where they are."""
    prepare_thread()
    faiss.cvar.distance_compute_blas_threshold = BLAS_FROM
    scores, places = faiss.knn(queries, vectors, count, metric=faiss.METRIC_INNER_PRODUCT)
    return scores, places
