"""Named places where the project's own tests may stop, delay or fail a running server.

A place says `reached(FaultPoint.…)`, which is one audit event of the interpreter and costs next to
nothing. Only a process that was told to listen (`FACERECO_TEST_FAULTS`, refused unless
`FACERECO_TEST` is set as well) does anything about it.
"""

import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from app.domain.errors import ConfigurationError, StoreUnavailable

_EVENT = "facereco.fault"
_RULE = re.compile(r"(?P<point>[a-z.-]+)=(?P<act>kill|fail|delay:\d+(?:\.\d+)?)(?:@(?P<nth>\d+))?")


class FaultPoint(Enum):
    """Every place: `before-commit` is in the transaction, `after-commit` before the answer."""

    REGISTER_BEFORE_COMMIT = "register.before-commit"
    REGISTER_AFTER_COMMIT = "register.after-commit"
    DELETE_FACE_BEFORE_COMMIT = "delete-face.before-commit"
    DELETE_FACE_AFTER_COMMIT = "delete-face.after-commit"
    DELETE_GROUP_BEFORE_COMMIT = "delete-group.before-commit"
    DELETE_GROUP_AFTER_COMMIT = "delete-group.after-commit"
    LEDGER_BEFORE_SYNC = "ledger.before-sync"
    INDEX_LOADING = "index.loading"
    MIGRATING = "migrate.before-commit"
    BACKUP_WRITING = "backup.writing"
    RESTORE_WRITING = "restore.writing"
    REWRAP_BEFORE_COMMIT = "rewrap.before-commit"
    REWRAP_AFTER_COMMIT = "rewrap.after-commit"
    KEYSET_BEFORE_RENAME = "keyset.before-rename"


def reached(point: FaultPoint) -> None:
    """Say that the program is at `point`. Raises what a test asked for, and otherwise nothing."""
    sys.audit(_EVENT, point.value)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at a place: `act` is kill, fail or delay:SECONDS.

    It happens the `nth` time the place is reached, or every time (0).
    """

    act: str
    nth: int = 0


class Faults:
    """Faults by place. `listen` makes this process obey them until it ends."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        self._faults = faults
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Read `PLACE=kill|fail|delay:SECONDS[@NTH]`, several separated by commas.

        Raises:
            ConfigurationError: there is no such place or act.
        """
        rules = [_RULE.fullmatch(part.strip()) for part in text.split(",")]
        known = {point.value for point in FaultPoint}
        faults: dict[str, Fault] = {}
        for rule in rules:
            if rule is None or rule["point"] not in known:
                raise ConfigurationError("FACERECO_TEST_FAULTS names no place or act that exists")
            faults[rule["point"]] = Fault(rule["act"], int(rule["nth"] or 0))
        return cls(faults)

    def listen(self) -> None:
        """Obey from now on; the interpreter knows no way back."""
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == _EVENT:
            self.at(str(arguments[0]))

    def at(self, point: str) -> None:
        """Do what was asked for at `point`. Raises `StoreUnavailable` for the act fail."""
        if (fault := self._faults.get(point)) is None:
            return
        with self._lock:
            self._seen[point] += 1
            due = fault.nth in (0, self._seen[point])
        if due:
            _do(fault.act)


def _do(act: str) -> None:
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "fail":
        raise StoreUnavailable
    time.sleep(float(act.removeprefix("delay:")))
