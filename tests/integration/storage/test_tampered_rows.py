"""Rows changed at random: all of them are noticed, and every other face is served.

The long form is the promise: 10,000 tampered rows on each database. What is drawn is printed with
its seed, so a failure can be played again.
"""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, bindparam, select, update
from structlog.testing import capture_logs

from app.domain.errors import RecordCorrupt
from app.domain.values import Embedding, Group
from app.storage.database import AnyRow
from app.storage.keysets import Keyset
from app.storage.tables import faces, groups
from tests.integration.storage.opened import Storage, new_faces

TENANTS, GROUPS, FACES = 2, 3, 100  # groups of each tenant, faces of each group
SEED = 20261121

Row = dict[str, Any]

_ROWS = select(faces.c.row, faces.c.group_row, faces.c.face_id, faces.c.sealed_vector)
_PUT = (
    update(faces)
    .where(faces.c.row == bindparam("at"))
    .values(
        sealed_vector=bindparam("record"),
        face_id=bindparam("name"),
    )
)


@dataclass
class World:
    """Everything that was enrolled, as it should be."""

    storage: Storage
    groups: list[Group]
    vectors: dict[str, Embedding]
    rows: dict[int, Row]

    def write(self, rows: list[Row]) -> None:
        puts = [{"at": r["row"], "record": r["sealed_vector"], "name": r["face_id"]} for r in rows]

        def put(connection: Connection) -> None:
            # Names that change places would be there twice in between.
            hidden = [{**p, "name": f"hidden-{p['at']}"} for p in puts]
            connection.execute(_PUT, hidden)
            connection.execute(_PUT, puts)

        self.storage.database.write_now(put)


async def enrolled(storage: Storage) -> World:
    made, vectors = list[Group](), dict[str, Embedding]()
    for tenant_number in range(TENANTS):
        tenant = await storage.tenant(f"tenant-{tenant_number}")
        for number in range(GROUPS):
            group = await storage.group(tenant, f"group-{number}")
            added = new_faces(FACES, seed=len(vectors))
            await storage.faces.add(group, added, quota=FACES)
            vectors |= {face.face_id: face.embedding for face in added}
            made.append(await storage.groups.get(tenant, f"group-{number}"))
    rows = storage.database.read_now(lambda c: c.execute(_ROWS).all())
    return World(storage, made, vectors, {row.row: dict(row._mapping) for row in rows})


def flip(row: Row, dice: random.Random) -> Row:
    """One bit of the format, nonce, ciphertext or tag."""
    record = bytearray(row["sealed_vector"])
    record[dice.randrange(len(record))] ^= 1 << dice.randrange(8)
    return {**row, "sealed_vector": bytes(record)}


def cut(row: Row, dice: random.Random) -> Row:
    return {
        **row,
        "sealed_vector": row["sealed_vector"][: dice.randrange(len(row["sealed_vector"]))],
    }


def renamed(row: Row, dice: random.Random) -> Row:
    """Somebody else's name over the same vector."""
    return {**row, "face_id": f"{dice.randrange(16**8):08x}{row['face_id'][8:]}"}


def swapped(first: Row, second: Row) -> list[Row]:
    """The vectors of two faces change places, wherever they are."""
    return [
        {**first, "sealed_vector": second["sealed_vector"]},
        {**second, "sealed_vector": first["sealed_vector"]},
    ]


ALONE: tuple[Callable[[Row, random.Random], Row], ...] = (flip, flip, cut, renamed)


def tampered(world: World, count: int, dice: random.Random) -> list[Row]:
    """`count` rows as somebody left them who can write to the database."""
    victims = dice.sample(sorted(world.rows), count)
    pairs = count // 4  # swaps within groups, between groups and between tenants, as drawn
    changed = [dice.choice(ALONE)(world.rows[row], dice) for row in victims[2 * pairs :]]
    for left, right in zip(victims[:pairs], victims[pairs : 2 * pairs], strict=True):
        changed += swapped(world.rows[left], world.rows[right])
    return changed


async def check(world: World, changed: list[Row]) -> None:
    """Every changed row is noticed and named; every other face comes back bit for bit."""
    broken = {row["row"]: row["face_id"] for row in changed}
    before = world.storage.corrupt
    with capture_logs() as logs:
        for group in world.groups:
            changes = world.storage.changes.changes(group, 0)
            sound = [
                row
                for row in sorted(world.rows)
                if world.rows[row]["group_row"] == group.row and row not in broken
            ]
            assert changes.added.tolist() == sound
            wanted = [world.vectors[world.rows[row]["face_id"]] for row in sound]
            np.testing.assert_array_equal(changes.vectors, np.asarray(wanted))
    assert world.storage.corrupt - before == len(changed)
    assert sorted(line["face_id"] for line in logs) == sorted(broken.values())


async def check_one(world: World, row: Row) -> None:
    """A changed face is refused when it is asked for by itself."""
    [group] = [g for g in world.groups if g.row == row["group_row"]]
    with pytest.raises(RecordCorrupt), capture_logs():
        await world.storage.faces.find(group, row["face_id"])


async def tamper(opening: Callable[[Keyset], Storage], total: int, at_once: int) -> None:
    world = await enrolled(opening(Keyset.generate()))
    dice = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    noticed = 0
    while noticed < total:
        changed = tampered(world, min(at_once, total - noticed), dice)
        world.write(changed)
        await check(world, changed)
        await check_one(world, dice.choice(changed))
        world.write([world.rows[row["row"]] for row in changed])
        noticed += len(changed)
    await check(world, [])
    sys.stdout.write(f"seed {SEED}: {noticed} rows tampered with, all noticed, the others served\n")


async def test_tampered_rows_are_noticed(opening: Callable[[Keyset], Storage]):
    await tamper(opening, total=300, at_once=100)


@pytest.mark.long
async def test_10000_tampered_rows_are_noticed(opening: Callable[[Keyset], Storage]):
    await tamper(opening, total=10_000, at_once=200)


def spoiled(victim: AnyRow, other: AnyRow, tenants: list[int], dice: random.Random) -> Row:
    """What somebody wrote over one column of a group, so that it looks like another."""
    flipped = flip({"sealed_vector": victim.wrapped_key}, dice)["sealed_vector"]
    column, value = dice.choice(
        (
            ("tenant", tenants[1 - tenants.index(victim.tenant)]),
            ("model_version", "another/1"),
            ("wrapped_key", other.wrapped_key),
            ("wrapped_key", flipped),
            ("key_id", "00000000"),
        )
    )
    return {column: value, "group_id": "moved"}


def readable(storage: Storage, group: Group) -> int:
    """How many faces an index would load, with nothing remembered."""
    storage.vault.forget(group.row)
    try:
        return len(storage.changes.changes(group, 0).added)
    except RecordCorrupt:
        return 0


async def test_a_tampered_group_is_refused_and_every_other_is_served(
    opening: Callable[[Keyset], Storage],
):
    world = await enrolled(opening(Keyset.generate()))
    storage, dice = world.storage, random.Random(SEED)  # noqa: S311 - repeatable, not secret
    kept = storage.database.read_now(lambda c: c.execute(select(groups)).all())
    tenants = sorted({row.tenant for row in kept})

    def put(row: int, values: Row) -> None:
        statement = update(groups).where(groups.c.row == row).values(values)
        storage.database.write_now(lambda c: c.execute(statement))

    for _ in range(40):
        victim, other = dice.sample(kept, 2)
        put(victim.row, spoiled(victim, other, tenants, dice))

        with capture_logs():
            served = {group.row: readable(storage, group) for group in world.groups}

        assert served == {
            group.row: 0 if group.row == victim.row else FACES for group in world.groups
        }
        put(victim.row, {name: v for name, v in victim._mapping.items() if name != "row"})
