import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenchat.chat.errors import ConversationNotFound, LibraryNewer, LibraryUnwritable
from qwenchat.chat.events import Channel
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import FinishReason, ModelInfo, Provenance, ThinkingSupport, Timing, Usage
from qwenchat.chat.sampling import THINKING
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tree import MessageTree
from qwenchat.library.library import Library
from qwenchat.library.timeline import pack, unpack
from tests.support.unprivileged import unprivileged


def user(text: str, parent: str | None = None) -> Message:
    return Message(Role.USER, (TextPart(text),), parent)


def test_everything_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    asked = user("Why?\nsecond line")
    model = ModelInfo("m", "r", "bf16", "cpu", 4096, ThinkingSupport.SWITCHED)
    provenance = Provenance(model, THINKING, True, Usage(1, 2, 3, 4), Timing(0.1, 0.2, 0.3, 4.0), FinishReason.STOP)
    parts = (
        ReasoningPart("hm \x1b[31m[red]", 3, 1.5),
        TextPart("Because \U0001f600\x00."),
        ToolCallPart("1", "f", '{"a": 1}'),
        ToolResultPart("1", "f", "3", failed=True),
    )
    reply = Message(Role.ASSISTANT, parts, asked.id, provenance=provenance, note="n", status=Status.STOPPED)
    ticks = (Tick(5, Channel.THOUGHT, 3), Tick(700, Channel.ANSWER, 300))
    library = Library.open(tmp_path / "data" / "c.sqlite3")
    library.save("abc", asked)
    library.save("abc", reply, ticks)
    library.close()
    library = Library.open(tmp_path / "data" / "c.sqlite3")
    stored = library.read("abc")
    assert stored.messages == (asked, reply)
    assert stored.leaf == reply.id
    assert library.timeline(reply.id) == ticks
    (row,) = library.conversations()
    assert (row.id, row.title, row.model, row.messages) == ("abc", "Why? second line", "m", 2)
    library.close()


ticks = st.builds(Tick, st.integers(0, 10**7), st.sampled_from(Channel), st.integers(0, 10**5))


@given(st.lists(ticks))
def test_timeline_survives_packing(drawn: list[Tick]) -> None:
    ordered = sorted(drawn, key=lambda tick: tick.at_ms)
    assert list(unpack(pack(ordered))) == ordered


@given(st.text())
def test_any_text_can_be_saved(text: str) -> None:
    library = Library.in_memory()
    library.save("a", user(text + "\ud800"))
    assert library.read("a").messages[0].text == text + "\N{REPLACEMENT CHARACTER}"


def test_newest_conversation_comes_first_and_prefixes_find_it() -> None:
    library = Library.in_memory()
    for name in ("aa1", "aa2", "b"):
        library.save(name, user(name))
    library.save("aa1", user("again"))
    assert [row.id for row in library.conversations()] == ["aa1", "b", "aa2"]
    assert library.latest() == "aa1"
    assert library.resolve("b") == "b"
    with pytest.raises(ConversationNotFound, match=r"aa1, aa2|aa2, aa1"):
        library.resolve("aa")
    with pytest.raises(ConversationNotFound, match="zz"):
        library.resolve("zz")


def test_full_disk_is_said_and_what_was_saved_stays(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "c.sqlite3")
    library.save("a", user("first"))
    pages = library._connection.execute("pragma page_count").fetchone()[0]
    library._connection.execute(f"pragma max_page_count={pages}")
    with pytest.raises(LibraryUnwritable):
        library.save("a", user("x" * 100_000))
    library._connection.execute("pragma max_page_count=100000")
    library.save("a", user("y" * 100_000))
    assert [message.text[0] for message in library.read("a").messages] == ["f", "y"]


def test_unwritable_folder_gives_a_library_in_memory_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    library = Library.open(tmp_path / "file" / "c.sqlite3")
    assert "not saved" in library.notice
    library.save("a", user("works"))
    assert library.read("a").messages[0].text == "works"


@pytest.mark.parametrize("page", range(3))
def test_damaged_database_is_set_aside_never_deleted(tmp_path: Path, page: int) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    for at in range(20):
        library.save("a", user(f"{at}" * 2000))
    library.close()
    data = bytearray(path.read_bytes())
    data[page * 4096 : page * 4096 + 200] = os.urandom(200)
    path.write_bytes(data)
    library = Library.open(path)
    (aside,) = tmp_path.glob("c.sqlite3.corrupt-*")
    assert aside.read_bytes() == data
    assert aside.name in library.notice
    library.save("b", user("goes on"))


def test_newer_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version=99")
    before = path.read_bytes()
    with pytest.raises(LibraryNewer):
        Library.open(path)
    assert path.read_bytes() == before


WRITER = """
import sys, time
from pathlib import Path
from qwenchat.chat.messages import *
from qwenchat.library.library import Library
library = Library.open(Path(sys.argv[1]))
asked = Message(Role.USER, (TextPart("prompt"),))
library.save("a", asked)
reply = Message(Role.ASSISTANT, (), asked.id, status=Status.STREAMING)
text = ""
print("ready", flush=True)
while True:
    text += "word " * 50
    time.sleep(0.003)  # so that others come to their turn
    library.save("a", Message(Role.ASSISTANT, (TextPart(text),), asked.id, reply.id, status=Status.STREAMING))
"""


@pytest.mark.parametrize("delay", [0.01, 0.05, 0.1, 0.2, 0.35])
def test_partial_reply_survives_kill_and_is_marked(tmp_path: Path, delay: float) -> None:
    path = tmp_path / "c.sqlite3"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    other = Library.open(path)
    assert all(message.status is not Status.INTERRUPTED for message in other.read("a").messages)
    other.close()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    library = Library.open(path)
    assert library.notice == ""
    assert library._connection.execute("pragma integrity_check").fetchone()[0] == "ok"
    asked, *replies = library.read("a").messages
    assert asked.text == "prompt"
    for reply in replies:
        assert reply.status is Status.INTERRUPTED
        assert reply.text == "word " * 50 * (len(reply.text) // 250)


def locks(path: Path) -> list[str]:
    return [file.name for file in (path.parent / "writers").glob("*")]


def test_who_only_reads_or_asks_leaves_no_lock_file(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save("a", user("asked"))
    assert locks(path) == []
    library.save("a", Message(Role.ASSISTANT, (), status=Status.STREAMING))
    assert len(locks(path)) == 1
    library.close()
    assert locks(path) == []


def test_lock_files_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while not locks(path):
        assert process.poll() is None
        time.sleep(0.01)
    Library.open(path).close()
    assert len(locks(path)) == 1
    process.kill()
    process.wait()
    process.stdout.close()
    (path.parent / "writers" / "0123456789abcdef.lock").touch()
    Library.open(path).close()
    assert locks(path) == []


def test_several_messages_are_saved_together_or_not_at_all() -> None:
    library = Library.in_memory()
    library._connection.execute(
        f"pragma max_page_count={library._connection.execute('pragma page_count').fetchone()[0]}"
    )
    with pytest.raises(LibraryUnwritable):
        library.save_all("a", (user("small"), user("x" * 100_000)))
    assert library.conversations() == []


def test_a_clock_that_goes_backwards_does_not_put_children_before_parents() -> None:
    library = Library.in_memory()
    asked = Message(Role.USER, (TextPart("a"),), created=100.0)
    library.save("a", asked)
    library.save("a", Message(Role.ASSISTANT, (TextPart("b"),), asked.id, created=50.0))
    stored = library.read("a")
    assert [message.text for message in MessageTree(stored.messages, stored.leaf).path()] == ["a", "b"]


@pytest.mark.parametrize(
    "damage",
    [
        "update messages set parts = 'no json'",
        "update messages set parts = '[1, 2]'",
        "update messages set role = 'nobody'",
        "update messages set status = ''",
        "update messages set provenance = '{'",
    ],
)
def test_a_row_that_makes_no_sense_costs_no_other_message_of_its_conversation(damage: str) -> None:
    library = Library.in_memory()
    library.save("good", user("good"))
    library.save_all("bad", [first := user("first"), second := user("bad", first.id), user("third", second.id)])
    library._connection.execute(f"{damage} where id = '{second.id}'")
    assert [row.id for row in library.conversations()] == ["bad", "good"]
    stored = library.read("bad")
    texts = [message.text for message in MessageTree(stored.messages, stored.leaf).path()]
    assert (texts[0], texts[2]) == ("first", "third")
    assert texts[1] in ("bad", "no json", "[1, 2]")
    assert library.read("good").messages[0].text == "good"


def test_a_database_without_its_tables_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library._connection.execute("drop table messages")
    library.close()
    library = Library.open(path)
    assert "set aside" in library.notice
    library.save("a", user("goes on"))


READ_ONLY = """
import sys
from pathlib import Path
path = Path(sys.argv[1])
from qwenchat.chat.messages import *
from qwenchat.library.library import Library
library = Library.open(path)
print(library.notice)
library.save("b", Message(Role.USER, (TextPart("new"),)))
print([row.id for row in library.conversations()], library.read("a").messages[0].text)
"""


def test_in_a_read_only_home_old_conversations_can_be_read_and_new_ones_live_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "data" / "c.sqlite3"
    library = Library.open(path)
    library.save("a", user("old"))
    library.close()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    before = path.read_bytes()
    command = unprivileged([sys.executable, "-c", READ_ONLY, str(path)])
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    notice, listed = ran.stdout.splitlines()
    assert "not saved" in notice
    assert "data" in notice
    assert listed == "['b', 'a'] old"
    assert path.read_bytes() == before
    path.parent.chmod(0o755)


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(200))
def test_partial_reply_survives_a_kill_at_any_moment(tmp_path: Path, trial: int) -> None:
    test_partial_reply_survives_kill_and_is_marked(tmp_path, random.Random(trial).uniform(0, 0.3))


MEETING = """
import sys, time
from pathlib import Path
from qwenchat.chat.messages import *
from qwenchat.library.library import Library
path, name = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
library = Library.open(path)
assert library.notice == "", library.notice
for at in range(10):
    library.save(name, Message(Role.USER, (TextPart(f"{name} {at}"),)))
library.close()
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEETING, str(path), f"p{at}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for at in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 8
    library = Library.open(path)
    assert library.notice == ""
    assert {row.id: row.messages for row in library.conversations()} == {f"p{at}": 10 for at in range(8)}
