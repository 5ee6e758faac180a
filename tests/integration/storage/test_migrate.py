import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, inspect, text

from app.domain.errors import ConfigurationError
from app.storage.database import Database
from app.storage.keysets import Keyset
from app.storage.migrate import MIGRATIONS, REVISIONS, migrate
from app.storage.opening import compare
from app.storage.tables import METADATA
from app.storage.vault import Masters
from tests.integration.storage.opened import in_threads


@pytest.fixture
def database(empty_url: URL):
    database = Database(empty_url)
    yield database
    database.close()


def tables(database: Database) -> set[str]:
    return database.snapshot_now(lambda c: set(inspect(c).get_table_names()))


def test_migrations_and_tables_agree(database: Database):
    migrate(database)

    def differences(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, METADATA)

    assert database.snapshot_now(differences) == []


def test_migrations_give_the_same_tables_as_the_metadata_would(database: Database, empty_url: URL):
    migrate(database)
    made = database.snapshot_now(_described)
    database.write_now(lambda c: c.execute(text("DROP TABLE alembic_version")))
    database.write_now(METADATA.drop_all)

    database.write_now(METADATA.create_all)

    assert database.snapshot_now(_described) == made


def _described(connection):
    """What the database itself says of every table, column, key and index."""
    seen = inspect(connection)
    described = {}
    for name in METADATA.tables:
        columns = [
            (c["name"], str(c["type"]), c["nullable"], bool(c.get("identity")))
            for c in seen.get_columns(name)
        ]
        described[name] = (
            columns,
            seen.get_pk_constraint(name),
            sorted(str(key) for key in seen.get_foreign_keys(name)),
            sorted(str(key) for key in seen.get_unique_constraints(name)),
            sorted(str(check) for check in seen.get_check_constraints(name)),
            sorted(str(index) for index in seen.get_indexes(name)),
        )
    return described


def test_the_code_knows_every_revision():
    scripts = ScriptDirectory(str(MIGRATIONS))

    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(REVISIONS)


def test_a_second_migration_changes_nothing(database: Database):
    migrate(database)
    before = tables(database)

    migrate(database)

    assert tables(database) == before == {*METADATA.tables, "alembic_version"}


def test_a_newer_schema_is_refused_and_nothing_is_written(database: Database):
    migrate(database)
    database.write_now(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9'")))

    with pytest.raises(ConfigurationError, match="newer"):
        migrate(database)

    version = database.read_now(lambda c: c.scalar(text("SELECT version_num FROM alembic_version")))
    assert version == "9"


def test_tables_of_somebody_else_are_refused(database: Database):
    database.write_now(lambda c: c.execute(text("CREATE TABLE groups (name TEXT)")))

    with pytest.raises(ConfigurationError, match="did not make"):
        migrate(database)

    assert tables(database) == {"groups"}


def test_many_servers_may_migrate_at_once(empty_url: URL):
    databases = [Database(empty_url) for _ in range(4)]

    async def start(number: int) -> None:
        migrate(databases[number])

    assert in_threads(4, start) == [None] * 4
    assert tables(databases[0]) == {*METADATA.tables, "alembic_version"}
    for database in databases:
        database.close()


def test_a_migration_that_fails_leaves_nothing_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    real = command.upgrade

    def cut(*arguments: Any) -> None:
        real(*arguments)
        raise RuntimeError("power cut")

    monkeypatch.setattr(command, "upgrade", cut)
    with pytest.raises(RuntimeError):
        migrate(database)

    assert tables(database) == set()


def test_a_foreign_keyset_is_refused_before_an_older_schema_is_touched(database: Database):
    def downgrade(connection):
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0001")

    database.write_now(downgrade)
    ours = Keyset.generate()
    masters = Masters(ours, "database-1")
    sealed = masters.seal(b"facereco key check", "key-check")
    database.write_now(
        lambda c: c.execute(
            text(
                "INSERT INTO server (id, database_id, sealed_secret, key_id, created)"
                " VALUES (1, 'database-1', :sealed, :key, CURRENT_TIMESTAMP)"
            ),
            {"sealed": sealed.record, "key": sealed.key_id},
        )
    )
    check = text("INSERT INTO key_checks (key_id, sealed) VALUES (:key, :sealed)")
    database.write_now(lambda c: c.execute(check, {"key": sealed.key_id, "sealed": sealed.record}))
    other = Keyset.generate()
    same_name = replace(other.keys[other.primary], id=ours.primary)
    forged = Keyset(ours.primary, {ours.primary: same_name})

    version = text("SELECT version_num FROM alembic_version")
    for keyset in (None, Keyset.generate(), forged):
        with pytest.raises(ConfigurationError, match=ours.primary):
            migrate(database, partial(compare, keyset=keyset))
        assert database.read_now(lambda c: c.scalar(version)) == "0001"

    migrate(database, partial(compare, keyset=ours))

    assert tables(database) == {*METADATA.tables, "alembic_version"}


def test_nothing_to_do_means_no_half_second_of_imports(tmp_path):
    start = (
        "import sys; from pathlib import Path; from app.storage.database import *;"
        "from app.storage.migrate import migrate;"
        f"d = Database(sqlite_url(Path({str(tmp_path / 'f.db')!r}))); migrate(d);"
        "print('alembic' in sys.modules)"
    )

    said = [
        subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]

    assert [run.stdout.strip() for run in said] == ["True", "False"]


def test_an_unreachable_database_is_one_line_for_the_operator(
    new_postgres: Callable[[str], URL],
):
    reachable = new_postgres("template0")
    missing = reachable.set(database="not_there", password="hunter2")  # noqa: S106 - a test's

    for address in (missing, "postgresql://facereco:hunter2@127.0.0.1:1/facereco"):
        database = Database(address)
        with pytest.raises(ConfigurationError) as refused:
            migrate(database)
        assert "\n" not in str(refused.value)
        assert "hunter2" not in str(refused.value)
        database.close()
