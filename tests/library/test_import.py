"""A conversation from elsewhere is taken in whole, or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from qwenchat.chat.errors import ConversationPresent, LibraryUnwritable
from qwenchat.chat.events import Channel
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart
from qwenchat.chat.provenance import FinishReason, ModelInfo, Provenance, ThinkingSupport, Timing, Usage
from qwenchat.chat.sampling import THINKING
from qwenchat.chat.timeline import Tick
from qwenchat.library.library import Conversation, Library

MODEL = ModelInfo("qwen3-0.6b", "r", "bf16", "cpu", 4096, ThinkingSupport.SWITCHED)
PROVENANCE = Provenance(MODEL, THINKING, True, Usage(1, 2, 3, 4), Timing(0.1, 0.2, 0.3, 4.0), FinishReason.STOP)
ASKED = Message(Role.USER, (TextPart("Why \x1b[31m?"),), None, "m1", 100.0)
REPLY = Message(
    Role.ASSISTANT, (ReasoningPart("hm", 3, 1.5), TextPart("So.")), "m1", "m2", 101.0, provenance=PROVENANCE
)
OTHER = Message(Role.ASSISTANT, (TextPart("Or so."),), "m1", "m3", 102.0, Status.STOPPED, "stopped")
GIVEN = Conversation("c1", "A title", 100.0, 200.5, (ASKED, REPLY, OTHER), "m2", "a draft", pinned=True, archived=True)
TICKS = {"m2": (Tick(5, Channel.THOUGHT, 2), Tick(900, Channel.ANSWER, 3))}


def test_everything_is_kept(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "c.sqlite3")
    assert library.import_conversation(GIVEN, TICKS) == "c1"
    library.close()
    library = Library.open(tmp_path / "c.sqlite3")
    assert library.read("c1") == GIVEN
    assert library.timeline("m2") == TICKS["m2"]
    assert library.conversations(archived=True)[0].model == "qwen3-0.6b"


def test_what_is_here_already_is_said_and_left_as_it_is() -> None:
    library = Library.in_memory()
    library.import_conversation(GIVEN, TICKS)
    library.rename("c1", "My own title")
    with pytest.raises(ConversationPresent, match="c1"):
        library.import_conversation(GIVEN, TICKS)
    assert library.read("c1").title == "My own title"
    assert len(library.conversations(archived=True)) == 1


def test_another_conversation_under_the_same_id_leaves_the_first_alone() -> None:
    library = Library.in_memory()
    library.import_conversation(GIVEN, TICKS)
    changed = replace(GIVEN, messages=(ASKED, replace(REPLY, parts=(TextPart("Changed."),))), leaf="m2")
    new = library.import_conversation(changed, TICKS)
    assert new != "c1"
    assert library.read("c1") == GIVEN
    stored = library.read(new)
    assert [message.text for message in stored.messages] == ["Why \x1b[31m?", "Changed."]
    assert stored.messages[1].parent == stored.messages[0].id != "m1"
    assert stored.leaf == stored.messages[1].id
    assert library.timeline(stored.messages[1].id) == TICKS["m2"]


def test_message_ids_of_another_conversation_are_never_taken_over() -> None:
    library = Library.in_memory()
    library.import_conversation(GIVEN, TICKS)
    assert library.import_conversation(replace(GIVEN, id="c2"), TICKS) == "c2"
    assert library.read("c1") == GIVEN
    assert [message.text for message in library.read("c2").messages] == [message.text for message in GIVEN.messages]


def test_a_deleted_conversation_can_be_imported_again_and_still_be_brought_back() -> None:
    library = Library.in_memory()
    library.import_conversation(GIVEN, TICKS)
    library.delete("c1")
    new = library.import_conversation(GIVEN, TICKS)
    library.undelete("c1")
    assert library.read("c1") == GIVEN
    assert len(library.read(new).messages) == 3


def test_what_is_hidden_stays_behind_and_the_rest_hangs_together() -> None:
    library = Library.in_memory()
    after = Message(Role.USER, (TextPart("Thanks."),), "m2", "m4", 103.0)
    given = replace(GIVEN, messages=(ASKED, REPLY, after), hidden=frozenset({"m2"}), leaf="m4")
    library.import_conversation(given)
    assert [(message.id, message.parent) for message in library.read("c1").messages] == [("m1", None), ("m4", "m1")]


def test_a_tree_that_makes_no_sense_is_read_as_far_as_it_does() -> None:
    library = Library.in_memory()
    loop = (replace(ASKED, parent="m2"), replace(REPLY, parent="m1"), replace(OTHER, parent="nowhere"), ASKED)
    library.import_conversation(replace(GIVEN, messages=loop, leaf="gone"))
    stored = library.read("c1")
    assert [(message.id, message.parent) for message in stored.messages] == [("m1", None), ("m2", "m1"), ("m3", None)]
    assert stored.leaf == "m3"


def test_a_reply_that_was_being_written_elsewhere_is_marked() -> None:
    library = Library.in_memory()
    library.import_conversation(replace(GIVEN, messages=(ASKED, replace(REPLY, status=Status.STREAMING))))
    assert library.read("c1").messages[1].status is Status.INTERRUPTED


def test_one_that_does_not_fit_the_disk_leaves_nothing() -> None:
    library = Library.in_memory()
    pages = library._connection.execute("pragma page_count").fetchone()[0]
    library._connection.execute(f"pragma max_page_count={pages}")
    with pytest.raises(LibraryUnwritable):
        library.import_conversation(replace(GIVEN, messages=(ASKED, replace(REPLY, parts=(TextPart("x" * 99_999),)))))
    assert library.conversations(archived=True) == []
