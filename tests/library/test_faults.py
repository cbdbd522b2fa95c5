"""Damage, full disks, hostile files: nothing crashes, nothing that was there is harmed, what can be read is read."""

import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat.errors import LibraryError, LibraryUnwritable, QwenchatError
from qwenchat.chat.messages import Message, Role, Status, TextPart
from qwenchat.chat.tree import MessageTree
from qwenchat.library import database
from qwenchat.library.conversation import Conversation
from qwenchat.library.database import transaction
from qwenchat.library.library import Library
from qwenchat.library.migrations import MIGRATIONS
from qwenchat.library.timeline import unpack

DATA = Path(__file__).parents[1] / "data"


def user(text: str, parent: str | None = None) -> Message:
    return Message(Role.USER, (TextPart(text),), parent)


def filled(path: Path) -> Path:
    """A library of every kind of row, of some 40 pages."""
    library = Library.open(path)
    for at in range(12):
        messages: list[Message] = []
        for turn in range(4):
            messages.append(user(f"c{at} t{turn} " + f"word{turn} " * 200, messages[-1].id if messages else None))
        library.save_all(f"c{at}", messages)
        library.save_draft(f"c{at}", f"draft {at}")
    library.pin("c1", True)
    library.archive("c2", True)
    library.search("word1")
    library.close()
    return path


def use(library: Library) -> None:
    """All that reads and writes; errors have names."""

    def allowed(action: Callable[[], object]) -> None:
        with suppress(QwenchatError):
            action()

    for archived in (False, True):
        allowed(lambda archived=archived: library.conversations(archived=archived))  # type: ignore[misc]
    for at in range(12):
        allowed(lambda at=at: library.read(f"c{at}"))  # type: ignore[misc]
    for action in (
        lambda: library.search("word1"),
        lambda: library.resolve("c"),
        library.latest,
        lambda: library.save("c1", user("new")),
        lambda: library.rename("c1", "title"),
        lambda: library.rename("c1", ""),
        lambda: library.hide([message.id for message in library.read("c3").messages[1:2]]),
        lambda: library.delete("c4"),
    ):
        allowed(action)


# Damage


@pytest.mark.parametrize("examined", [True, False])
def test_damage_of_any_page_never_crashes_and_never_loses_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examined: bool
) -> None:
    if not examined:
        monkeypatch.setattr(database, "_EXAMINED_AT_ONCE", 0)
    whole = filled(tmp_path / "whole" / "c.sqlite3").read_bytes()
    chance = random.Random(7)
    pages = len(whole) // 4096
    assert pages > 20
    for page in range(pages):
        data = bytearray(whole)
        start = page * 4096 + chance.choice((0, 0, 8, 100, 2000))
        data[start : start + 64] = chance.randbytes(64)
        path = tmp_path / f"{page}" / "c.sqlite3"
        path.parent.mkdir()
        path.write_bytes(data)
        library = Library.open(path)
        asides = list(path.parent.glob("c.sqlite3.corrupt-*"))
        if asides:
            assert asides[0].read_bytes() == data
            assert asides[0].name in library.notice
        use(library)
        library.close()
        Library.open(path).close()


def test_a_file_cut_off_anywhere_never_crashes_and_is_kept(tmp_path: Path) -> None:
    whole = filled(tmp_path / "whole" / "c.sqlite3").read_bytes()
    for length in (
        0,
        1,
        15,
        16,
        99,
        100,
        101,
        4095,
        4096,
        4097,
        20_000,
        len(whole) // 2,
        len(whole) - 4096,
        len(whole) - 1,
    ):
        path = tmp_path / f"{length}" / "c.sqlite3"
        path.parent.mkdir()
        path.write_bytes(whole[:length])
        library = Library.open(path)
        if length > 1 and not (len(whole) - length < 4096 and not library.notice):
            (aside,) = path.parent.glob("c.sqlite3.corrupt-*")
            assert aside.read_bytes() == whole[:length]
        use(library)
        library.close()


def test_a_foreign_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        for table in ("conversations", "messages", "drafts"):
            connection.execute(f"create table {table} (id)")
        connection.execute("pragma user_version=2")
    before = path.read_bytes()
    library = Library.open(path)
    (aside,) = tmp_path.glob("c.sqlite3.corrupt-*")
    assert aside.read_bytes() == before
    assert aside.name in library.notice
    use(library)


# The disk


def test_a_disk_that_fills_up_at_any_page_leaves_old_or_new_never_a_mixture(tmp_path: Path) -> None:
    path = filled(tmp_path / "c.sqlite3")
    library = Library.open(path)
    pages = library._connection.execute("pragma page_count").fetchone()[0]
    library._connection.execute("drop index messages_said")  # so that pages come free, and a little fits
    long = user("y" * 60_000)
    refused = 0
    for room in range(0, 24, 2):
        library._connection.execute(f"pragma max_page_count={pages + room}")
        before = {row.id: library.read(row.id).messages for row in library.conversations()}
        name = f"new{room}"
        try:
            library.import_conversation(Conversation(name, "t", 1.0, 2.0, (long,), long.id, "d"))
        except LibraryUnwritable as error:
            refused += 1
            assert "full" in str(error)
            assert {row.id: library.read(row.id).messages for row in library.conversations()} == before
            assert library.draft(name).whole == ""
        else:
            assert library.read(name).messages[0].text == "y" * 60_000
            assert library.draft(name).whole == "d"
        assert library._connection.execute("pragma integrity_check").fetchone()[0] == "ok"
    assert 0 < refused < 12


def test_a_disk_too_full_for_the_migration_shows_what_is_there_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA / "library_schema_1.sql").read_text())
    before = path.read_bytes()
    limit = (
        "import resource, signal, sys; from pathlib import Path; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before)}, {len(before)}));"
        "from qwenchat.library.library import Library; library = Library.open(Path(sys.argv[1]));"
        "print('not saved' in library.notice, len(library.conversations())); library.close()"
    )
    ran = subprocess.run([sys.executable, "-c", limit, str(path)], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == ("True 2\n", 0), ran.stderr
    assert path.read_bytes() == before
    assert Library.open(path).notice == ""


FILES_END = """
import resource, signal, sys
from pathlib import Path
from qwenchat.chat.errors import LibraryUnwritable
from qwenchat.chat.messages import *
from qwenchat.library.library import Library
path = Path(sys.argv[1])
library = Library.open(path)
library.save("a", Message(Role.USER, (TextPart("before"),)))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, resource.RLIM_INFINITY))
try:
    library.save("a", Message(Role.USER, (TextPart("x" * 500_000),)))
except LibraryUnwritable as error:
    print("refused")
print(len(library.search("before")), library.read("a").messages[0].text)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
library.save("a", Message(Role.USER, (TextPart("after"),)))
print(len(library.search("after")))
library.close()
"""


def test_a_write_that_the_system_refuses_is_said_and_the_next_one_works(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    ran = subprocess.run([sys.executable, "-c", FILES_END, str(path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0] == "refused"
    assert ran.stdout.splitlines()[-1] == "1"
    library = Library.open(path)
    assert [message.text for message in library.read("a").messages] == ["before", "after"]
    assert library._connection.execute("pragma integrity_check").fetchone()[0] == "ok"


# Kills


BUSY = """
import sys
from pathlib import Path
from qwenchat.chat.messages import *
from qwenchat.library.library import Library
library = Library.open(Path(sys.argv[1]))
library.look_after()
print("ready", flush=True)
at = 0
while True:
    at += 1
    asked = Message(Role.USER, (TextPart(f"prompt {at} " + "word " * 400),))
    library.save("kept", asked)
    print(at, flush=True)
    reply = Message(Role.ASSISTANT, (TextPart("partial"),), asked.id, status=Status.STREAMING)
    library.save("kept", reply)
    library.hide([reply.id])
    library.save(f"passing{at}", Message(Role.USER, (TextPart("passing " * 300),)))
    library.delete(f"passing{at}")
    library.search("prompt word")
    library._purge(own=True)
    library.save_draft(None, f"draft {at}")
"""


def killed_while_busy(path: Path, delay: float) -> int:
    """Kill a program that saves, searches, hides and purges; the number of prompts that it said were saved."""
    with subprocess.Popen([sys.executable, "-c", BUSY, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split("\n")[:-1]
    return int(said[-1]) if said else 0


def check_after_kill(path: Path, said: int) -> None:
    library = Library.open(path)
    assert library.notice == ""
    assert library._connection.execute("pragma integrity_check").fetchone()[0] == "ok"
    prompts = [] if said == 0 else [m.text.split()[1] for m in library.read("kept").messages if m.role is Role.USER]
    assert prompts in ([str(at + 1) for at in range(said)], [str(at + 1) for at in range(said + 1)])
    assert len(library.search("prompt", limit=10_000)) == len(prompts) or not prompts
    assert len([row for row in library.conversations() if row.id != "kept"]) <= 1
    library.close()


@pytest.mark.parametrize("delay", [0.02, 0.15, 0.4])
def test_a_kill_while_everything_is_going_on_loses_nothing(tmp_path: Path, delay: float) -> None:
    path = tmp_path / "c.sqlite3"
    check_after_kill(path, killed_while_busy(path, delay))


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(60))
def test_a_kill_at_any_moment_while_everything_is_going_on_loses_nothing(tmp_path: Path, trial: int) -> None:
    path = tmp_path / "c.sqlite3"
    check_after_kill(path, killed_while_busy(path, random.Random(trial).uniform(0, 0.6)))


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(40))
def test_a_kill_while_the_schema_changes_leaves_the_old_or_the_new_one(tmp_path: Path, trial: int) -> None:
    path = tmp_path / "c.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA / "library_schema_1.sql").read_text())
        connection.execute("insert into conversations values ('many', '', 1, 1, null)")
        connection.executemany(
            "insert into messages values (?, 'many', null, 'user', '[]', 1, 'complete', '', null, null, null)",
            [(f"m{at}",) for at in range(20_000)],
        )
        connection.commit()
    command = "import sys; from pathlib import Path; from qwenchat.library.library import Library; print(1, flush=True)"
    command += "; Library.open(Path(sys.argv[1]))"
    with subprocess.Popen([sys.executable, "-c", command, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.Random(trial).uniform(0, 0.35))
        process.kill()
    library = Library.open(path)
    assert library.notice == ""
    assert len(library.read("many").messages) == 20_000
    assert len(library.read("0000000000000001").messages) == 5
    assert library._connection.execute("pragma integrity_check").fetchone()[0] == "ok"


# Several programs


MEETING = """
import sys
from pathlib import Path
from qwenchat.chat.messages import *
from qwenchat.library.library import Library
path, name = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
library = Library.open(path)
library.look_after()
assert library.notice == "", library.notice
for at in range(6):
    library.save(name, Message(Role.USER, (TextPart(f"{name} common{at}"),)))
    found = []
    while not found:  # another one may be writing the index just now
        found = [hit for hit in library.search(f"{name} common{at}") if hit.conversation == name]
library.save(f"{name}-gone", Message(Role.USER, (TextPart("gone"),)))
library.delete(f"{name}-gone")
library.close()
"""


def test_programs_that_save_search_delete_and_look_after_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA / "library_schema_1.sql").read_text())
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEETING, str(path), f"p{at}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for at in range(8)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    said = [process.communicate(timeout=90)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, said
    library = Library.open(path)
    assert library.notice == ""
    assert {row.id: row.messages for row in library.conversations()} == {f"p{at}": 6 for at in range(8)} | {
        "0000000000000001": 5,
        "0000000000000002": 1,
    }
    assert len(library.search("common", limit=100)) == 48
    assert library._connection.execute("pragma integrity_check").fetchone()[0] == "ok"


# Hostile files


LOOSE = """
pragma user_version=2;
create table conversations (id, title, created, updated, leaf, pinned, archived, renamed, deleted, model, said);
create table messages (number integer primary key, id, conversation, parent, role, parts, created, status, note,
  provenance, timeline, writer, hidden);
create table drafts (conversation text primary key, text);
create table unsearched (change integer primary key, message);
"""
OWN = ";".join(MIGRATIONS) + f"; pragma user_version={len(MIGRATIONS)}; pragma foreign_keys=off"
GOOD = '[{"kind":"text","text":"good"}]'


class Rough(sqlite3.Connection):
    """Leaves out rows that a schema does not allow."""

    def execute(self, *args: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*args)
        except sqlite3.IntegrityError:
            return self.cursor()


def hostile(path: Path, schema: str = LOOSE) -> Path:
    """A file that looks like a library and keeps no promise."""
    with closing(sqlite3.connect(path, factory=Rough)) as connection:
        connection.executescript(schema)
        titles = [
            "\x1b]0;owned\x07\x1b[31m",
            "[red]x[/",
            b"\xff\xfe bytes",
            7,
            None,
            1.5,
            "\u202eevil",
            "x" * 3_000_000,
        ]
        dates = [1e300, -1e300, "yesterday", None, b"\0", 10**18, -5, 0.0]
        for at, (title, date) in enumerate(zip(titles, dates, strict=True)):
            connection.execute(
                "insert into conversations values (?, ?, ?, ?, ?, 0, 0, 0, null, ?, 'many')",
                (f"h{at}", title, date, date, b"leaf", title),
            )
            connection.execute(
                "insert into messages (id, conversation, role, parts, created, status, note) values"
                " (?, ?, 'user', ?, ?, 'complete', ?)",
                (f"m{at}", f"h{at}", GOOD, date, title),
            )
        for id_ in (None, b"blob", 12, "h0"):
            connection.execute(
                "insert into conversations (id, title, archived, pinned) values (?, 'odd', 0, 'yes')", (id_,)
            )
        for id_, parent in [("a", "b"), ("b", "a"), ("self", "self"), ("a", None), (None, 5)]:
            connection.execute(
                "insert into messages (id, conversation, parent, role, parts, created, status, note)"
                " values (?, 'loop', ?, 'assistant', ?, 1, 'complete', '')",
                (id_, parent, GOOD),
            )
        connection.execute("insert into conversations values ('loop', 'loop', 1, 1, 'b', 0, 0, 0, null, '', 1)")
        bad = ["[" * 100_000, '{"kind":"text"}', '[{"kind":[1]}]', '[{"kind":"text","text":5}]', None, 3, b"\xff", ""]
        for at, parts in enumerate(bad):
            connection.execute(
                "insert into conversations values (?, 'bad', 1, 1, null, 0, 0, 0, 'x', '', 0)", (f"b{at}",)
            )
            connection.execute("update conversations set deleted = null where id = ?", (f"b{at}",))
            connection.execute(
                "insert into messages (id, conversation, role, parts, created, status, note, provenance, timeline,"
                " hidden) values (?, ?, 'user', ?, 1, 'complete', '', ?, ?, ?)",
                (f"bad{at}", f"b{at}", parts, "[" * 50_000, b"\xff" * 100, "when?" if at % 2 else None),
            )
        connection.execute("insert into messages (id, conversation, parts, role) values ('gone', 'nowhere', 1, 2)")
        connection.execute("insert into unsearched (message) values ('x'), (null), (99999), (-1)")
        connection.execute("insert into drafts values ('h0', ?), ('h1', 5)", (b"\xff\x1b[31m",))
        connection.commit()
    return path


@pytest.mark.parametrize("schema", [LOOSE, OWN], ids=["loose", "own"])
def test_a_hostile_file_is_read_as_far_as_it_makes_sense(tmp_path: Path, schema: str) -> None:
    library = Library.open(hostile(tmp_path / "c.sqlite3", schema))
    assert ("set aside" in library.notice) == (schema == LOOSE)
    rows = library.conversations()
    kept = [at for at in range(8) if schema == LOOSE or at not in (3, 4)]  # the schema has no row without a date
    assert {f"h{at}" for at in kept} | {"loop"} <= {row.id for row in rows}
    for row in rows:
        assert isinstance(row.title, str)
        assert len(row.title) <= 1000
        time.localtime(row.updated)
        time.localtime(row.created)
    for at in kept:
        stored = library.read(f"h{at}")
        assert stored.messages[0].text == "good"
        time.localtime(stored.messages[0].created)
    stored = library.read("loop")
    assert {message.id for message in stored.messages} >= {"a", "b", "self"}
    assert MessageTree(stored.messages, stored.leaf).path()
    read = ["".join(m.text for m in library.read(f"b{at}").messages) for at in range(8)]
    assert read[4] == ""
    assert read[0] == "[" * 100_000
    assert read[1:4] == ['{"kind":"text"}', '[{"kind":[1]}]', '[{"kind":"text","text":5}]']
    assert read[5:] == ["3", "\ufffd", ""]
    for message in ("bad0", "m0"):
        with suppress(LibraryError):
            library.timeline(message)
    assert {hit.conversation for hit in library.search("good", limit=100)} >= {f"h{at}" for at in kept}
    assert library.draft("h0").whole == "\ufffd\x1b[31m" or schema == LOOSE


def test_using_a_hostile_file_raises_nothing_without_a_name_and_deletes_nothing(tmp_path: Path) -> None:
    path = hostile(tmp_path / "c.sqlite3")
    library = Library.open(path)
    for name in ("h0", "loop", "b0", "b3"):
        for action in (
            lambda name=name: library.save(name, user("more")),
            lambda name=name: library.rename(name, ""),
            lambda name=name: library.pin(name, True),
            lambda name=name: library.resolve(name),
            lambda name=name: library.hide(["a", "self", "m0"]),
            lambda name=name: library.unhide(["a", "self", "m0"]),
            lambda name=name: library.select(name, "b"),
            lambda name=name: library.save_draft(name, "x"),
            library.latest,
        ):
            with suppress(QwenchatError):
                action()
    library.close()
    with closing(sqlite3.connect(path)) as connection:
        good = "select count(*) from messages where cast(parts as text) = ?"
        assert connection.execute(good, (GOOD,)).fetchone()[0] >= 12
        assert connection.execute("select count(*) from conversations").fetchone()[0] >= 18


def test_purging_in_a_tree_with_cycles_ends(tmp_path: Path) -> None:
    path = hostile(tmp_path / "c.sqlite3")
    library = Library.open(path)
    library.hide(["a", "b", "self"])
    library.close()
    library = Library.open(path)
    with suppress(LibraryError):
        library.read("loop")


def test_fifty_megabytes_in_one_message_are_saved_found_and_read(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "c.sqlite3")
    library.save("a", user("needle " + "hay " * 12_500_000))
    library.save("b", user("small"))
    assert len(library.conversations()) == 2
    (hit,) = library.search("needle")
    assert sum(len(piece.text) for piece in hit.excerpt) < 300
    assert len(library.read("a").messages[0].text) > 50_000_000


def test_a_value_too_long_to_hold_is_an_error_for_that_conversation_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save("huge", user("x"))
    library.save("small", user("y"))
    library.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update messages set parts = zeroblob(2000000) where conversation = 'huge'")
        connection.commit()
    monkeypatch.setattr(database, "_LONGEST", 1_000_000)
    library = Library.open(path)
    assert len(library.conversations()) == 2
    with pytest.raises(LibraryError):
        library.read("huge")
    assert library.read("small").messages[0].text == "y"
    assert [hit.conversation for hit in library.search('"y"')] == ["small"]
    with pytest.raises(LibraryUnwritable):
        library.save("small", user("z" * 1_100_000))
    assert len(library.read("small").messages) == 1


ENDLESS = zlib.compress(b"\xff" * 1_000_000)
CUT_OFF = zlib.compress(bytes(50_000_000))[:100]


@pytest.mark.parametrize(
    "packed",
    [b"", b"nonsense", ENDLESS, CUT_OFF, zlib.compress(b"\x01")],
    ids=["empty", "nonsense", "endless", "cut off", "short"],
)
def test_a_timeline_that_makes_no_sense_is_refused_at_once(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"timeline|argument"):
        unpack(packed)


def test_an_id_that_tries_to_be_more_is_only_an_id(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "c.sqlite3")
    name = "'; drop table messages; --"
    library.save(name, Message(Role.USER, (TextPart("x"),), id="\x1b[31m", status=Status.COMPLETE))
    library.pin(name, True)
    library.hide(["' or 1=1 --"])
    assert library.read(name).hidden == frozenset()
    assert library.resolve("';") == name
    assert [row.id for row in library.conversations()] == [name]


def test_an_error_that_says_nothing_of_itself_is_said_in_words(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "c.sqlite3")
    with pytest.raises(LibraryUnwritable, match="too little memory"), transaction(library._connection):
        raise MemoryError
    library.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_home_that_vanishes_while_it_is_open_is_said_and_can_still_be_exported(
    tmp_path: Path, replaced: bool
) -> None:
    home = tmp_path / "home"
    library = Library.open(home / "c.sqlite3")
    library.save("a", Message(Role.ASSISTANT, (TextPart("said"),), status=Status.STREAMING))
    shutil.rmtree(home)
    if replaced:
        home.touch()
    with pytest.raises(LibraryUnwritable, match=r"removed or moved away.*start qwenchat again"):
        library.save("a", Message(Role.USER, (TextPart("more"),)))
    assert library.read("a").messages[0].text == "said"
    library.close()
