"""Opens everything that is sealed, once, and tells what does not open."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection, bindparam, select

from app.domain.errors import RecordCorrupt
from app.storage.database import BINARY, AnyRow, Database
from app.storage.tables import faces, groups
from app.storage.vault import GroupCipher, Place, Sealed, Vault

_GROUPS = select(
    groups.c.row, groups.c.tenant, groups.c.model_version, groups.c.key_id, groups.c.wrapped_key
).order_by(groups.c.row)
_FACES = (
    select(faces.c.face_id, faces.c.sealed_vector)
    .where(faces.c.group_row == bindparam("group_row"))
    .execution_options(**{"yield_per": 2_000, BINARY: True})
)


@dataclass(slots=True)
class Inspection:
    """What was found: sound ones counted, broken ones named (faces with their group's row)."""

    groups: int = 0
    faces: int = 0
    broken_groups: list[int] = field(default_factory=list)
    broken_faces: list[tuple[int, str]] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether everything opened."""
        return not self.broken_groups and not self.broken_faces


def inspect(database: Database, vault: Vault, progress: Callable[[int], None]) -> Inspection:
    """Open every data key and every vector; `progress` hears the number of faces so far.

    Each group is seen as of one moment. What is added or deleted meanwhile may be in or not.
    """
    found = Inspection()
    for group in database.read_now(lambda c: c.execute(_GROUPS).all()):
        database.snapshot_now(partial(_inspect, vault=vault, group=group, found=found))
        progress(found.faces)
    return found


def _inspect(connection: Connection, vault: Vault, group: AnyRow, found: Inspection) -> None:
    try:
        cipher = _unlocked(connection, vault, group)
    except RecordCorrupt:
        found.broken_groups.append(group.row)
        return
    if cipher is None:
        return  # deleted meanwhile
    found.groups += 1
    for face_id, record in connection.execute(_FACES, {"group_row": group.row}):
        try:
            cipher.open(face_id, record)
        except RecordCorrupt:
            found.broken_faces.append((group.row, face_id))
        else:
            found.faces += 1


def _unlocked(connection: Connection, vault: Vault, group: AnyRow) -> GroupCipher | None:
    # Read again: rewrapping may have gone by since the list was made.
    row = connection.execute(_GROUPS.where(groups.c.row == group.row)).first()
    if row is None:
        return None
    # Past the cache: it is the stored data key that is looked at.
    vault.forget(row.row)
    place = Place(row.tenant, row.row, row.model_version)
    return vault.cipher(place, Sealed(row.key_id, row.wrapped_key))
