"""Which table turns cosines into similarities: the group's own, the server's own, or the pack's."""

from app.domain.calibration import Calibration
from app.domain.ports import TablesInForce, Vision
from app.domain.values import ModelVersion


class Scoring:
    """The calibration that counts; what an operator applied goes before what the pack brings."""

    def __init__(self, vision: Vision, tables: TablesInForce) -> None:
        self._vision = vision
        self._tables = tables

    def calibration(self, model: ModelVersion, group_row: int | None = None) -> Calibration:
        """Of a group, or of pictures compared without one. Raises `ModelUnavailable`."""
        applied = self._tables.of(model, group_row)
        return self._vision.calibration(model) if applied is None else applied
