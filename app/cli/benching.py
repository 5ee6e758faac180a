"""`facereco bench`: measure this machine with the suites under benchmarks/."""

import runpy
import sys

import typer

# All options are the suite's own, --help too.
PASS_ON = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": [],
}

app = typer.Typer(help="Measure this machine.", no_args_is_help=True)


@app.command(
    "speed",
    context_settings=PASS_ON,
    epilog="Example: facereco bench speed --pack starter --turns 5",
)
def speed(context: typer.Context) -> None:
    """Each operation beside what it could cost at the least; `--help` names the options."""
    _run("benchmarks.speed", context.args)


@app.command("load", context_settings=PASS_ON, epilog="Example: facereco bench load --help")
def load(context: typer.Context) -> None:
    """Throughput and latency under load, of every operation; `--help` names the options."""
    _run("benchmarks.load", context.args)


@app.command(
    "sizing", context_settings=PASS_ON, epilog="Example: facereco bench sizing --groups 50"
)
def sizing(context: typer.Context) -> None:
    """What so many requests and groups need, from unit costs of this machine."""
    _run("benchmarks.sizing", context.args)


def _run(suite: str, arguments: list[str]) -> None:
    sys.argv = [suite, *arguments]
    runpy.run_module(suite, run_name="__main__")
