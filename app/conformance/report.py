"""What a check found, as a table for people and as JSON for programs, with no key in either."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from app.conformance.cases import NotProvoked
from app.conformance.checking import Result
from app.conformance.fields import Row, Verdict
from app.conformance.plan import Plan
from app.conformance.shadow import Difference

GAP = "  "
NO_MODELS = "this server's model pack has no spoofing models (it answers -50000)"


@dataclass(frozen=True, slots=True)
class Veil:
    """Hides keys in whatever is printed, also where a server sends them back."""

    keys: tuple[str, ...] = field(repr=False)

    def over(self, text: str) -> str:
        """`text` with every key in it replaced."""
        for key in sorted(self.keys, key=len, reverse=True):
            for spelt in (key, quote(key, safe=""), json.dumps(key, ensure_ascii=False)[1:-1]):
                text = text.replace(spelt, "{hidden}")
        return text


@dataclass(slots=True)
class Tally:
    """Sums over all results."""

    cases: int = 0
    skipped: int = 0
    differing: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    shadow: int = 0

    def add(self, result: Result) -> None:
        """Count a result."""
        self.cases += 1
        self.skipped += result.skipped
        self.differing += result.differs
        self.fields.update(str(row.verdict) for row in result.rows)
        self.shadow += len(result.shadow)


@dataclass(frozen=True, slots=True)
class Table:
    """Lines of fixed width; `brief` leaves out what is as documented."""

    plan: Plan
    veil: Veil
    brief: bool

    def head(self) -> str:
        """The names of the columns."""
        return self._line("operation", "sample", "field", "verdict")

    def lines(self, result: Result) -> Iterator[str]:
        """A result, field by field."""
        case = result.case
        if result.skipped and not self.brief:
            yield self._line(case.operation, case.sample, "", f"not asked: {NO_MODELS}")
        for row in result.rows:
            if not self.brief or row.verdict != Verdict.AS_DOCUMENTED:
                yield self._line(case.operation, case.sample, row.field, _remark(row))
        for told in result.shadow:
            yield self._line(case.operation, case.sample, told.field, _apart(told))

    def unprovoked(self) -> Iterator[str]:
        """The documented errors no request was sent for."""
        for left in self.plan.not_provoked:
            error = f"{left.code} {left.message}"
            yield self._line(left.operation, error, "", f"not provoked: {left.reason}")

    def _line(self, operation: str, sample: str, name: str, remark: str) -> str:
        columns = (f"{operation:<{self._operations}}", f"{sample:<{self._samples}}", f"{name:<58}")
        return self.veil.over(f"{GAP.join(columns)}{GAP}{remark}".rstrip())

    @property
    def _operations(self) -> int:
        return max(len(case.operation) for case in self.plan.cases)

    @property
    def _samples(self) -> int:
        return min(46, max(len(case.sample) for case in self.plan.cases))


def sums(plan: Plan, tally: Tally, *, shadowed: bool) -> str:
    """One line with what there is to know."""
    asked = f"{plan.revision}: {tally.cases - tally.skipped} requests"
    if tally.cases < len(plan.cases):
        asked += f" of {len(plan.cases)}, then there was no answer any more"
    if tally.skipped:
        asked += f"; {tally.skipped} not asked, {NO_MODELS}"
    fields = ", ".join(f"{tally.fields[verdict]} {verdict}" for verdict in Verdict)
    apart = f"; {tally.shadow} differences between the two servers" if shadowed else ""
    return f"{asked}; fields: {fields}; {len(plan.not_provoked)} errors not provoked{apart}"


def document(plan: Plan, results: Sequence[Result], veil: Veil) -> dict[str, Any]:
    """Everything that was found, for a program."""
    tally = Tally()
    for result in results:
        tally.add(result)
    return {
        "revision": plan.revision,
        "requests": {
            "planned": len(plan.cases),
            "sent": tally.cases - tally.skipped,
            "notAsked": tally.skipped,
            "differing": tally.differing,
        },
        "fields": {str(verdict): tally.fields[verdict] for verdict in Verdict},
        "shadowDifferences": tally.shadow,
        "results": [_result(result, veil) for result in results],
        "notProvoked": [_left(left) for left in plan.not_provoked],
    }


def _result(result: Result, veil: Veil) -> dict[str, Any]:
    return {
        "operation": result.case.operation,
        "sample": veil.over(result.case.sample),
        "asked": not result.skipped,
        "fields": list(_veiled((_row(row) for row in result.rows), veil)),
        "shadow": list(_veiled((_difference(told) for told in result.shadow), veil)),
    }


def _row(row: Row) -> dict[str, str]:
    told = {"field": row.field, "verdict": str(row.verdict)}
    if row.verdict == Verdict.AS_DOCUMENTED:
        return told
    return {**told, "documented": row.documented, "found": row.found}


def _difference(told: Difference) -> dict[str, str]:
    return {"field": told.field, "first": told.first, "second": told.second}


def _left(left: NotProvoked) -> dict[str, Any]:
    return {
        "operation": left.operation,
        "resultCode": left.code,
        "resultMessage": left.message,
        "reason": left.reason,
    }


def _veiled(rows: Iterable[Mapping[str, str]], veil: Veil) -> Iterator[dict[str, str]]:
    for row in rows:
        yield {name: veil.over(value) for name, value in row.items()}


def _remark(row: Row) -> str:
    documented = f"documented {row.documented}" if row.documented else ""
    found = f"found {row.found}" if row.found else ""
    told = ", ".join(part for part in (documented, found) if part)
    return f"{row.verdict}: {told}" if told else str(row.verdict)


def _apart(told: Difference) -> str:
    return f"shadow differs: first {told.first}, second {told.second}"
