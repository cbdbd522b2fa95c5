"""Libraries of every released schema, as SQL in `data/`, are brought to the newest with nothing lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from qwenchat.chat.errors import LibraryNewer
from qwenchat.chat.messages import Status
from qwenchat.chat.tree import MessageTree
from qwenchat.library.backup import last_backup
from qwenchat.library.library import Library
from qwenchat.library.migrations import MIGRATIONS

DATA = Path(__file__).parents[1] / "data"


def released(path: Path, schema: int) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA / f"library_schema_{schema}.sql").read_text())
    return path


def test_every_schema_but_the_newest_has_its_fixture() -> None:
    assert len(list(DATA.glob("library_schema_*.sql"))) == len(MIGRATIONS) - 1


@pytest.mark.parametrize("schema", range(1, len(MIGRATIONS)))
def test_every_schema_keeps_everything(schema: int, tmp_path: Path) -> None:
    library = Library.open(released(tmp_path / "c.sqlite3", schema))
    assert library.notice == ""
    assert [(row.title, row.model, row.messages) for row in library.conversations()] == [
        ("你好，世界 \x1b[31m[red]", "", 1),
        ("Why is the sky blue?", "qwen3-0.6b", 5),
    ]
    stored = library.read("0000000000000001")
    assert [message.text for message in MessageTree(stored.messages, stored.leaf).path()] == [
        "Why is the sky blue?",
        "Because air scatters blue light.",
        "And at dusk?",
    ]
    assert stored.messages[1].reasoning == "Rayleigh scattering"
    assert stored.messages[3].status is Status.INTERRUPTED
    assert (stored.created, stored.updated) == (1700000000.0, 1700000101.0)
    assert [tick.at_ms for tick in library.timeline("a000000000000002")] == [5, 700]
    assert library.draft("0000000000000002").whole == "half a thou'ght"
    assert library.draft(None).whole == "not sent"
    library.close()
    assert Library.open(tmp_path / "c.sqlite3").read("0000000000000001") == stored


def test_the_old_file_is_kept_as_a_backup(tmp_path: Path) -> None:
    path = released(tmp_path / "c.sqlite3", 1)
    Library.open(path).close()
    backup = last_backup(path)
    assert backup is not None
    with closing(sqlite3.connect(backup.path)) as connection:
        assert connection.execute("pragma user_version").fetchone() == (1,)
        assert connection.execute("select count(*) from messages").fetchone() == (6,)


def test_a_migration_that_breaks_off_changes_nothing(tmp_path: Path) -> None:
    path = released(tmp_path / "c.sqlite3", 1)
    before = path.read_bytes()
    with closing(sqlite3.connect(path)) as other:
        other.execute("begin")
        other.execute("select * from messages").fetchone()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("qwenchat.library.sqlite_file.BUSY_S", 0.05)
            library = Library.open(path)
            assert "not saved" in library.notice
            assert library.conversations()[0].messages == 1
    assert path.read_bytes() == before
    assert Library.open(path).notice == ""


def test_messages_whose_conversation_is_gone_get_one(tmp_path: Path) -> None:
    path = released(tmp_path / "c.sqlite3", 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("delete from conversations where id = '0000000000000002'")
        connection.commit()
    library = Library.open(path)
    assert library.notice == ""
    assert library.read("0000000000000002").messages[0].text.startswith("你好")


def test_a_newer_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table of_the_future (a)")
        connection.execute("pragma user_version=99")
    before = path.read_bytes()
    with pytest.raises(LibraryNewer):
        Library.open(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["c.sqlite3"]
