"""Opening a data folder for the first time, also from several starts at once."""

import threading

from app.storage.database import sqlite_url
from app.storage.stores import open_storage


def test_first_starts_at_the_same_moment_agree_on_one_keyset(tmp_path):
    for round_ in range(10):
        data = tmp_path / str(round_)
        ids: list[str] = []
        together = threading.Barrier(4)

        def start(data=data, ids=ids, together=together):
            url = sqlite_url(data / "database" / "facereco.db").render_as_string()
            together.wait()
            with open_storage(data, url, data / "keys" / "keyset.json") as storage:
                ids.append(storage.vault.database_id)

        starts = [threading.Thread(target=start) for _ in range(4)]
        for thread in starts:
            thread.start()
        for thread in starts:
            thread.join()

        assert len(ids) == 4
        assert len(set(ids)) == 1
