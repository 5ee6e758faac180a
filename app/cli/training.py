"""`facereco train`: the recipe behind the starter pack, in the same environment."""

import subprocess
import sys

import typer


def train(context: typer.Context) -> None:
    """Run a step of models/training; `facereco train -- --help` names them.

    PyTorch is an extra: install it into the environment for the steps that train.
    """
    command = [sys.executable, "-P", "-m", "models.training", *context.args]
    raise typer.Exit(subprocess.call(command))  # noqa: S603 - our own interpreter
