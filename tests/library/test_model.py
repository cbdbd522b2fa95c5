"""Whatever is done to a library in whatever order, it holds what a plain model of it holds."""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qwenchat.chat.errors import ConversationNotFound
from qwenchat.chat.messages import Message, Role, Status, TextPart
from qwenchat.chat.title import title_after
from qwenchat.library.library import Library

WORDS = ("blue", "bluet", "Größe", "京都", "sky")
CONVERSATIONS = ("a", "b")
TYPED = ("blue", '"blue"', "blu sky", "größe", "京", "京都", "my", "nowhere")
somewhere = st.sampled_from(CONVERSATIONS)
said = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
pick = st.integers(0, 5)


@dataclass
class Stored:
    """A conversation of the model."""

    messages: dict[str, Message] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    title: str = ""
    renamed: bool = False
    pinned: bool = False
    archived: bool = False
    deleted: bool = False
    draft: str = ""
    changed: int = 0
    leaf: str | None = None

    def visible(self) -> list[Message]:
        return [message for message in self.messages.values() if message.id not in self.hidden]

    def ancestor(self, id_: str | None) -> str | None:
        while id_ in self.hidden:
            id_ = self.messages[str(id_)].parent
        return id_

    def purge(self) -> None:
        self.leaf = self.ancestor(self.leaf)
        self.messages = {
            id_: Message(m.role, m.parts, self.ancestor(m.parent), id_, m.created, m.status)
            for id_, m in self.messages.items()
            if id_ not in self.hidden
        }
        self.leaf = self.leaf or next(reversed(self.messages), None)
        self.hidden = set()


class LibraryModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.library = Library.open(self.folder / "c.sqlite3")
        self.model: dict[str, Stored] = {}
        self.clock = 0
        for name in CONVERSATIONS:
            for text in ("Hello", "blue sky", "京都 sky", "Größe"):
                self.save(name, text, 0, Role.USER)

    def teardown(self) -> None:
        if hasattr(self, "library"):
            self.library.close()
            shutil.rmtree(self.folder)

    def there(self) -> dict[str, Stored]:
        return {name: stored for name, stored in self.model.items() if not stored.deleted}

    def chosen(self, conversation: str, number: int) -> Message | None:
        messages = list(self.model[conversation].messages.values()) if conversation in self.model else []
        return messages[-1 - number % len(messages)] if messages else None

    @rule(conversation=somewhere, text=said, parent=pick, role=st.sampled_from((Role.USER, Role.ASSISTANT)))
    def save(self, conversation: str, text: str, parent: int, role: Role) -> None:
        before = self.chosen(conversation, parent)
        self.keep(conversation, Message(role, (TextPart(text),), before.id if before else None))

    @rule(conversation=somewhere, number=pick, text=said, status=st.sampled_from((Status.STOPPED, Status.COMPLETE)))
    def save_again(self, conversation: str, number: int, text: str, status: Status) -> None:
        if old := self.chosen(conversation, number):
            self.keep(conversation, Message(old.role, (TextPart(text),), old.parent, old.id, old.created, status))

    def keep(self, conversation: str, message: Message) -> None:
        self.library.save(conversation, message)
        stored = self.model.setdefault(conversation, Stored())
        stored.messages[message.id] = message
        stored.leaf = message.id
        self.clock += 1
        stored.changed = self.clock
        if message.role is Role.USER and not stored.renamed:
            stored.title = title_after(stored.title, message.text)

    @rule(conversation=somewhere, numbers=st.lists(pick, max_size=3), on=st.booleans())
    def hide(self, conversation: str, numbers: list[int], on: bool) -> None:
        ids = {message.id for number in numbers if (message := self.chosen(conversation, number))}
        (self.library.hide if on else self.library.unhide)(ids)
        if ids:
            stored = self.model[conversation]
            stored.hidden = stored.hidden | ids if on else stored.hidden - ids

    @rule(conversation=somewhere, on=st.booleans())
    def delete(self, conversation: str, on: bool) -> None:
        (self.library.delete if on else self.library.undelete)(conversation)
        if conversation in self.model:
            self.model[conversation].deleted = on

    @rule(conversation=somewhere, title=st.sampled_from(("My title", "Größe zwei", "Hello")))
    def rename(self, conversation: str, title: str) -> None:
        self.library.rename(conversation, title)
        if conversation in self.model:
            self.model[conversation].title, self.model[conversation].renamed = title, True

    @rule(conversation=somewhere, on=st.booleans())
    def pin(self, conversation: str, on: bool) -> None:
        self.library.pin(conversation, on)
        if conversation in self.model:
            self.model[conversation].pinned = on

    @rule(conversation=somewhere, on=st.booleans())
    def archive(self, conversation: str, on: bool) -> None:
        self.library.archive(conversation, on)
        if conversation in self.model:
            self.model[conversation].archived = on

    @precondition(lambda self: self.there())
    @rule(number=pick, text=said)
    def draft(self, number: int, text: str) -> None:
        name = list(self.there())[number % len(self.there())]
        self.library.save_draft(name, text)
        self.model[name].draft = text

    @rule(number=pick, conversation=somewhere)
    def select(self, number: int, conversation: str) -> None:
        if message := self.chosen(conversation, number):
            self.library.select(conversation, message.id)
            self.model[conversation].leaf = message.id

    @invariant()
    def the_search_finds_what_is_in_the_model(self) -> None:
        for typed in TYPED if hasattr(self, "library") else ():
            self.compare_search(typed)

    def compare_search(self, typed: str) -> None:
        hits = self.library.search(typed, limit=10_000)
        titled = {name for name, stored in self.there().items() if self.title_matches(stored, typed)}
        expected = [
            (name, message.id)
            for name, stored in self.there().items()
            for message in stored.visible()
            if matches(message.text, typed)
        ]
        found = [(hit.conversation, hit.message) for hit in hits]
        assert found[: len(titled)] == [hit for hit in found[: len(titled)] if hit[0] in titled]
        assert sorted(found[len(titled) :]) == sorted(expected)

    def title_matches(self, stored: Stored, typed: str) -> bool:
        return stored.renamed and stored.leaf not in {None, *stored.hidden} and matches(stored.title, typed)

    @rule()
    def reopen(self) -> None:
        self.library.close()
        for name, stored in list(self.model.items()):
            touched = bool(stored.hidden)
            stored.purge()
            if stored.deleted or (touched and not stored.messages and not stored.draft):
                del self.model[name]
        self.library = Library.open(self.folder / "c.sqlite3")
        assert self.library.notice == ""

    @invariant()
    def lists_and_conversations_are_as_in_the_model(self) -> None:
        if not hasattr(self, "library"):
            return
        for archived in (False, True):
            rows = self.library.conversations(archived=archived)
            wanted = {name: stored for name, stored in self.there().items() if stored.archived == archived}
            order = sorted(wanted, key=lambda name: (not wanted[name].pinned, -wanted[name].changed))
            assert [(row.id, row.title, row.messages) for row in rows] == [
                (name, wanted[name].title, len(wanted[name].visible())) for name in order
            ]
        for name in CONVERSATIONS:
            if name not in self.there():
                with pytest.raises(ConversationNotFound):
                    self.library.read(name)
                continue
            stored, model = self.library.read(name), self.model[name]
            assert set(stored.messages) == set(model.messages.values())
            assert (stored.hidden, stored.draft, stored.leaf) == (frozenset(model.hidden), model.draft, model.leaf)


def matches(text: str, typed: str) -> bool:
    """What the search promises, said plainly, for the words of this test."""
    words = text.lower().replace("ö", "o").split()
    whole = typed.startswith('"')
    wanted: Iterable[str] = typed.strip('"').lower().replace("ö", "o").split()
    return all(
        any(word == one if whole else one in word if one[0] in "京都" else word.startswith(one) for word in words)
        for one in wanted
    )


TestLibraryModel = LibraryModel.TestCase
TestLibraryModel.settings = settings(max_examples=25, stateful_step_count=30, suppress_health_check=list(HealthCheck))
