"""What opens and analyses pictures: processes of their own, or threads beside an accelerator."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app import worker
from app.intake.decoders import Decoders
from app.intake.decoding import Decoder, Elsewhere
from app.main.readings import of_processes
from app.settings import Settings
from app.telemetry.metrics import Reading
from app.vision.jobs import FEWEST_MAKING
from app.vision.packs import MODELS, PackCatalog
from app.vision.providers import Providers
from app.vision.worker_pool import WorkerPool
from app.vision.workers import Program

if TYPE_CHECKING:
    from app.vision.analyzer import Analyzer


@dataclass(frozen=True, slots=True)
class Eyes:
    """What opens and analyses pictures.

    `ready` waits until it can, or raises `ConfigurationError`.
    """

    vision: "WorkerPool | Analyzer"
    decoder: Decoder
    ready: Callable[[], None]
    readings: Mapping[str, Reading]


def open_eyes(settings: Settings, stack: ExitStack | AsyncExitStack) -> Eyes:
    """Have them start; they close with the stack. Raises `ConfigurationError`."""
    providers = settings.providers.replace(" ", "").split(",")
    if not Providers(tuple(providers)).on_cpu:
        return _one_process(settings, providers, stack)
    workers = worker_count(settings)
    # Two each: a picture that stalls its decoder does not keep the next one waiting.
    making = -(-settings.decoders // workers) or FEWEST_MAKING
    folders = [str(folder.resolve()) for folder in settings.model_path]
    config = worker.WorkerConfig(settings.model, folders, making, settings.log_level)
    pool = WorkerPool(
        catalog_of(settings),
        settings.model,
        Program(worker.__name__, config),
        count=workers,
        backlog=settings.backlog,
        making=making,
    )
    stack.callback(pool.close)
    readings = of_processes(
        lambda: pool.replaced_decoders, lambda: pool.processes, lambda: pool.deaths
    )
    return Eyes(pool, Elsewhere(), pool.ready, readings)


def _one_process(
    settings: Settings, providers: Sequence[str], stack: ExitStack | AsyncExitStack
) -> Eyes:
    """Threads of this process: an accelerator has one copy of the weights."""
    from app.vision.analyzer import Analyzer

    decoders = Decoders(decoder_count(settings))
    stack.callback(decoders.close)
    analyzer = Analyzer(
        catalog_of(settings),
        settings.model,
        workers=worker_count(settings),
        backlog=settings.backlog,
        making=decoders.count,
        providers=providers,
    )
    stack.callback(analyzer.close)

    def ready() -> None:
        analyzer.ready()
        decoders.check()

    return Eyes(analyzer, decoders, ready, of_processes(lambda: decoders.replaced))


def catalog_of(settings: Settings) -> PackCatalog:
    """The packs in the clone and in the folders that the settings name."""
    return PackCatalog(MODELS, settings.model_path)


def worker_count(settings: Settings) -> int:
    """How many pictures are analysed at a time."""
    return settings.workers or _cores()


def decoder_count(settings: Settings) -> int:
    """How many pictures are decoded at a time."""
    return settings.decoders or max(2, _cores())


def _cores() -> int:
    return len(os.sched_getaffinity(0))
