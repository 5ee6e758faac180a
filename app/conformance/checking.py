"""A plan carried out: each case asked of a server, and of a second one where there is one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.conformance.cases import Case
from app.conformance.fields import Row, Verdict, judged
from app.conformance.http import UNREACHED, Answer
from app.conformance.plan import Plan
from app.conformance.shadow import Difference, differences
from app.conformance.stage import REFUSED, Stage

PATIENCE = 3  # cases in a row without an answer after which nobody is asked any more


class CannotBegin(Exception):
    """There is nobody to ask, or no leave to; the message is one line."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case; `shadow` is where the second server answered differently.

    One that was `skipped` was not asked: the server has no models for it.
    """

    case: Case
    rows: Sequence[Row]
    shadow: Sequence[Difference] = ()
    skipped: bool = False

    @property
    def differs(self) -> bool:
        """Whether anything is not as documented, or not the same on both servers."""
        return bool(self.shadow) or any(row.verdict != Verdict.AS_DOCUMENTED for row in self.rows)


def begin(stage: Stage, who: str) -> None:
    """Set the stage. Raises `CannotBegin` when nobody is there or the keys are refused."""
    first = stage.prepare()
    if first.problem == UNREACHED:
        raise CannotBegin(f"{who} cannot be reached")
    if first.code in REFUSED:
        raise CannotBegin(f"{who} refuses these keys: {first.code}")


def check(plan: Plan, stage: Stage, shadow: Stage | None = None) -> Iterator[Result]:
    """Ask case by case; ends early when a server has stopped answering."""
    silent = 0
    for case in plan.cases:
        if case.spoofs and not stage.spoofs:
            yield Result(case, (), skipped=True)
            continue
        answer = stage.server.ask(case.build(stage))
        told = _shadowed(case, answer, shadow) if shadow else []
        yield Result(case, judged(answer, case.expected), told)
        silent = silent + 1 if answer.problem and answer.status is None else 0
        if silent == PATIENCE:
            return


def _shadowed(case: Case, answer: Answer, shadow: Stage) -> list[Difference]:
    return differences(answer, shadow.server.ask(case.build(shadow)))
