"""A keyed digest of a set of faces: two rooms that hold the same faces get the same."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from app.domain.values import FaceRow

_BYTES = 16
BEYOND_EVERY_ROW = FaceRow(2**63 - 1)


class FacesDigest:
    """The sum of a keyed hash of each face's row and vector, so the order does not matter.

    BLAKE2b with `key`, 128 bits. Without the key nobody can choose a change that leaves the sum as
    it was; with a fresh key per process it tells nothing of the vectors to whoever sees it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._sum = 0
        self.count = 0

    def add(self, row: int, vector: NDArray[np.float32]) -> None:
        """Take in one face; `vector` has shape (dimension,) and is contiguous."""
        hashed = blake2b(row.to_bytes(8, "big"), digest_size=_BYTES, key=self._key)
        hashed.update(vector.data)
        self._sum = (self._sum + int.from_bytes(hashed.digest(), "big")) % (1 << (8 * _BYTES))
        self.count += 1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FacesDigest):
            return NotImplemented
        return (self.count, self._sum) == (other.count, other._sum)

    __hash__ = None  # type: ignore[assignment]  # it changes


@dataclass(frozen=True, slots=True, eq=False)
class DigestedPage:
    """The faces of a group behind some row up to `upto`, as they were at `version`.

    On the last page `upto` is `BEYOND_EVERY_ROW`.
    """

    version: int
    upto: FaceRow
    digest: FacesDigest

    @property
    def next(self) -> FaceRow | None:
        """Behind which row the next page begins, if there is one."""
        return None if self.upto == BEYOND_EVERY_ROW else self.upto
