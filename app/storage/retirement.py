"""Master keys taken out of service, which the database knows so that every replica heeds it.

A replica whose keyset file is older would go on wrapping with a key that others switched off.
Whoever wraps therefore looks here, in its own transaction and under a lock that retiring waits for.
"""

from collections import Counter
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, func, select, update

from app.domain.errors import InvalidParameter, StoreUnavailable
from app.storage.tables import groups, key_checks, server

_RETIRED = (
    select(key_checks.c.retired)
    .where(key_checks.c.key_id == bindparam("key_id"))
    .with_for_update(read=True)
)


def demand_in_service(connection: Connection, key_id: str) -> None:
    """Raises `StoreUnavailable` where nothing new may be wrapped with this key."""
    row = connection.execute(_RETIRED, {"key_id": key_id}).first()
    if row is None or row.retired is not None:
        raise StoreUnavailable("the keyset of this server is older than the database")


def retired_keys(connection: Connection) -> set[str]:
    """The ids of the master keys out of service."""
    retired = select(key_checks.c.key_id).where(key_checks.c.retired.is_not(None))
    return set(connection.scalars(retired))


def retire(connection: Connection, key_id: str) -> None:
    """Let nothing be wrapped with this key any more.

    Raises `InvalidParameter` when something still is, and undoes nothing by itself.
    """
    # First the mark, which waits for those who are wrapping; what they wrapped is then seen.
    _mark(connection, key_id, datetime.now(UTC))
    if count := covered(connection).get(key_id, 0):
        raise InvalidParameter(
            f"key {key_id} still covers {count} records; run `facereco vault rewrap` first"
        )


def reinstate(connection: Connection, key_id: str) -> None:
    """Take a key back into service."""
    _mark(connection, key_id, None)


def covered(connection: Connection) -> dict[str, int]:
    """How many records each master key covers: data keys of groups, and the server secret."""
    counts: Counter[str] = Counter(connection.scalars(select(server.c.key_id)))
    by_key = select(groups.c.key_id, func.count()).group_by(groups.c.key_id)
    for key_id, count in connection.execute(by_key):
        counts[key_id] += count
    return counts


def _mark(connection: Connection, key_id: str, retired: datetime | None) -> None:
    connection.execute(
        update(key_checks).where(key_checks.c.key_id == key_id), {"retired": retired}
    )
