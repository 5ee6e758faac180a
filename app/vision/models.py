"""The packs of a catalog at work: which there are, and the pipeline of each that was asked for."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.ports import Early
from app.domain.values import Face, Glance, Image, ModelVersion, Wanted
from app.vision.described import or_unavailable
from app.vision.manifests import Pack
from app.vision.packs import PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.providers import Providers
from app.vision.sessions import SessionPool


class Models:
    """Loads each pack once, when it is asked for. Safe to use from many threads."""

    def __init__(
        self, catalog: PackCatalog, default: str, providers: Sequence[str] = ("cpu",)
    ) -> None:
        """Raises `ConfigurationError`: the pack is unknown."""
        self.default = catalog.get(default)
        self._default_model = self.default.model_version  # to find it takes a hash of what it says
        self._catalog = catalog
        self._sessions = SessionPool(catalog, Providers(tuple(providers)))
        self._pipelines: dict[ModelVersion, Pipeline] = {}
        self._loading = threading.Lock()

    def load_default(self) -> None:
        """Have the default pack loaded and warm.

        Raises:
            ConfigurationError: one of its files or of the providers cannot be used.
        """
        self._load(self.default)

    def pipeline(self, model: ModelVersion | None = None) -> Pipeline:
        """That of a pack, the default's without a `model`. Raises `ModelUnavailable`."""
        pipeline = self._pipelines.get(model or self._default_model)
        if pipeline is None:
            pack = self.default if model is None else self._catalog.by_version(model)
            with or_unavailable():
                pipeline = self._load(pack)
        return pipeline

    def _load(self, pack: Pack) -> Pipeline:
        """The pack's pipeline; only the first of several callers loads it."""
        with self._loading:
            if pack.model_version not in self._pipelines:
                pipeline = Pipeline.open(pack, self._sessions)
                pipeline.warm_up()
                self._pipelines[pack.model_version] = pipeline
            return self._pipelines[pack.model_version]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """How the faces of a picture are found: at a glance where that will do, else in all of it."""

    pipeline: Callable[[], Pipeline]
    wanted: Wanted
    early: Early | None = None

    @property
    def glances(self) -> bool:
        """Whether a glance may do. What gives a photo of a photo away may be small."""
        return not self.wanted.spoofing

    def at_a_glance(self, seen: Glance) -> list[Face] | None:
        """The faces; None where all of the picture must be looked at."""
        pipeline = self.pipeline()
        if seen.is_whole:
            return pipeline.analyze(seen.pixels, self.wanted, self.early)
        return pipeline.glance(seen, self.wanted, self.early)

    def at_all_of_it(self, image: Image) -> list[Face]:
        """The faces."""
        return self.pipeline().analyze(image, self.wanted, self.early)
