"""A backup each day, the last few kept, made behind the chat's back; damage is found; nothing good is lost."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from qwenchat.chat.errors import LibraryInUse, LibraryUnwritable
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.library import backup, database
from qwenchat.library.backup import KEPT, back_up, backups, is_due, is_sound, last_backup
from qwenchat.library.index import index_of
from qwenchat.library.library import Library
from qwenchat.library.maintenance import Maintenance
from qwenchat.library.restore import restore


def user(text: str) -> Message:
    return Message(Role.USER, (TextPart(text),))


def looked_after(path: Path) -> None:
    """What a start of the chat does, until it is done for now."""
    upkeep = Maintenance(path, 0)
    assert upkeep.wait(20)
    upkeep.close()


def on(day: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda form, *rest: f"2026-01-{day:02}" if form == "%Y-%m-%d" else "now")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    library = Library.open(tmp_path / "c.sqlite3")
    library.save("a", user("first"))
    library.close()
    return tmp_path / "c.sqlite3"


def titles(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("select title from conversations order by title")]


def test_a_day_has_one_backup_and_the_last_few_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(1, KEPT + 3):
        on(day, monkeypatch)
        library = Library.open(path)
        library.save(f"c{day}", user(f"day {day}"))
        library.close()
        looked_after(path)
        made = backups(path)[0]
        looked_after(path)
        assert backups(path)[0] == made
        os.utime(made.path, (1_700_000_000 + day, 1_700_000_000 + day))
    kept = backups(path)
    assert [found.path.name for found in kept] == [f"c-2026-01-{day:02}.sqlite3" for day in range(KEPT + 2, 2, -1)]
    assert titles(kept[-1].path) == ["day 1", "day 2", "day 3", "first"]
    assert all(found.path.stat().st_mode & 0o777 == 0o600 for found in kept)
    assert len(list(kept[0].path.parent.iterdir())) == KEPT


def test_days_without_a_word_do_not_push_out_what_was_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(1, monkeypatch)
    looked_after(path)
    on(2, monkeypatch)
    looked_after(path)
    assert [found.path.name for found in backups(path)] == ["c-2026-01-01.sqlite3"]


def test_an_empty_library_is_not_backed_up(tmp_path: Path) -> None:
    Library.open(tmp_path / "c.sqlite3").close()
    looked_after(tmp_path / "c.sqlite3")
    assert backups(tmp_path / "c.sqlite3") == []


def test_a_backup_has_what_is_said_while_it_is_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "_STEP", 16)
    library = Library.open(path)
    for _ in range(100):
        library.save("a", user("x" * 9000))
    said = 0
    with closing(sqlite3.connect(path)) as connection:

        def say_more() -> bool:
            nonlocal said
            if said < 5:
                said += 1
                library.save(f"b{said}", user(f"during {said}"))
            return False

        assert back_up(connection, path, say_more)
    assert said == 5
    assert titles(backups(path)[0].path)[:5] == [f"during {at}" for at in range(1, 6)]


def test_one_that_is_broken_off_leaves_nothing_behind(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert not back_up(connection, path, lambda: True)
    assert list((path.parent / "backups").iterdir()) == []
    assert is_due(path)


def test_closing_breaks_a_backup_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def endless(connection: object, library: object, stop: object) -> bool:
        begun.set()
        while not stop():  # type: ignore[operator]
            time.sleep(0.001)
        return False

    monkeypatch.setattr("qwenchat.library.maintenance.back_up", endless)
    library = Library.open(path)
    library.look_after()
    assert begun.wait(10)
    library.save("a", user("second"))
    library.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "library upkeep"]


def test_damage_that_a_large_library_opens_with_is_found_and_no_good_backup_gives_way(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(1, monkeypatch)
    library = Library.open(path)
    for at in range(40):
        library.save(f"c{at}", user(f"{at} " * 2000))
    library.close()
    looked_after(path)
    (good,) = backups(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    on(2, monkeypatch)
    monkeypatch.setattr(database, "_EXAMINED_AT_ONCE", 0)
    library = Library.open(path)
    assert library.notice == ""
    library.close()
    looked_after(path)
    assert backups(path) == [good]
    library = Library.open(path)
    assert "set aside" in library.notice
    library.close()
    looked_after(path)
    restore(path)
    library = Library.open(path)
    assert library.notice == ""
    assert len(library.conversations()) == 41


def test_a_doubt_without_reason_is_forgotten(path: Path) -> None:
    database.doubt(path)
    library = Library.open(path)
    assert library.notice == ""
    assert not list(path.parent.glob("*.doubtful"))


def test_restoring_brings_the_backup_back_and_keeps_what_was_there(path: Path) -> None:
    looked_after(path)
    library = Library.open(path)
    library.save("b", user("second"))
    assert len(library.search("second")) == 1
    library.close()
    restored, aside = restore(path)
    assert restored == backups(path)[0].path
    assert aside is not None
    assert titles(aside) == ["first", "second"]
    library = Library.open(path)
    assert [row.title for row in library.conversations()] == ["first"]
    assert library.search("second") == []
    library.save("c", user("third second"))
    assert [hit.conversation for hit in library.search("second")] == ["c"]


def test_restoring_refuses_what_is_no_sound_backup(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(LibraryUnwritable, match="no backup"):
        restore(path)
    (tmp_path / "other").write_bytes(b"not a database" * 1000)
    with closing(sqlite3.connect(tmp_path / "foreign")) as connection:
        connection.execute("create table t (a)")
    for name in ("other", "foreign", "nowhere"):
        with pytest.raises(LibraryUnwritable, match=name):
            restore(path, tmp_path / name)
    assert path.read_bytes() == before


OPENED = """
import sys
from pathlib import Path
from qwenchat.library.library import Library
library = Library.open(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_restoring_refuses_while_another_program_has_the_library_open(path: Path) -> None:
    looked_after(path)
    before = path.read_bytes()
    command = [sys.executable, "-c", OPENED, str(path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"open\n"
    with pytest.raises(LibraryInUse, match=str(other.pid)):
        restore(path)
    assert path.read_bytes() == before
    other.communicate()
    restore(path)


def test_a_full_disk_keeps_the_library_and_the_older_backups(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(1, monkeypatch)
    looked_after(path)
    (good,) = backups(path)
    on(2, monkeypatch)
    library = Library.open(path)
    library.save("b", user("second"))
    library.close()

    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(backup, "_copy", full)
    looked_after(path)
    assert backups(path) == [good]
    assert len(list(good.path.parent.iterdir())) == 1
    assert len(Library.open(path).conversations()) == 2


def test_what_was_never_indexed_is_indexed_in_the_background(path: Path) -> None:
    assert not index_of(path).exists()
    looked_after(path)
    with closing(sqlite3.connect(index_of(path))) as index:
        assert index.execute("select count(*) from entries").fetchone() == (1,)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select count(*) from unsearched").fetchone() == (0,)


def test_search_works_while_the_library_is_looked_after(path: Path) -> None:
    library = Library.open(path)
    library.look_after()
    assert library._upkeep is not None
    assert library._upkeep.wait(20)
    assert not library.indexing
    library.save("b", user("second"))
    assert [hit.conversation for hit in library.search("second")] == ["b"]
    library.close()


def test_the_backup_is_sound_by_itself(path: Path) -> None:
    looked_after(path)
    found = last_backup(path)
    assert found is not None
    assert is_sound(found.path)
    assert not list(found.path.parent.glob("*-journal"))
    assert found.size == path.stat().st_size
