"""Erases again what a ledger remembers, in a copy of the database that is older than the ledger."""

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import Connection, select

from app.domain.errors import FaceNotFound, GroupNotFound
from app.storage.faces import erase_face
from app.storage.groups import erase_group
from app.storage.keys import erase_key
from app.storage.ledger import Erased, Erasure
from app.storage.tables import groups, tenants


def replay(connection: Connection, erasures: Iterable[Erasure]) -> int:
    """How many of `erasures` were still there and are now gone."""
    return sum(_again(connection, erasure) for erasure in erasures)


def _again(connection: Connection, erasure: Erasure) -> bool:
    match erasure.kind:
        case Erased.FACE:
            with suppress(FaceNotFound, GroupNotFound):
                erase_face(connection, erasure.row, erasure.name)
                return True
            return False
        case Erased.GROUP:
            return _group(connection, erasure)
        case Erased.KEY:
            return _key(connection, erasure)


def _group(connection: Connection, erasure: Erasure) -> bool:
    row = connection.execute(select(groups.c.created).where(groups.c.row == erasure.row)).first()
    # The number alone may be that of a group made after an earlier restore.
    if row is None or row.created.isoformat() != erasure.name:
        return False
    erase_group(connection, erasure.row, row.created)
    return True


def _key(connection: Connection, erasure: Erasure) -> bool:
    row = connection.execute(select(tenants.c.created).where(tenants.c.id == erasure.row)).first()
    if row is None or row.created.isoformat() != erasure.name:
        return False
    erase_key(connection, erasure.row, row.created)
    return True
