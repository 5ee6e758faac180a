"""Who watches requests: nobody, or several at once."""

from collections.abc import Sequence

from app.domain.ports import Observer, Watch
from app.domain.stages import Stage
from app.domain.values import Outcome


class Nobody:
    """Satisfies `Observer` and `Watch` where nothing is counted."""

    def begin(self, _parent: str | None) -> Watch:
        """Itself: there is nothing to remember."""
        return self

    def stage(self, stage: Stage, began: float, ended: float) -> None:
        """Forget it."""

    def end(self, outcome: Outcome) -> None:
        """Forget it."""


class Several:
    """Satisfies `Observer` for more than one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def begin(self, parent: str | None) -> Watch:
        """A watch of each."""
        return _Watches([observer.begin(parent) for observer in self._observers])


class _Watches:
    """Satisfies `Watch` for those of several observers."""

    __slots__ = ("_watches",)

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = watches

    def stage(self, stage: Stage, began: float, ended: float) -> None:
        for watch in self._watches:
            watch.stage(stage, began, ended)

    def end(self, outcome: Outcome) -> None:
        for watch in self._watches:
            watch.end(outcome)
