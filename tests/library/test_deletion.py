"""What is deleted is gone at once, can be brought back, and leaves the disk when the library closes."""

import sqlite3
import time
from pathlib import Path

import pytest

from qwenchat.chat.errors import ConversationNotFound
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.tree import MessageTree
from qwenchat.library.library import Library
from qwenchat.library.trash import KEPT_S


def said(text: str, parent: str | None = None, role: Role = Role.USER) -> Message:
    return Message(role, (TextPart(text),), parent)


def chain(library: Library, conversation: str, *texts: str) -> list[Message]:
    messages: list[Message] = []
    for text in texts:
        messages.append(said(text, messages[-1].id if messages else None))
        library.save(conversation, messages[-1])
    return messages


def raw(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.stem}*"))


def test_a_deleted_conversation_is_nowhere_and_comes_back_whole() -> None:
    library = Library.in_memory()
    messages = chain(library, "a", "one", "two")
    library.save_draft("a", "half")
    library.save("b", said("other"))
    library.delete("a")
    assert [row.id for row in library.conversations()] == ["b"]
    assert library.latest() == "b"
    for look in (library.read, library.resolve):
        with pytest.raises(ConversationNotFound):
            look("a")
    library.undelete("a")
    assert library.read("a").messages == tuple(messages)
    assert library.read("a").draft == "half"


def test_what_was_deleted_leaves_the_disk_when_the_library_closes(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    chain(library, "a", "Unmistakable")
    (kept, hidden) = chain(library, "b", "Lasting", "Secretive")
    library.save_draft("a", "Halfwritten")
    library.delete("a")
    library.hide([hidden.id])
    for word in (b"Unmistakable", b"Secretive", b"Halfwritten"):
        assert word in raw(path)
    library.close()
    for word in (b"Unmistakable", b"Secretive", b"Halfwritten"):
        assert word not in raw(path)
    library = Library.open(path)
    assert [row.id for row in library.conversations()] == ["b"]
    assert library.read("b").messages == (kept,)
    library.undelete("a")
    assert [row.id for row in library.conversations()] == ["b"]


def test_what_was_brought_back_stays(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    messages = chain(library, "a", "one", "two")
    library.delete("a")
    library.hide([messages[1].id])
    library.undelete("a")
    library.unhide([messages[1].id])
    library.close()
    assert Library.open(path).read("a").messages == tuple(messages)


def test_what_a_dead_program_deleted_is_kept_for_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.sqlite3"
    dead = Library.open(path)
    messages = chain(dead, "a", "one", "two")
    chain(dead, "b", "Unmistakable")
    dead.delete("b")
    dead.hide([messages[1].id])
    dead._connection.close()
    library = Library.open(path)
    assert library.read("a").hidden == {messages[1].id}
    library.close()
    assert b"Unmistakable" in raw(path)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + KEPT_S + 1)
    library = Library.open(path)
    library.undelete("b")
    assert [row.id for row in library.conversations()] == ["a"]
    assert library.read("a").messages == (messages[0],)
    assert b"Unmistakable" not in raw(path)


def test_another_instance_that_closes_takes_nothing_that_can_still_be_brought_back(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    messages = chain(library, "a", "one")
    library.delete("a")
    Library.open(path).close()
    library.undelete("a")
    assert library.read("a").messages == tuple(messages)


def test_hidden_messages_are_named_and_not_counted() -> None:
    library = Library.in_memory()
    first, second, third = chain(library, "a", "one", "two", "three")
    library.hide([second.id, third.id])
    library.unhide([third.id])
    assert library.read("a").hidden == {second.id}
    assert library.read("a").messages == (first, second, third)
    assert library.conversations()[0].messages == 2


def test_after_the_purge_what_is_left_hangs_together(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    first, second, third, fourth = chain(library, "a", "one", "two", "three", "four")
    branch = said("branch", second.id)
    library.save("a", branch)
    library.select("a", fourth.id)
    library.hide([second.id, third.id])
    library.close()
    stored = Library.open(path).read("a")
    assert stored.leaf == fourth.id
    tree = MessageTree(stored.messages, stored.leaf)
    assert [message.text for message in tree.path()] == ["one", "four"]
    assert tree.siblings(fourth.id) == (fourth.id, branch.id)
    assert first.id in tree


def test_the_branch_that_was_read_moves_up_when_its_end_is_purged(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    first, second, third = chain(library, "a", "one", "two", "three")
    library.hide([second.id, third.id])
    library.close()
    assert Library.open(path).read("a").leaf == first.id


def test_a_conversation_whose_every_message_was_purged_is_gone_unless_a_draft_stands_in_it(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    for name in ("a", "b"):
        library.hide(message.id for message in chain(library, name, "one", "two"))
    library.save_draft("b", "half")
    library.close()
    library = Library.open(path)
    assert [(row.id, row.messages) for row in library.conversations()] == [("b", 0)]
    assert library.read("b").draft == "half"
    assert library.read("b").leaf is None


def test_a_reply_to_what_another_instance_purged_is_kept_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    writer, other = Library.open(path), Library.open(path)
    (asked,) = chain(writer, "a", "one")
    other.delete("a")
    other.close()
    reply = said("the reply", asked.id, Role.ASSISTANT)
    writer.save("a", reply)
    stored = writer.read("a")
    assert [message.text for message in MessageTree(stored.messages, stored.leaf).path()] == ["the reply"]


def test_deleting_what_is_not_there_does_nothing() -> None:
    library = Library.in_memory()
    messages = chain(library, "a", "one")
    library.delete("nowhere")
    library.hide(["nothing"])
    assert library.read("a").messages == tuple(messages)


def test_a_full_disk_does_not_keep_the_program_from_closing(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    chain(library, "a", "one")
    library.delete("a")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin exclusive")
    library._connection.execute("pragma busy_timeout=0")
    library.close()
    other.execute("rollback")
    assert library.notice == ""
