"""Reads audit trails back: whether they are whole, and what they say."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from app.telemetry.audit import segment_number
from app.telemetry.audit_chain import Chain, Link, split

_MOST_FINDINGS = 1_000
_HEAD_BYTES = 4_096


@dataclass(slots=True)
class Checked:
    """One writer's trail: its last record's place, and what is wrong with it, nothing if whole."""

    writer: str
    last: Link
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which records an export shows: those of `tenant`, from a moment on, before another."""

    begin: datetime | None = None
    end: datetime | None = None
    tenant: str | None = None

    def shows(self, record: Mapping[str, Any]) -> bool:
        time = datetime.fromisoformat(record["time"])
        return (
            (self.begin is None or time >= self.begin)
            and (self.end is None or time < self.end)
            and (self.tenant is None or record.get("tenant") == self.tenant)
        )


def check(folder: Path, key: bytes, anchors: Mapping[str, Link]) -> list[Checked]:
    """Every writer's trail in `folder`, which may be written to meanwhile.

    An anchor is where a trail was at an earlier check: the trail must still go through it, and may
    begin behind it, its older files being kept elsewhere.
    """
    writers = {path.name.split(".")[0] for path in folder.glob("*.*")} | anchors.keys()
    return [
        _Checking(folder, Chain(key, writer), writer, anchors.get(writer)).done()
        for writer in sorted(writers)
    ]


def records(folder: Path, asked: Asked) -> Iterator[dict[str, Any]]:
    """The records of all writers by time, each with its writer; broken lines are left out."""
    writers = sorted({path.name.split(".")[0] for path in folder.glob("*.jsonl")})
    streams = [_records(folder, writer, asked) for writer in writers]
    return heapq.merge(*streams, key=lambda record: str(record["time"]))


def _records(folder: Path, writer: str, asked: Asked) -> Iterator[dict[str, Any]]:
    for line in _lines(folder, writer):
        record = _parsed(line)
        if record is not None and asked.shows(record):
            record.pop("mac", None)
            yield {"writer": writer, **record}


def _lines(folder: Path, writer: str) -> Iterator[bytes]:
    full = sorted(folder.glob(f"{writer}.*.jsonl"), key=segment_number)
    active = folder / f"{writer}.jsonl"
    for path in [*full, *([active] if active.exists() else [])]:
        with path.open("rb") as file:
            yield from file


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
        datetime.fromisoformat(record["time"])
        int(record["n"])
    except (ValueError, KeyError, TypeError):
        return None
    return dict(record)


class _Checking:
    """Walks along one chain."""

    def __init__(self, folder: Path, chain: Chain, writer: str, anchor: Link | None) -> None:
        self._folder, self._chain, self._writer, self._anchor = folder, chain, writer, anchor
        self._last = chain.start
        self._seen: dict[int, str] = {}
        self._checked = Checked(writer, chain.start)

    def done(self) -> Checked:
        # The head first: a writer at work may only go further meanwhile.
        head = self._head()
        milestones = {link.number: link.mac for link in (head, self._anchor) if link is not None}
        for line in _lines(self._folder, self._writer):
            self._take(line)
            if self._last.number in milestones:
                self._seen[self._last.number] = self._last.mac
        self._compare("the head", head)
        self._compare("the anchor", self._anchor)
        self._checked.last = self._last
        return self._checked

    def _head(self) -> Link | None:
        try:
            with (self._folder / f"{self._writer}.head").open("rb") as file:
                line = file.read(_HEAD_BYTES)
        except OSError:
            self._find("its head is missing, so nothing vouches for its end")
            return None
        head = self._chain.unseal(line)
        if head is None and line:
            self._find("its head was changed")
        return head

    def _take(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            return  # being written, or torn by a crash and cut off at the next start
        parts, record = split(line), _parsed(line)
        if parts is None or record is None:
            self._find(f"the line after record {self._last.number} is no record")
            return
        body, mac = parts
        self._follow(Link(int(record["n"]), mac), body)

    def _follow(self, link: Link, body: bytes) -> None:
        anchor = self._anchor
        if self._last.number == 0 and anchor is not None and link.number == anchor.number + 1:
            self._last = anchor
            self._seen[anchor.number] = anchor.mac
        expected = self._last.number + 1
        if link.number > expected:
            self._find(f"records {expected}..{link.number - 1} are missing")
        elif link.number < expected:
            self._find(f"record {link.number} comes after record {self._last.number}")
        elif self._chain.mac(self._last, body) != link.mac:
            self._find(f"record {link.number} was changed")
        self._last = link

    def _compare(self, what: str, link: Link | None) -> None:
        if link is None or link.number == 0:
            return
        if link.number > self._last.number:
            missing = f"{self._last.number + 1}..{link.number}"
            self._find(f"records {missing} at the end are missing: {what} saw them")
        elif self._seen.get(link.number) != link.mac:
            self._find(f"record {link.number} is not the one {what} saw")

    def _find(self, finding: str) -> None:
        if len(self._checked.findings) < _MOST_FINDINGS:
            self._checked.findings.append(finding)
