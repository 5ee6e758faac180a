"""How far a long command is: a bar with rate and time left, or a line now and then in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import typer

_SETTLING = 2.0  # seconds


class Advance(Protocol):
    """Says that one more is done."""

    def __call__(self) -> None: ...


@contextmanager
def progress(total: int, unit: str) -> Iterator[Advance]:
    """Show on standard error how many of `total` are done."""
    if sys.stderr.isatty():
        with _bar(total, unit) as advance:
            yield advance
    else:
        yield _lines(total, unit)


def _lines(total: int, unit: str) -> Advance:
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if done * 10 // total > (done - 1) * 10 // total:
            typer.echo(f"{done} of {total} {unit}", err=True)

    return advance


@contextmanager
def _bar(total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            # The first few come at once: there is no rate yet.
            settled = (task.elapsed or 0.0) > _SETTLING and task.speed
            return Text(f"{task.speed:.1f} {unit}/s" if settled else f"… {unit}/s")

    columns = (BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    # The rate of the last minutes: what was registered by an earlier run goes much faster.
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=120.0) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def shown(name: str) -> str:
    """A file's name as a terminal may show it: no character in it moves the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
