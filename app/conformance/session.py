"""A plan, the servers to carry it out against, and what is left behind there in the end."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx

from app.conformance.checking import Result, begin, check
from app.conformance.http import Credentials, Server, origin
from app.conformance.plan import Plan
from app.conformance.stage import Stage, open_stage


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the keys to call it with; `transport` stands in for the network."""

    url: str
    credentials: Credentials
    transport: httpx.BaseTransport | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One run against a server, or against two at once; `timeout` is in seconds.

    `left` names the groups that could not be removed, once the run is over.
    """

    plan: Plan
    targets: tuple[Target, ...]
    timeout: float
    left: list[str] = field(default_factory=list)

    @contextmanager
    def results(self) -> Iterator[Iterator[Result]]:
        """Results as they come. Raises `CannotBegin`."""
        with ExitStack() as stack:
            yield check(self.plan, *[self._stage(stack, target) for target in self.targets])

    def _stage(self, stack: ExitStack, target: Target) -> Stage:
        server = Server(
            target.url,
            self.plan.prefix,
            target.credentials,
            timeout=self.timeout,
            transport=target.transport,
        )
        stack.enter_context(server)
        stage = Stage(server, self.plan.registering, self.plan.spoofing)
        stack.enter_context(open_stage(stage, self.left))
        begin(stage, origin(target.url))
        return stage
