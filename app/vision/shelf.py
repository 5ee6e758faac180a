"""Which packs there are, on what terms, and how often each is wrong by its own measurements."""

from threading import Lock

from app.domain.errors import ConfigurationError
from app.domain.values import ErrorRates, ModelVersion, PackStatus
from app.vision.manifests import Pack
from app.vision.packs import FileState, PackCatalog


class Shelf:
    """Describes every pack of a catalog. Hashing weights takes a while, so it looks once."""

    def __init__(self, catalog: PackCatalog, default: ModelVersion) -> None:
        self._catalog = catalog
        self._default = default
        self._looking = Lock()
        self._seen: tuple[PackStatus, ...] | None = None

    def packs(self) -> tuple[PackStatus, ...]:
        """Every pack by name, as it was when first asked. Blocking: call it off the event loop."""
        with self._looking:
            if self._seen is None:
                self._seen = tuple(self._described(pack) for pack in self._catalog.packs())
            return self._seen

    def _described(self, pack: Pack) -> PackStatus:
        files = self._catalog.status(pack)
        return PackStatus(
            name=self._catalog.called(pack),
            title=pack.title,
            licence=pack.licence,
            commercial_use=pack.commercial_use,
            model=pack.model_version,
            is_default=pack.model_version == self._default,
            installed=all(file.state is FileState.OK for file in files),
            detects_spoofing=pack.spoofing_points is not None,
            rates=self._rates(pack),
        )

    def _rates(self, pack: Pack) -> ErrorRates | None:
        """What the calibration says of itself; None where it says nothing that can be read."""
        try:
            return self._catalog.table(pack).rates
        except ConfigurationError:
            return None
