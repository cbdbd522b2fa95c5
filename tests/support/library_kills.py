"""What a program does with its library when it is killed, each in a process of its own, and what must hold after it.

An activity says each thing that is saved by a line in a file, once the program was told that it is.
"""

import json
import os
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.messages import Message, Role, Status, TextPart
from qwenchat.engine.worker import Worker
from qwenchat.library.backup import back_up, backups, is_sound
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange.importer import Importer
from qwenchat.library.exchange.parsed import ParsedConversation
from qwenchat.library.index import index_of
from qwenchat.library.library import Library
from qwenchat.library.maintenance import Maintenance
from qwenchat.library.replacing import is_interrupted
from qwenchat.library.restore import restore
from qwenchat.session.session import Session
from tests.support.fake_engine import FakeEngine, Script

NAME = "c.sqlite3"
DATA = Path(__file__).parent.parent / "data"
SAID = "said"
PROMPTS = 300


def user(text: str, parent: str | None = None) -> Message:
    return Message(Role.USER, (TextPart(text),), parent)


def say(folder: Path, text: str) -> None:
    """Note that something was done, also for who looks after a kill."""
    with (folder / SAID).open("ab", buffering=0) as file:
        file.write(f"{text}\n".encode())


def said(folder: Path) -> list[str]:
    file = folder / SAID
    return file.read_text().split("\n")[:-1] if file.exists() else []


def texts(library: Library) -> dict[str, list[str]]:
    """The text of every message, by conversation."""
    return {row.id: [message.text for message in library.read(row.id).messages] for row in library.conversations()}


# Sending, streaming, editing, deleting


def chat(folder: Path) -> None:
    """A chat in which messages are sent, answered, changed, deleted and brought back, while it is searched."""
    library = Library.open(folder / NAME)
    library.look_after()
    session = Session(Worker(lambda: FakeEngine([Script("word " * 40, delay_s=0.001)])), library)
    session.model.load(LoadModel("any"))
    chance, at = random.Random(os.getpid()), 0
    while True:
        at += 1
        message = session.send(f"prompt {at}")
        say(folder, f"prompt {at}")
        until = time.monotonic() + chance.uniform(0, 0.05)
        while time.monotonic() < until:
            session.wait(0.005)
        session.stop()
        while session.busy:
            session.wait(0.005)
        match at % 4:
            case 0:
                session.edit(message.id, f"changed {at}")
                say(folder, f"changed {at}")
                session.stop()
                while session.busy:
                    session.wait(0.005)
            case 1:
                session.conversation.delete(message.id)
                session.conversation.undo_delete()
            case 2:
                session.conversation.delete_branch(message.id)
            case 3:
                library.search("prompt")


def check_chat(folder: Path) -> None:
    library = opened(folder)
    there = {text for found in texts(library).values() for text in found}
    assert set(said(folder)) <= there
    for row in library.conversations():
        messages = library.read(row.id).messages
        assert not [message for message in messages if message.status is Status.STREAMING]
        for message in messages:
            assert message.role is Role.USER or message.text == ("word " * 40)[: len(message.text)]
    hits = [hit for hit in library.search("prompt", limit=10_000) if hit.role == "user"]
    hidden = {id_ for row in library.conversations() for id_ in library.read(row.id).hidden}
    asked = [m for row in library.conversations() for m in library.read(row.id).messages if m.text[:7] == "prompt "]
    assert {hit.message for hit in hits} == {message.id for message in asked} - hidden
    library.close()


# Importing


def imported(at: int) -> Conversation:
    """A conversation that is the same whenever it is asked for."""
    parts = [(TextPart(f"i{at} m{number} " + "word " * 50),) for number in range(20)]
    ids = [f"i{at}m{number}" for number in range(20)]
    messages = tuple(Message(Role.USER, *row, created=1.0) for row in zip(parts, (None, *ids), ids, strict=False))
    return Conversation(f"i{at}", "", 1.0, 2.0, messages, ids[-1], f"draft {at}")


def take_in(folder: Path) -> None:
    """Conversations that come in one after the other."""
    importer = Importer(Library.open(folder / NAME))
    for at in range(10_000):
        importer.take(ParsedConversation(imported(at)))
        say(folder, f"i{at}")


def check_import(folder: Path) -> None:
    library = opened(folder)
    there = texts(library)
    assert set(said(folder)) <= set(there)
    for at, id_ in enumerate(sorted(there, key=lambda id_: int(id_[1:]))):
        assert id_ == f"i{at}"
        assert len(there[id_]) == 20
        assert library.draft(id_).whole == f"draft {at}"
    importer = Importer(library)
    for at in range(len(there) + 1):
        importer.take(ParsedConversation(imported(at)))
    assert len(texts(library)) == len(there) + 1
    library.close()


# Restoring, and taking over what is left of a damaged library


def with_backup(folder: Path) -> None:
    path = folder / NAME
    library = Library.open(path)
    library.save_all("old", [user(f"old {at} " + "word " * 300) for at in range(200)])
    library.close()
    upkeep = Maintenance(path, 0)
    assert upkeep.wait(60)
    upkeep.close()
    library = Library.open(path)
    library.save("new", user("after the backup"))
    library.search("word")
    library.close()


def restore_again(folder: Path) -> None:
    """A backup that is put in place over and over."""
    while True:
        restore(folder / NAME)
        say(folder, "restored")


def check_restore(folder: Path) -> None:
    path = folder / NAME
    interrupted = is_interrupted(path)
    library = Library.open(path)
    assert bool(library.notice) == interrupted, library.notice
    check_replaced(folder, library)
    assert set(texts(library)) in ({"old"}, {"old", "new"})
    assert "new" not in texts(library) or not said(folder)
    assert "new" in texts(library) or any("new" in texts(Library.open(file)) for file in set_aside(folder))
    library.close()


def with_damage(folder: Path) -> None:
    with_backup(folder)
    path = folder / NAME
    data = bytearray(path.read_bytes())
    data[8192:8292] = b"\xa5" * 100
    path.write_bytes(data)


def open_damaged(folder: Path) -> None:
    """A start with a damaged library."""
    Library.open(folder / NAME)
    say(folder, "open")
    time.sleep(60)


def check_rescue(folder: Path) -> None:
    library = Library.open(folder / NAME)
    assert bool(library.notice) == (not said(folder)) or len(list(folder.glob(f"{NAME}.corrupt-*"))) == 1
    check_replaced(folder, library)
    assert set(texts(library)) == {"old", "new"}
    assert len(texts(library)["old"]) == 200
    library.close()


def check_replaced(folder: Path, library: Library) -> None:
    assert not library.in_memory_only
    assert whole(library)
    for left in ("*.partial", "*.new"):
        assert list(folder.glob(left)) == []
    assert not is_interrupted(folder / NAME)


def set_aside(folder: Path) -> list[Path]:
    return [file for file in folder.glob(f"{NAME}.replaced-*") if not file.name.endswith(("-journal", "-wal", "-shm"))]


# Migrating


def of_the_first_version(folder: Path) -> None:
    with closing(sqlite3.connect(folder / NAME)) as connection:
        connection.executescript((DATA / "library_schema_1.sql").read_text())
        connection.execute("insert into conversations values ('many', '', 1, 1, null)")
        connection.executemany(
            "insert into messages values (?, 'many', null, 'user', '[]', 1, 'complete', '', null, null, null)",
            [(f"m{at}",) for at in range(20_000)],
        )
        connection.commit()


def open_library(folder: Path) -> None:
    """A start with a library of an older version."""
    Library.open(folder / NAME)
    time.sleep(60)


def check_migration(folder: Path) -> None:
    library = opened(folder)
    assert len(library.read("many").messages) == 20_000
    assert len(library.read("0000000000000001").messages) == 5
    assert all(is_sound(backup.path) for backup in backups(folder / NAME))
    assert list((folder / "backups").glob("*.partial*")) == []
    library.close()


# Indexing and backing up


def with_much(folder: Path) -> None:
    library = Library.open(folder / NAME)
    library.save_all("much", [user(f"said {at} " + "word " * 100) for at in range(1500)])
    library.close()


def index_again(folder: Path) -> None:
    """An index that is made, thrown away and made again."""
    while True:
        library = Library.open(folder / NAME)
        library.search("word")
        library.close()
        index_of(folder / NAME).unlink()


def check_index(folder: Path) -> None:
    library = opened(folder)
    assert len(library.search("said", limit=10_000)) == 1500
    library.close()


def back_up_again(folder: Path) -> None:
    """A backup that is made over and over."""
    with closing(sqlite3.connect(folder / NAME)) as connection:
        while True:
            back_up(connection, folder / NAME, lambda: False)


def check_backups(folder: Path) -> None:
    check_index(folder)
    assert all(is_sound(backup.path) for backup in backups(folder / NAME))
    assert list((folder / "backups").glob("*.partial*")) == []


# A batch


def with_prompts(folder: Path) -> None:
    lines = (json.dumps({"prompt": f"number {at}", "id": f"p{at}"}) for at in range(PROMPTS))
    (folder / "prompts.jsonl").write_text("\n".join(lines))


def answer_all(folder: Path) -> None:
    """`qwenchat ask --jsonl`."""
    from qwenchat.cli.main import cli

    os.environ["QWENCHAT_HOME"] = str(folder / "home")
    sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    engine = FakeEngine([Script("Paris.", delay_s=0.001)])
    with suppress(SystemExit):
        cli.main(["ask", "--jsonl", str(folder / "prompts.jsonl")], obj={"make_engine": lambda: engine})


def check_batch(folder: Path) -> None:
    ended = folder / "prompts.answers.jsonl"
    if not ended.exists():
        run(answer_all, folder, None)
    lines = [json.loads(line) for line in ended.read_text().splitlines()]
    assert [line["id"] for line in lines] == [f"p{at}" for at in range(PROMPTS)]
    assert all(line["answer"] == "Paris." for line in lines)
    assert sorted(file.name for file in folder.glob("prompts*")) == ["prompts.answers.jsonl", "prompts.jsonl"]


# The trials


def opened(folder: Path) -> Library:
    """The library, which opens without a word and is whole."""
    library = Library.open(folder / NAME)
    assert library.notice == ""
    assert whole(library)
    return library


def whole(library: Library) -> bool:
    (found,) = library._connection.execute("pragma integrity_check").fetchone()
    return bool(found == "ok")


@dataclass(frozen=True)
class Activity:
    """Something that a program is killed in."""

    name: str
    prepare: Callable[[Path], None] | None
    run: Callable[[Path], None]
    check: Callable[[Path], None]
    within_s: float
    """The kill comes at a moment up to then."""


ACTIVITIES = (
    Activity("sending, streaming, editing, deleting", None, chat, check_chat, 0.8),
    Activity("importing", None, take_in, check_import, 0.6),
    Activity("restoring", with_backup, restore_again, check_restore, 0.5),
    Activity("taking over a damaged library", with_damage, open_damaged, check_rescue, 0.3),
    Activity("migrating", of_the_first_version, open_library, check_migration, 0.6),
    Activity("indexing", with_much, index_again, check_index, 0.5),
    Activity("backing up", with_much, back_up_again, check_backups, 0.3),
    Activity("batch", with_prompts, answer_all, check_batch, 1.2),
)


def _begin(activity: Callable[[Path], None], folder: Path) -> None:
    activity(folder)


def run(activity: Callable[[Path], None], folder: Path, killed_after_s: float | None) -> None:
    """Run it in a process of its own, which is killed after so long if it has not ended."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_begin, args=(activity, folder))
    process.start()
    process.join(killed_after_s)
    assert process.exitcode == 0 or (killed_after_s is not None and process.exitcode is None), "it died by itself"
    process.kill()
    process.join()
    process.close()


def trial(activity: Activity, folder: Path, made: dict[str, Any], chance: random.Random) -> int:
    """Prepare, kill at some moment, and look at what is left; how much was said to be saved by then."""
    if activity.name not in made:
        made[activity.name] = whole_folder = folder / f"made {activity.name}"
        whole_folder.mkdir()
        if activity.prepare is not None:
            activity.prepare(whole_folder)
    place = folder / "trial"
    shutil.copytree(made[activity.name], place)
    run(activity.run, place, chance.uniform(0, activity.within_s))
    saved = len(said(place))
    activity.check(place)
    shutil.rmtree(place)
    return saved
