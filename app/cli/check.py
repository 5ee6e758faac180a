"""`facereco check`: prove that a server answers as the contract says, ours or the cloud's."""

import json
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, NoReturn

import typer

from app.cli.options import AsJson, UsageError, base_url, demand_printable
from app.conformance.cases import Addresses
from app.conformance.checking import CannotBegin, Result
from app.conformance.documents import EDITIONS, FILES, LIVENESS
from app.conformance.http import Credentials, origin
from app.conformance.plan import Plan, plan
from app.conformance.provocations import NEEDS_SECRET
from app.conformance.report import Table, Tally, Veil, document, sums
from app.conformance.session import Session, Target

DIFFERS = 1
INTERRUPTED = 130  # 128 and SIGINT, as a shell tells it
EXAMPLE = "facereco check contract --url http://127.0.0.1:8000 --app-key KEY --revision v1.0"

app = typer.Typer(help="Prove what a server answers.", no_args_is_help=True)

AppKey = Annotated[
    str, typer.Option(envvar="CHECK_APP_KEY", metavar="KEY", help="The appKey to call with.")
]
SecretKey = Annotated[
    str | None,
    typer.Option(envvar="CHECK_SECRET_KEY", metavar="KEY", help="Its secretKey (alpha, v2.0)."),
]
ShadowAppKey = Annotated[
    str | None,
    typer.Option(
        envvar="CHECK_SHADOW_APP_KEY", metavar="KEY", help="Its appKey; the same if not given."
    ),
]
ShadowSecretKey = Annotated[
    str | None,
    typer.Option(
        envvar="CHECK_SHADOW_SECRET_KEY", metavar="KEY", help="Its secretKey; the same likewise."
    ),
]


@app.command(epilog=f"Example: {EXAMPLE}")
def contract(  # noqa: PLR0913 - one for each option
    *,
    url: Annotated[str, typer.Option(help="Base URL, without the path of the API.")],
    app_key: AppKey,
    secret_key: SecretKey = None,
    revision: Annotated[
        str, typer.Option(help="v1.0, v1.0-2021, v1.0-alpha, v2.0 or liveness.", metavar="NAME")
    ] = "v1.0",
    shadow: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask a second server the same, and compare.")
    ] = None,
    shadow_app_key: ShadowAppKey = None,
    shadow_secret_key: ShadowSecretKey = None,
    image_url: Annotated[
        str | None, typer.Option(metavar="URL", help="A photo of people the server can fetch.")
    ] = None,
    slow_url: Annotated[
        str | None, typer.Option(metavar="URL", help="An address that never answers.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 30.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Documented requests and samples only.")
    ] = False,
    brief: Annotated[
        bool, typer.Option("--brief", help="Show only what is not as documented.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Replay every documented operation, sample and error of a revision against a server.

    It works in groups of its own (facereco-check-...), which it removes again. Exit code 1 when
    anything is not as documented, 2 when the check cannot be made.
    """
    wanted = plan(_revision(revision), Addresses(image_url, slow_url), quick=quick)
    asked = Target(base_url(url), _credentials(wanted, app_key, secret_key))
    targets: tuple[Target, ...] = (asked,)
    if shadow is not None:
        keys = shadow_app_key or app_key, shadow_secret_key or secret_key
        targets = (asked, Target(base_url(shadow), _credentials(wanted, *keys)))
    session = Session(wanted, targets, timeout)
    with _one_line(session):
        failed = _as_json(session) if as_json else _as_table(session, brief=brief)
    raise typer.Exit(DIFFERS if failed or session.left else 0)


def _as_table(session: Session, *, brief: bool) -> bool:
    """Print results as they come, what differs once more, and the sums; whether any differs."""
    veil, tally = _veil(session), Tally()
    table = Table(session.plan, veil, brief=brief)
    worth, told = Table(session.plan, veil, brief=True), list[str]()
    with session.results() as results:
        _print([table.head()])
        for result in _counted(session, results):
            tally.add(result)
            told += worth.lines(result)
            _print(table.lines(result))
    if not brief:
        _print(["", *table.unprovoked()])
    if told and not brief:
        _print(["", "Not as documented, or not the same:", *told])
    _print(["", sums(session.plan, tally, shadowed=len(session.targets) > 1)])
    return tally.differing > 0 or tally.cases < len(session.plan.cases)


def _as_json(session: Session) -> bool:
    """Print one JSON object; whether anything differs."""
    with session.results() as found:
        results = list(_counted(session, found))
    servers = [origin(target.url) for target in session.targets]
    told = document(session.plan, results, _veil(session))
    found_all = {"servers": servers, **told, "leftBehind": session.left}
    typer.echo(json.dumps(found_all, ensure_ascii=False))
    sent = len(results) == len(session.plan.cases)
    return not sent or any(result.differs for result in results)


def _counted(session: Session, results: Iterator[Result]) -> Iterator[Result]:
    """The same results; tells on standard error how far they are, where nothing else does."""
    total = len(session.plan.cases)
    for count, result in enumerate(results, start=1):
        yield result
        if sys.stdout.isatty():
            continue
        if sys.stderr.isatty():
            typer.echo(f"\r{count} of {total} requests", err=True, nl=count == total)
        elif count * 10 // total > (count - 1) * 10 // total:
            typer.echo(f"{count} of {total} requests", err=True)


@contextmanager
def _one_line(session: Session) -> Iterator[None]:
    """Ctrl-C and SIGTERM end a check in order; what ends it, and what it leaves, is one line."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    except CannotBegin as error:
        raise UsageError(str(error)) from None
    except KeyboardInterrupt:
        typer.echo("facereco: interrupted; nothing more is asked", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if session.left:
            typer.echo(f"facereco: could not be removed: {', '.join(session.left)}", err=True)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _revision(name: str) -> str:
    """The revision by the name of its guide, or the one `keys create` has for it."""
    named = {file: revision for revision, file in FILES.items()}
    if name not in {*named, *EDITIONS}:
        known = ", ".join((*named, LIVENESS))
        raise UsageError(f"there is no revision {name!r} (known: {known})")
    return named.get(name, name)


def _credentials(wanted: Plan, app_key: str, secret_key: str | None) -> Credentials:
    demand_printable(app_key, secret_key or "")
    if wanted.revision not in NEEDS_SECRET:
        return Credentials(app_key)
    if not secret_key:
        raise UsageError(f"revision {wanted.revision} needs a secretKey (--secret-key)")
    return Credentials(app_key, secret_key)


def _veil(session: Session) -> Veil:
    keys = (target.credentials for target in session.targets)
    return Veil(tuple(key for pair in keys for key in (pair.app_key, pair.secret_key) if key))
