"""`facereco test`: the project's own tests, in the environment the launcher made for them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Without a network this fails at once; the tests in a browser are then skipped and say so.
BRING = ("apt-get", "-qq", "-y", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10")
LONGEST = 600  # seconds


def run_tests(
    context: typer.Context,
    long: Annotated[bool, typer.Option("--long", help="Also the tests that take hours.")] = False,  # noqa: FBT002 - a flag is a boolean
) -> None:
    """Run the tests; further arguments go to pytest."""
    if _uses_browser(context.args):
        bring_browser()
    chosen = [] if long else ["-m", "not long"]
    command = [sys.executable, "-m", "pytest", *chosen, *context.args]
    raise typer.Exit(subprocess.call(command, cwd=ROOT))  # noqa: S603 - our own interpreter


def _uses_browser(arguments: Sequence[str]) -> bool:
    """Whether the tests in a browser are among those asked for by name, or all are."""
    return not arguments or any("tests/browser" in argument for argument in arguments)


def bring_browser() -> None:
    """Install Debian's Chromium where it is missing and this user may."""
    missing = not any(map(shutil.which, BROWSERS))
    apt_get = shutil.which(BRING[0])
    if not missing or apt_get is None or os.geteuid() != 0:
        return
    typer.echo("installing Chromium for the tests in a browser (once)", err=True)
    command = [apt_get, *BRING[1:], "install", "--no-install-recommends", "chromium"]
    try:
        subprocess.run(command, capture_output=True, check=False, timeout=LONGEST)  # noqa: S603 - Debian's own
    except subprocess.TimeoutExpired:
        typer.echo("Chromium could not be installed in time", err=True)
