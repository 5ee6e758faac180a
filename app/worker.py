"""A process that opens and analyses pictures for a server: what `app.vision.worker_pool` starts."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.intake import decoder
from app.intake.decoders import Decoders
from app.intake.images import File
from app.telemetry import logs

if TYPE_CHECKING:
    from app.vision.messages import Task
    from app.vision.working import Channel


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker is told first: the pack to have ready, and where others lie.

    `making` pictures are made ready at a time, each by a process that runs `decoder`.
    """

    default: str
    folders: Sequence[str]
    making: int
    log_level: str
    decoder: str = decoder.__name__


def main() -> None:
    """Work until the server has gone; the place is told on the command line."""
    # The server knows this module for its config alone, and does not load what networks need.
    from app.vision.working import Channel, serve_the_server

    serve_the_server()
    with suppress(EOFError):
        _work(Channel(*map(int, sys.argv[1:])))
    # What its threads are at is of no use to anybody.
    os._exit(0)


def _work(channel: "Channel") -> None:
    from app.vision.jobs import Jobs
    from app.vision.models import Models
    from app.vision.packs import MODELS, PackCatalog
    from app.vision.working import TaskRunner

    config = WorkerConfig(**channel.config())
    logs.configure(config.log_level)
    # A picture that stalls its decoder must not keep those waiting who come before it.
    front = Decoders(config.making, program=config.decoder)
    back = Decoders(config.making, program=config.decoder, few=0)
    models = Models(
        PackCatalog(MODELS, [Path(folder) for folder in config.folders]), config.default
    )
    jobs = Jobs(1, 0, making=config.making, name="vision")
    behind = Jobs(1, 0, making=config.making, name="behind", behind=True)

    def opened(task: "Task") -> File:
        picture = task.picture
        return File(picture.file, picture.limits, back if task.behind else front)

    def replaced() -> int:
        return front.replaced + back.replaced

    TaskRunner(channel, opened, models, jobs, behind, replaced).work(front.check)
