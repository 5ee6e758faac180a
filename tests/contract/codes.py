"""Provoke every documented code of every operation and print what was answered.

    .venv/bin/python -m tests.contract.codes

One line for each operation, body form and code: `as documented`, what came instead, or why no
request can be answered with it. Exits with 1 when anything differs. A server with fakes behind its
ports answers, so that a full group, a dead database or a slow address can be arranged.
"""

import sys
from collections import Counter

from app.conformance.documents import Error, Route
from app.telemetry import logs
from tests.api.scenes import told
from tests.contract.provocations import PAIRS, open_nearly_full, out_of_reach, provoke

AS_DOCUMENTED, DIFFERS, OUT_OF_REACH = "as documented", "differs", "out of reach"


def outcome(route: Route, error: Error) -> tuple[str, str]:
    """What came of asking for `error`, and what there is to say about it."""
    if reason := out_of_reach(route, error):
        return OUT_OF_REACH, reason
    with open_nearly_full(route.revision) as (scene, face_id):
        code, message = told(provoke(route, error, scene, face_id))
    if (code, message) == (error.code, error.message):
        return AS_DOCUMENTED, ""
    return DIFFERS, f"answered {code} {message}"


def main() -> int:
    """Print the list; the exit code."""
    logs.configure("critical")
    counts: Counter[str] = Counter()
    for route, error in PAIRS:
        verdict, remark = outcome(route, error)
        counts[verdict] += 1
        line = f"{route!s:<68} {error.code:>6} {error.message:<46} {verdict}"
        sys.stdout.write(f"{line}: {remark}\n" if remark else f"{line}\n")
    sys.stdout.write(", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + "\n")
    return 1 if counts[DIFFERS] else 0


if __name__ == "__main__":
    sys.exit(main())
