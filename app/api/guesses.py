"""How many wrong keys a source may try before its wrong keys are answered late."""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

MOST_SOURCES = 10_000
MOST_SECONDS = 10.0
# One customer has a whole /64 of IPv6 addresses to call from.
IPV6_NETWORK = 64
MINUTE = 60.0
LEAST_SECONDS = 0.003


class Guesses:
    """Spreads the failures of a source to `per_minute`, half of them free at first.

    Only what failed is held up: whoever shares the source and has the right key notices nothing.
    Each source is one number, the moment its failures so far will have been paid for, and no more
    than `MOST_SOURCES` are remembered, those that failed last.
    """

    def __init__(
        self, per_minute: int = 60, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds_each = MINUTE / per_minute
        self._free_seconds = MINUTE / 2
        self._clock = clock
        self._paid_at: OrderedDict[str, float] = OrderedDict()

    async def slow(self, address: str) -> None:
        """Return when the failure of a caller at `address` may be told.

        That is never at once: behind a wait by chance nobody sees the microseconds by which an
        unknown appKey and a wrong secretKey differ.
        """
        veil = LEAST_SECONDS * (1 + secrets.randbelow(1_000) / 1_000)
        await asyncio.sleep(self.failed(address) + veil)

    def failed(self, address: str) -> float:
        """Note a failure; how many seconds its answer has to wait."""
        now, source = self._clock(), _source(address)
        paid_at = max(now, self._paid_at.pop(source, now)) + self._seconds_each
        # What could never be waited for is not owed either: a source that stops is free in time.
        owed = min(paid_at - now, self._free_seconds + MOST_SECONDS)
        self._paid_at[source] = now + owed
        if len(self._paid_at) > MOST_SOURCES:
            self._paid_at.popitem(last=False)
        return max(0.0, owed - self._free_seconds)

    @property
    def sources(self) -> int:
        """How many sources are remembered."""
        return len(self._paid_at)


def _source(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""  # a local socket has no address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(int(parsed) >> (parsed.max_prefixlen - IPV6_NETWORK))
    return address
