"""Whatever is done to branches, in any order, what must be there is there, in memory and on disk."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.messages import Role, Status
from qwenchat.engine.base import StopSignal
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from tests.support.examples import examples
from tests.support.fake_engine import FakeEngine, Script
from tests.support.patience import PATIENCE_S

NUMBERS = st.integers(0, 1000)


class Stepping(FakeEngine):
    """Says two words of each reply, then waits until it is released or stopped; the next reply waits again."""

    def release(self) -> None:
        held, self._gate = self._gate, StopSignal()
        held.set()

    def _hold(self, stop: StopSignal, *, give_up: bool = True) -> None:
        gate = self._gate
        while not (gate.is_set() or stop.is_set()):
            time.sleep(0.001)


@dataclass
class Node:
    role: Role
    text: str
    parent: str | None


@dataclass
class Plain:
    """What must be there of one conversation, in the plainest way to say it."""

    nodes: dict[str, Node] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    path: list[str] = field(default_factory=list)
    last: dict[str | None, str] = field(default_factory=dict)
    deleted: list[tuple[set[str], str | None]] = field(default_factory=list)

    @property
    def leaf(self) -> str | None:
        return self.path[-1] if self.path else None

    def before(self, at: str) -> str | None:
        """The message before that is shown."""
        parent = self.nodes[at].parent
        while parent in self.hidden:
            parent = self.nodes[parent].parent
        return parent

    def shown(self) -> list[str]:
        return [at for at in self.nodes if at not in self.hidden]

    def after(self, at: str | None) -> list[str]:
        return [other for other in self.shown() if self.before(other) == at]

    def up_to(self, at: str | None) -> list[str]:
        path = []
        while at is not None:
            path.append(at)
            at = self.before(at)
        return path[::-1]

    def read(self, at: str | None) -> None:
        """Read through a shown message, to where it was read last."""
        path = self.up_to(at)
        while after := self.after(path[-1] if path else None):
            remembered = self.last.get(path[-1] if path else None)
            path.append(remembered if remembered in after else after[-1])
        self.path = path
        self.last.update(zip([None, *path], path, strict=False))

    def add(self, at: str, node: Node) -> None:
        self.nodes[at] = node
        self.path = self.up_to(at)
        self.last.update(zip([None, *self.path], self.path, strict=False))

    def delete(self, ids: set[str]) -> None:
        self.deleted.append((ids, self.leaf))
        near = self.leaf
        while near in ids:
            near = self.before(near)
        self.hidden |= ids
        self.read(near)

    def undo(self) -> None:
        ids, leaf = self.deleted.pop()
        self.hidden -= ids
        self.read(leaf)

    def below(self, at: str) -> set[str]:
        found = {at}
        for other, node in self.nodes.items():
            if node.parent in found:
                found.add(other)
        return found

    def closed(self, *, purge: bool) -> None:
        """The program turned away from it, or ended."""
        self.last = {}
        if purge:
            parents = {at: self.before(at) for at in self.shown()}
            left = {at: self.nodes[at] for at in parents}
            self.nodes = {at: Node(node.role, node.text, parents[at]) for at, node in left.items()}
            self.hidden, self.deleted = set(), []
        self.read(self.leaf)


class Branching(RuleBasedStateMachine):
    """Drives a session on disk beside the plain model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "conversations.db"
        self.said: dict[str, Plain] = {}
        self.number = 0
        self.growing: tuple[str, str] | None = None
        """The reply that is written: its id, and the text it will have when it is complete."""

    @initialize(system=st.sampled_from(["", "Be brief."]))
    def begin(self, system: str) -> None:
        self.system = system
        self.start()
        self.send()
        self.the_turn_ends()

    def start(self) -> None:
        self.engine = Stepping([Script("")])
        self.library = Library.open(self.file)
        self.session = Session(Worker(lambda: self.engine), self.library, system=self.system, thinking=False)
        self.session.model.load(LoadModel())
        self.until(lambda: self.session.model.info is not None)

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.session.phase
            self.session.wait(0.05)

    @property
    def now(self) -> Plain:
        return self.said.get(str(self.session.conversation.id), Plain())

    def chosen(self, number: int, role: Role | None = None) -> str | None:
        """One of the messages that are read."""
        path = [at for at in self.now.path if role in (None, self.now.nodes[at].role)]
        return path[number % len(path)] if path else None

    def turn(self, begin: Callable[[], object], parent: str | None, said: str = "") -> None:
        """Let a turn begin and come to its second word; `said` is what the reply says already."""
        self.number += 1
        words = f"{self.number}a {self.number}b {self.number}c"
        self.engine._queue.clear()
        self.engine._queue.append(Script(words, hold_at=2))
        begin()
        plain = self.said.setdefault(str(self.session.conversation.id), Plain())
        for message in self.session.conversation.path:
            if message.id not in plain.nodes and message.role is not Role.ASSISTANT:
                plain.add(message.id, Node(message.role, message.text, message.parent))
        reply = str(self.session.model.turn.reply_id)
        if not said:
            plain.add(reply, Node(Role.ASSISTANT, "", parent or plain.leaf))
        half = said + words[: words.rindex(" ") + 1]
        self.until(lambda: self.session.model.turn.growing and self.session.model.turn.growing.parts()
                   and self.session.model.turn.growing.parts()[-1].text == half)  # type: ignore[union-attr]  # fmt: skip
        plain.nodes[reply].text = half
        self.growing = reply, said + words

    def ended(self, *, complete: bool) -> None:
        if self.growing is not None and complete:
            self.now.nodes[self.growing[0]].text = self.growing[1]
        self.growing = None

    idle = precondition(lambda self: self.growing is None)
    reading = precondition(lambda self: self.growing is None and self.now.path)

    @rule()
    @idle
    def send(self) -> None:
        self.turn(lambda: self.session.send(f"question {self.number}"), None)

    @rule(number=NUMBERS)
    @reading
    def edit(self, number: int) -> None:
        if at := self.chosen(number, Role.USER):
            self.turn(lambda: self.session.edit(at, f"changed {self.number}"), None)

    @rule(number=NUMBERS)
    @reading
    def retry(self, number: int) -> None:
        reply = self.chosen(number, Role.ASSISTANT)
        asked = self.now.nodes[reply].parent if reply else None
        if reply and asked and asked not in self.now.hidden and self.now.nodes[asked].role is Role.USER:
            self.turn(lambda: self.session.replies.retry(reply), asked)

    @rule()
    @precondition(lambda self: self.growing is None and self.session.replies.interrupted is not None)
    def go_on(self) -> None:
        self.turn(self.session.replies.go_on, None, self.now.nodes[str(self.now.leaf)].text)

    @rule()
    @precondition(lambda self: self.growing is not None)
    def the_turn_ends(self) -> None:
        self.engine.release()
        self.until(lambda: not self.session.busy)
        self.ended(complete=True)

    @rule()
    @precondition(lambda self: self.growing is not None)
    def stop(self) -> None:
        self.session.stop()
        self.until(lambda: not self.session.busy)
        self.ended(complete=False)

    @rule(number=NUMBERS, version=NUMBERS)
    @reading
    def walk(self, number: int, version: int) -> None:
        if at := self.chosen(number):
            versions = self.now.after(self.now.before(at))
            assert list(self.session.conversation.tree.siblings(at)) == versions
            other = versions[version % len(versions)]
            self.session.conversation.select(other)
            self.now.read(other)

    @rule(number=NUMBERS)
    @reading
    def delete_message(self, number: int) -> None:
        if at := self.chosen(number):
            self.session.conversation.delete(at)
            self.now.delete({at})

    @rule(number=NUMBERS)
    @reading
    def delete_branch(self, number: int) -> None:
        if at := self.chosen(number):
            self.session.conversation.delete_branch(at)
            self.now.delete(self.now.below(at) - self.now.hidden)

    @rule()
    @precondition(lambda self: self.growing is None and self.now.deleted)
    def undo(self) -> None:
        self.session.conversation.undo_delete()
        self.now.undo()

    @rule()
    def new(self) -> None:
        self.leave()
        self.session.new()

    @rule(number=NUMBERS)
    def resume(self, number: int) -> None:
        if self.said:
            self.leave()
            name = list(self.said)[number % len(self.said)]
            self.session.resume(name)
            self.now.closed(purge=False)

    @rule(number=NUMBERS, at=NUMBERS)
    def resume_at_a_message(self, number: int, at: int) -> None:
        if self.said:
            self.leave()
            name = list(self.said)[number % len(self.said)]
            shown = self.said[name].shown()
            message = shown[at % len(shown)] if shown else None
            self.session.resume(name, message)
            self.now.closed(purge=False)
            if message:
                self.now.read(message)

    @rule()
    def quit_and_open_again(self) -> None:
        self.leave()
        self.session.close()
        for plain in self.said.values():
            plain.closed(purge=True)
        self.said = {name: plain for name, plain in self.said.items() if plain.nodes}
        self.start()
        assert {row.id for row in self.library.conversations()} == set(self.said)

    def leave(self) -> None:
        """The running turn ends there."""
        self.ended(complete=False)

    @invariant()
    def everything_is_there(self) -> None:
        if not hasattr(self, "session"):
            return
        assert [message.id for message in self.session.conversation.path] == self.now.path
        if self.growing is None:
            assert [message.text for message in self.session.conversation.path] == [
                self.now.nodes[at].text for at in self.now.path
            ]
        for name, plain in self.said.items():
            stored = self.library.read(name)
            assert stored.hidden == plain.hidden
            written = {message.id: message.text for message in stored.messages}
            assert set(written) == set(plain.nodes)
            for at, node in plain.nodes.items():
                if self.growing is None or at != self.growing[0]:
                    assert written[at] == node.text

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.close()
            with_end = Library.open(self.file)
            for name, plain in self.said.items():
                if plain.shown():
                    messages = with_end.read(name).messages
                    assert all(message.status is not Status.STREAMING for message in messages)
                    assert {message.id for message in messages} == set(plain.shown())
            with_end.close()
        self.folder.cleanup()


Branching.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40)
test_branches_in_any_order = pytest.mark.filterwarnings("ignore")(Branching.TestCase)
