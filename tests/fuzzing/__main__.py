"""`python -m tests.fuzzing`: requests made up from the documents, against a server of its own."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from app.api.openapi.document import SURFACES
from tests.fuzzing.runs import Outcome, over_network
from tests.fuzzing.server import furnished

PHASES = ("examples", "coverage", "fuzzing", "stateful")


def fuzz(document: str, *, minutes: float, seed: int) -> Outcome:
    """Ask a new server for so long; what its log tells of unexpected errors counts as failures."""
    limits = {
        "seed": seed,
        "max-time": round(minutes * 60),
        "request-timeout": 60,  # a slow machine is no wrong answer
        "generation": {"max-examples": 100, "no-shrink": True},
        "phases": {phase: {"enabled": True} for phase in PHASES},
    }
    with (
        tempfile.TemporaryDirectory(prefix="facereco-fuzz-") as folder,
        furnished(Path(folder) / "data", document) as (server, caller),
    ):
        outcome = over_network(server.base, document, caller, limits)
        broken = [line for line in server.errors.splitlines() if "unexpected error" in line]
        outcome.failures += [f"the server's log: {line}" for line in broken]
    return outcome


def main() -> None:
    """Exit code 1 when an answer was not one of the document."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for each document")
    parser.add_argument("--revision", action="append", choices=list(SURFACES))
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    failed = False
    for document in options.revision or ["v1.0", "v2.0"]:
        outcome = fuzz(document, minutes=options.minutes, seed=seed)
        sys.stdout.write(f"{outcome}\n  seed {seed}\n")
        sys.stdout.flush()
        failed |= bool(outcome.failures)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
