"""`facereco test`: the project's own tests, in the environment the launcher made for them."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[2]


def run_tests(
    context: typer.Context,
    long: Annotated[bool, typer.Option("--long", help="Also the tests that take hours.")] = False,  # noqa: FBT002 - a flag is a boolean
) -> None:
    """Run the tests; further arguments go to pytest."""
    chosen = [] if long else ["-m", "not long"]
    command = [sys.executable, "-m", "pytest", *chosen, *context.args]
    raise typer.Exit(subprocess.call(command, cwd=ROOT))  # noqa: S603 - our own interpreter
