"""Whoever stands before a command finds out how it is used, and what was wrong."""

import re
import shlex

import pytest
from typer.core import TyperArgument
from typer.testing import CliRunner

from app.cli.__main__ import app
from app.cli.options import UsageError
from app.domain.errors import ConfigurationError, FaceError
from app.telemetry import logs
from app.vision.packs import MODELS
from tests.unit.cli.commands import COMMANDS, options, paths

# They hand everything on to the program they run.
HAND_ON = {"test", "train", *(name for name in COMMANDS if name.startswith("bench "))}
# A process with signals, and what looks at everything: their refusals have tests of their own.
ELSEWHERE = {"serve", "doctor"}
SETTINGLESS = {"openapi", "check contract"}
EXAMPLE = re.compile(r"Example: (?:[A-Z_]+=\S+ )?facereco (.+)")
OURS = sorted(COMMANDS.keys() - HAND_ON - ELSEWHERE)
TOLD = (SystemExit, ConfigurationError, UsageError, FaceError)
"""What the program's main function tells in one line, or has told already."""


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    """Keys are given in the environment, so that examples need not show how to give them away."""
    for name in COMMANDS:
        for option in options(name):
            if isinstance(option.envvar, str):
                monkeypatch.setenv(option.envvar, "KEY")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Where the examples find what they name, and a file where no folder can be."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "table.json").write_bytes((MODELS / "starter" / "calibration.json").read_bytes())
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No command sets up the log of this process, which other tests read."""
    monkeypatch.setattr(logs, "configure", lambda _level: None)


def run(*arguments, **settings):
    given = {f"FACERECO_{name.upper()}": value for name, value in settings.items()}
    return CliRunner().invoke(app, list(arguments), env=given)


def words(name):
    """The words of a command's example, behind its name."""
    found = EXAMPLE.fullmatch(COMMANDS[name].epilog or "")
    return [] if found is None else shlex.split(found[1].split(" > ")[0])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_in_one_sentence_what_it_does(name):
    assert (COMMANDS[name].help or "").split("\n\n")[0].strip().endswith((".", ".\b"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_that_it_understands(name):
    path, given = name.split(), words(name)

    assert given[: len(path)] == path
    with COMMANDS[name].make_context(name, given[len(path) :]):
        pass


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name):
    assert [option.name for option in options(name) if not option.help and not option.hidden] == []


def arguments_of(name, **chosen):
    """What a command needs, with `chosen` values for options it has; None where it has none."""
    given = words(name)[len(name.split()) :]
    known = {spelling for option in options(name) for spelling in option.opts}
    named = {f"--{option}": value for option, value in chosen.items()}
    if not named.keys() <= known:
        return None
    return [*given, *(part for pair in named.items() for part in pair)]


def complains(done):
    """It failed, and its main function tells why in a line."""
    assert done.exit_code != 0
    assert isinstance(done.exception, TOLD), repr(done.exception)


@pytest.mark.parametrize("name", OURS)
def test_an_option_that_does_not_exist_is_no_traceback(name):
    done = run(*name.split(), "--kanarienvogel")

    assert done.exit_code == 2
    assert "--kanarienvogel" in re.sub(r"\s", "", done.output)


@pytest.mark.parametrize("name", [name for name in OURS if arguments_of(name, data="x")])
def test_a_data_folder_that_is_a_file_is_no_traceback(name):
    done = run(*name.split(), *(arguments_of(name, data="file") or ()))

    if name != "audit export":  # a trail that is not there has no records
        complains(done)


@pytest.mark.parametrize("name", [name for name in OURS if name not in SETTINGLESS])
def test_a_setting_that_cannot_be_read_is_named(name):
    done = run(*name.split(), *(arguments_of(name) or ()), port="kanarienvogel")

    complains(done)
    assert "FACERECO_PORT" in f"{done.exception}{done.output}"
    assert "kanarienvogel" not in f"{done.exception}{done.output}"


@pytest.mark.parametrize("name", [name for name in OURS if arguments_of(name, data="x")])
def test_a_database_that_is_away_is_no_traceback(name):
    url = "postgresql://facereco:hunter2@127.0.0.1:1/facereco"

    done = run(*name.split(), *(arguments_of(name, data="data") or ()), database_url=url)

    if name not in {"audit export", "backup verify"}:  # they read files alone
        complains(done)
    assert "hunter2" not in f"{done.exception}{done.output}"


@pytest.mark.parametrize("name", [name for name in OURS if paths(name)])
def test_a_path_that_cannot_be_is_no_traceback(name):
    path = paths(name)[0]
    impossible, given = "file/below", arguments_of(name) or []

    if isinstance(path, TyperArgument):
        given = [impossible, *(["--group", "staff"] if name == "import" else [])]
    else:
        given = [*given, path.opts[0], impossible]

    complains(run(*name.split(), *given))


def test_the_shell_is_told_how_to_complete_words():
    done = CliRunner().invoke(
        app,
        prog_name="facereco",
        env={
            "_FACERECO_COMPLETE": "complete_bash",
            "COMP_WORDS": "facereco vault pro",
            "COMP_CWORD": "2",
        },
    )

    assert done.stdout.split() == ["promote"]
