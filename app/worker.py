"""A process that opens and analyses pictures for a server: what `app.vision.crew` starts."""

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
    from app.vision.letters import Errand
    from app.vision.working import Line


@dataclass(frozen=True, slots=True)
class Duties:
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
    # The server knows this module for its duties alone, and does not load what networks need.
    from app.vision.working import Line, serve_the_server

    serve_the_server()
    with suppress(EOFError):
        _work(Line(*map(int, sys.argv[1:])))
    # What its threads are at is of no use to anybody.
    os._exit(0)


def _work(line: "Line") -> None:
    from app.vision.jobs import Jobs
    from app.vision.models import Models
    from app.vision.packs import MODELS, PackCatalog
    from app.vision.working import Desk

    duties = Duties(**line.duties())
    logs.configure(duties.log_level)
    # A picture that stalls its decoder must not keep those waiting who come before it.
    front = Decoders(duties.making, program=duties.decoder)
    back = Decoders(duties.making, program=duties.decoder, few=0)
    models = Models(
        PackCatalog(MODELS, [Path(folder) for folder in duties.folders]), duties.default
    )
    jobs = Jobs(1, 0, making=duties.making, name="vision")
    behind = Jobs(1, 0, making=duties.making, name="behind", behind=True)

    def opened(errand: "Errand") -> File:
        picture = errand.picture
        return File(picture.file, picture.limits, back if errand.behind else front)

    def replaced() -> int:
        return front.replaced + back.replaced

    Desk(line, opened, models, jobs, behind, replaced).work(front.check)
