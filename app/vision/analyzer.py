"""Takes pictures off the event loop: one hop to a few threads, behind a bounded backlog."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import cv2

from app.domain.callers import BEHIND
from app.domain.ports import Early, Picture
from app.domain.values import Embedding, Face, ModelVersion, SpoofingCondition, Wanted
from app.vision.described import Described
from app.vision.jobs import FEWEST_MAKING, Jobs
from app.vision.models import Look, Models
from app.vision.packs import PackCatalog


class Analyzer(Described):
    """Finds and describes faces with any installed pack; satisfies `app.domain.ports.Vision`.

    Threads of this process do it, which is what accelerators want: one copy of the weights on the
    device. On processors `app.vision.worker_pool.WorkerPool` does more.

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
        """Raises `ConfigurationError`: the pack is unknown."""
        super().__init__(catalog, default)
        # Requests share the cores; OpenCV must not split one of them over all.
        cv2.setNumThreads(0)
        self._models = Models(catalog, default, providers)
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
        """An analyzer that is ready.

        Raises:
            ConfigurationError: the pack is unknown, or see `ready`.
        """
        analyzer = cls(
            catalog,
            default,
            workers=workers,
            backlog=backlog,
            making=making,
            providers=providers,
        )
        analyzer.ready()
        return analyzer

    def ready(self) -> None:
        """Have the default pack loaded and warm.

        Raises:
            ConfigurationError: one of its files or of the `providers` cannot be used.
        """
        self.read_default_table()
        self._models.load_default()

    def check(self) -> None:
        """Threads of this process are there as long as it is."""

    async def analyze(
        self,
        picture: Picture,
        wanted: Wanted,
        model: ModelVersion | None = None,
        *,
        early: Early | None = None,
    ) -> list[Face]:
        """Faces of `picture`, largest first; a caller that stops waiting leaves the queue."""
        self._catalog.by_version(model or self._default)  # raises what there is to raise
        heard = _on_this_loop(early) if early else None
        jobs, look = (
            self._jobs_of_caller(),
            Look(lambda: self._models.pipeline(model), wanted, heard),
        )
        if look.glances:
            faces = await jobs.submit(picture.glance, look.at_a_glance)
            if faces is not None:
                return faces
        return await jobs.submit(picture.whole, look.at_all_of_it)

    async def is_spoof(self, crop: Picture, condition: SpoofingCondition) -> bool:
        """Whether an aligned crop is of no live face, as the default pack judges it."""
        return await self._jobs_of_caller().submit(
            crop.whole, lambda image: self._models.pipeline().is_spoof(image, condition)
        )

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._jobs.close()
        self._behind.close()

    def _jobs_of_caller(self) -> Jobs:
        return self._behind if BEHIND.get() else self._jobs


def _on_this_loop(early: Early) -> Early:
    """`early` for another thread to call. What is told once the loop has ended is lost."""
    loop = asyncio.get_running_loop()

    def tell(embedding: Embedding) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(early, embedding)

    return tell
