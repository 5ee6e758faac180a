"""Who is nearest, found the slow way, which is surely right."""

import numpy as np


def brute_force(
    faces: dict[int, np.ndarray], query: np.ndarray, limit: int, leave_out: int | None = None
) -> list[int]:
    """Rows, nearest first, equal ones by row; whoever ties with the last comes too."""
    scores = {
        row: float(np.sum(v.astype(float) * query.astype(float)))
        for row, v in faces.items()
        if row != leave_out
    }
    ranked = sorted(scores, key=lambda row: (-round(scores[row], 12), row))
    if len(ranked) <= limit:
        return ranked
    last = round(scores[ranked[limit - 1]], 12)
    return [row for row in ranked if round(scores[row], 12) >= last]
