"""What is known of the packs of a catalog without running them."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.calibration import Calibration
from app.domain.errors import ConfigurationError, ModelUnavailable
from app.domain.values import ModelVersion
from app.vision.packs import PackCatalog


class Described:
    """That part of `app.domain.ports.Vision` which needs no network."""

    def __init__(self, catalog: PackCatalog, default: str) -> None:
        """Raises `ConfigurationError`: the pack is unknown."""
        self._catalog = catalog
        self._default = catalog.get(default).model_version
        self._calibrations: dict[ModelVersion, Calibration] = {}

    @property
    def default_model(self) -> ModelVersion:
        return self._default

    @property
    def detects_spoofing(self) -> bool:
        return self._catalog.by_version(self._default).spoofing_points is not None

    def calibration(self, model: ModelVersion) -> Calibration:
        if model not in self._calibrations:
            pack = self._catalog.by_version(model)
            with or_unavailable():
                self._calibrations[model] = self._catalog.table(pack).calibration
        return self._calibrations[model]

    def read_default_table(self) -> None:
        """Raises `ConfigurationError` where the default pack has none."""
        pack = self._catalog.by_version(self._default)
        self._calibrations[self._default] = self._catalog.table(pack).calibration


@contextmanager
def or_unavailable() -> Iterator[None]:
    """A pack that cannot be loaded while serving is the server's fault, not a reason to stop."""
    try:
        yield
    except ConfigurationError as error:
        raise ModelUnavailable from error
