"""Every command there is, found in the program itself."""

from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from app.cli.__main__ import app


def every(group: TyperGroup, *path: str) -> Iterator[tuple[str, TyperCommand]]:
    """Each command by its whole name, `keys create`, that does something itself."""
    for name, child in group.commands.items():
        if isinstance(child, TyperGroup):
            yield from every(child, *path, name)
        elif isinstance(child, TyperCommand):
            yield " ".join((*path, name)), child


def _all() -> dict[str, TyperCommand]:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    return dict(every(root))


COMMANDS = _all()


def options(name: str) -> list[TyperOption]:
    return [given for given in COMMANDS[name].params if isinstance(given, TyperOption)]


def paths(name: str) -> list[TyperOption | TyperArgument]:
    """What of a command names a file or a folder, but the data folder."""
    return [
        given
        for given in COMMANDS[name].params
        if isinstance(given, TyperOption | TyperArgument)
        and given.name != "data"
        and "Path" in str(given.type_descriptor.annotation)
    ]
