"""Takes pictures off the event loop: one hop to a few threads, behind a bounded backlog."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import cv2

from app.domain.calibration import Calibration
from app.domain.callers import BEHIND
from app.domain.errors import ConfigurationError, ModelUnavailable
from app.domain.ports import Early, Picture
from app.domain.values import (
    Embedding,
    Face,
    Glance,
    ModelVersion,
    SpoofingCondition,
    Wanted,
)
from app.vision.jobs import FEWEST_MAKING, Jobs
from app.vision.manifests import Pack
from app.vision.packs import PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.providers import Providers
from app.vision.sessions import SessionPool


class Analyzer:
    """Finds and describes faces with any installed pack; satisfies `app.domain.ports.Vision`.

    `workers` pictures are analysed at a time and `backlog` more may wait; of those that come next
    `making` are decoded meanwhile. As many beside them are for callers that come `BEHIND`, in
    threads that run when the others leave them time.
    """

    def __init__(
        self,
        catalog: PackCatalog,
        default: str,
        *,
        workers: int,
        backlog: int,
        making: int = FEWEST_MAKING,
        providers: Sequence[str] = ("cpu",),
    ) -> None:
        # Requests share the cores; OpenCV must not split one of them over all.
        cv2.setNumThreads(0)
        self._catalog = catalog
        self._default = catalog.get(default).model_version
        self._sessions = SessionPool(catalog, Providers(tuple(providers)))
        self._pipelines: dict[ModelVersion, Pipeline] = {}
        self._calibrations: dict[ModelVersion, Calibration] = {}
        self._loading = threading.Lock()
        self._jobs = Jobs(workers, backlog, making=making, name="vision")
        self._behind = Jobs(workers, backlog, making=making, name="behind", behind=True)

    @classmethod
    def open(
        cls,
        catalog: PackCatalog,
        default: str = "starter",
        *,
        workers: int,
        backlog: int,
        making: int = FEWEST_MAKING,
        providers: Sequence[str] = ("cpu",),
    ) -> "Analyzer":
        """An analyzer whose default pack is loaded and warm.

        Raises:
            ConfigurationError: the pack is unknown, or one of its files or of the `providers`
                cannot be used.
        """
        analyzer = cls(
            catalog,
            default,
            workers=workers,
            backlog=backlog,
            making=making,
            providers=providers,
        )
        pack = catalog.get(default)
        analyzer._calibrations[pack.model_version] = catalog.table(pack).calibration
        analyzer._load(pack)
        return analyzer

    @property
    def default_model(self) -> ModelVersion:
        return self._default

    async def analyze(
        self,
        picture: Picture,
        wanted: Wanted,
        model: ModelVersion | None = None,
        *,
        early: Early | None = None,
    ) -> list[Face]:
        """Faces of `picture`, largest first; a caller that stops waiting leaves the queue."""
        pack, jobs = self._catalog.by_version(model or self._default), self._jobs_of_caller()
        heard = _on_this_loop(early) if early else None

        # What gives a photo of a photo away may be small.
        if not wanted.spoofing:

            def at_a_glance(seen: Glance) -> list[Face] | None:
                pipeline = self._pipeline(pack)
                if seen.is_whole:
                    return pipeline.analyze(seen.pixels, wanted, heard)
                return pipeline.glance(seen, wanted, heard)

            faces = await jobs.submit(picture.glance, at_a_glance)
            if faces is not None:
                return faces
        return await jobs.submit(
            picture.whole, lambda image: self._pipeline(pack).analyze(image, wanted, heard)
        )

    async def is_spoof(self, crop: Picture, condition: SpoofingCondition) -> bool:
        """Whether an aligned crop is of no live face, as the default pack judges it."""
        pack, jobs = self._catalog.by_version(self._default), self._jobs_of_caller()
        return await jobs.submit(
            crop.whole, lambda image: self._pipeline(pack).is_spoof(image, condition)
        )

    @property
    def detects_spoofing(self) -> bool:
        return self._catalog.by_version(self._default).spoofing_points is not None

    def calibration(self, model: ModelVersion) -> Calibration:
        if model not in self._calibrations:
            pack = self._catalog.by_version(model)
            with _or_unavailable():
                self._calibrations[model] = self._catalog.table(pack).calibration
        return self._calibrations[model]

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._jobs.close()
        self._behind.close()

    def _jobs_of_caller(self) -> Jobs:
        return self._behind if BEHIND.get() else self._jobs

    def _pipeline(self, pack: Pack) -> Pipeline:
        pipeline = self._pipelines.get(pack.model_version)
        if pipeline is None:
            with _or_unavailable():
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


def _on_this_loop(early: Early) -> Early:
    """`early` for another thread to call. What is told once the loop has ended is lost."""
    loop = asyncio.get_running_loop()

    def tell(embedding: Embedding) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(early, embedding)

    return tell


@contextmanager
def _or_unavailable() -> Iterator[None]:
    """A pack that cannot be loaded while serving is the server's fault, not a reason to stop."""
    try:
        yield
    except ConfigurationError as error:
        raise ModelUnavailable from error
