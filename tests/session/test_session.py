import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from qwenchat.chat import thinking
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import (
    ConversationNotFound,
    EngineFailed,
    LibraryUnwritable,
    ModelNotFound,
    NoThought,
    OutOfMemory,
    PromptEmpty,
    TurnInProgress,
)
from qwenchat.chat.events import (
    Event,
    LoadFailed,
    ModelLoaded,
    SaveFailed,
    TextProduced,
    TurnEnded,
    TurnFailed,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import Role, Status
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.sampling import NON_THINKING, THINKING, SamplingOverrides
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.session.turn import CHECKPOINT_S, Phase
from tests.support.examples import examples
from tests.support.fake_engine import MODEL, FakeEngine, Script
from tests.support.patience import PATIENCE_S


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def chatting(
    engine: FakeEngine, library: Library | None = None, *, load: bool = True, **options: object
) -> Iterator[Session]:
    session = Session(Worker(lambda: engine), library or Library.in_memory(), **options)  # type: ignore[arg-type]
    if load:
        session.model.load(LoadModel())
    try:
        yield session
    finally:
        engine.release()
        session.close()


def until(session: Session, condition: Callable[[list[Event]], bool]) -> list[Event]:
    """Poll until the events seen since now satisfy the condition."""
    seen: list[Event] = []
    deadline = time.monotonic() + PATIENCE_S
    while not condition(seen):
        assert time.monotonic() < deadline, f"only {seen} came"
        seen += session.wait(0.1)
    return seen


def ended(events: list[Event]) -> bool:
    return any(isinstance(event, TurnEnded) for event in events)


def texts(count: int) -> Callable[[list[Event]], bool]:
    return lambda events: sum(isinstance(event, TextProduced) for event in events) >= count


def loaded(events: list[Event]) -> bool:
    return any(isinstance(event, ModelLoaded | LoadFailed) for event in events)


def stored(session: Session) -> tuple[tuple[Role, str, Status], ...]:
    assert session.conversation.id is not None
    messages = session.library.read(session.conversation.id).messages
    return tuple((message.role, message.text, message.status) for message in messages)


def test_a_turn_is_saved_before_it_is_called_finished() -> None:
    with chatting(FakeEngine([Script("Paris.", thought="Hm, France.")])) as session:
        session.send("Capital?")
        events = until(session, ended)
        assert isinstance(events[-1], TurnFinished)
        assert sum(isinstance(event, TurnEnded) for event in events) == 1
        assert stored(session) == (
            (Role.USER, "Capital?", Status.COMPLETE),
            (Role.ASSISTANT, "Paris.", Status.COMPLETE),
        )
        reply = session.library.read(str(session.conversation.id)).messages[-1]
        assert reply.reasoning == "Hm, France."
        assert reply.provenance is not None
        assert reply.provenance.model == MODEL
        assert reply.provenance.usage.answer_tokens == 1
        assert reply.provenance.sampling.seed is not None
        assert session.library.timeline(reply.id)
        assert session.phase is Phase.IDLE


def test_the_prompt_is_on_disk_before_the_model_is_asked() -> None:
    engine = FakeEngine(loading_holds=True)
    with chatting(engine) as session:
        session.send("Capital?")
        assert stored(session) == ((Role.USER, "Capital?", Status.COMPLETE),)
        assert not engine.turns
        assert session.phase is Phase.WAITING
        engine.release()
        until(session, ended)
        assert session.conversation.path[-1].text == "Paris is the capital of France."


@pytest.mark.parametrize("error_at", [0, 1, 3])
def test_a_failed_turn_keeps_what_came_and_the_next_one_works(error_at: int) -> None:
    scripts = [
        Script("one two three four", error=EngineFailed("It broke.", "Again."), error_at=error_at),
        Script("fine"),
    ]
    with chatting(FakeEngine(scripts)) as session:
        session.send("a")
        events = until(session, ended)
        assert isinstance(events[-1], TurnFailed)
        assert stored(session)[-1] == (
            Role.ASSISTANT,
            "one two three "[: len("one two three ") if error_at == 3 else 4 * error_at],
            Status.FAILED,
        )
        assert "It broke. Again." in session.conversation.path[-1].note
        session.replies.retry()
        until(session, ended)
        assert session.conversation.path[-1].text == "fine"


def said(session: Session) -> list[tuple[str, str]]:
    return [(message.role.value, message.text) for message in session.conversation.path]


def test_a_system_prompt_that_is_changed_in_mid_conversation_goes_before_the_next_message_and_is_saved() -> None:
    engine = FakeEngine([Script("A.")])
    with chatting(engine, system="Be brief.") as session:
        session.send("a")
        until(session, ended)
        assert session.system.change("Speak French.")
        assert session.system.in_force == "Speak French."
        session.send("b")
        until(session, ended)
        session.send("c")
        until(session, ended)
        start = [("system", "Be brief."), ("user", "a"), ("assistant", "A.")]
        then = [("system", "Speak French."), ("user", "b"), ("assistant", "A."), ("user", "c"), ("assistant", "A.")]
        assert said(session) == [*start, *then]
        assert [message.text for message in engine.turns[1].messages] == ["Be brief.", "a", "A.", "Speak French.", "b"]
        kept = session.library.read(str(session.conversation.id))
        assert [(message.role.value, message.text) for message in kept.messages] == said(session)
        session.new()
        session.send("d")
        assert said(session)[:2] == [("system", "Speak French."), ("user", "d")]


def test_a_message_that_is_changed_after_its_system_prompt_is_a_version_below_the_new_one() -> None:
    engine = FakeEngine([Script("A.")])
    with chatting(engine, system="Be brief.") as session:
        asked = session.send("a")
        until(session, ended)
        session.system.change("Speak French.")
        session.edit(asked.id, "b")
        until(session, ended)
        assert said(session) == [("system", "Speak French."), ("user", "b"), ("assistant", "A.")]
        assert len(session.conversation.tree.siblings(session.conversation.path[0].id)) == 2


def test_a_system_prompt_that_cannot_be_changed_now_counts_from_the_next_conversation_on() -> None:
    engine = FakeEngine([Script("A.")], model=replace(MODEL, system_changes=False))
    with chatting(engine, system="Be brief.") as session:
        session.send("a")
        until(session, ended)
        assert not session.system.change("Speak French.")
        assert session.system.in_force == "Be brief."
        session.send("b")
        until(session, ended)
        assert [role for role, _ in said(session)].count("system") == 1
        session.new()
        assert session.system.in_force == "Speak French."
        assert session.system.change("")
        session.send("c")
        assert said(session)[0] == ("user", "c")


def test_a_load_that_fails_fails_the_waiting_turn_and_later_ones_and_another_model_helps() -> None:
    engine = FakeEngine(load_error=ModelNotFound("No nix.", "Try y."))
    with chatting(engine) as session:
        session.send("a")
        events = until(session, ended)
        assert [type(event) for event in events if not isinstance(event, TextProduced)][-2:] == [LoadFailed, TurnFailed]
        assert session.model.error is not None
        session.replies.retry()
        assert isinstance(until(session, ended)[-1], TurnFailed)
        engine.load_error = None
        session.model.load(LoadModel("y"))
        session.replies.retry()
        assert isinstance(until(session, ended)[-1], TurnFinished)
        assert session.model.error is None


def test_the_model_before_one_that_cannot_be_loaded_goes_on() -> None:
    engine = FakeEngine(missing=("nix",))
    with chatting(engine) as session:
        until(session, lambda seen: any(isinstance(event, ModelLoaded) for event in seen))
        session.model.load(LoadModel("nix"))
        until(session, lambda seen: any(isinstance(event, ModelLoaded) for event in seen))
        assert session.model.info is not None and session.model.info.name == MODEL.name
        assert "no model nix" in str(session.model.error)
        session.send("a")
        assert isinstance(until(session, ended)[-1], TurnFinished)


def test_a_turn_that_waits_for_a_model_that_fails_is_not_answered_by_the_one_before() -> None:
    engine = FakeEngine(missing=("nix",))
    with chatting(engine) as session:
        until(session, lambda seen: any(isinstance(event, ModelLoaded) for event in seen))
        session.model.load(LoadModel("nix"))
        session.send("a")
        assert isinstance(until(session, ended)[-1], TurnFailed)
        session.replies.retry()
        assert isinstance(until(session, ended)[-1], TurnFinished)


def test_where_the_model_before_fails_too_none_is_left() -> None:
    engine = FakeEngine(missing=("nix",))
    with chatting(engine) as session:
        until(session, lambda seen: any(isinstance(event, ModelLoaded) for event in seen))
        engine.load_error = OutOfMemory("There is no room.", "Close other programs.")
        session.model.load(LoadModel("nix"))
        until(session, lambda seen: sum(isinstance(event, LoadFailed) for event in seen) == 2)
        assert session.model.info is None
        assert session.model.progress is None


def test_a_load_that_is_replaced_by_another_fails_nothing() -> None:
    engine = FakeEngine(loading_holds=True)
    with chatting(engine) as session:
        session.send("a")
        session.model.load(LoadModel("other"))
        engine.release()
        events = until(session, ended)
        assert not any(isinstance(event, LoadFailed) for event in events)
        assert isinstance(events[-1], TurnFinished)
        assert session.model.info is not None
        assert session.model.info.name == "other"


def test_stop_in_mid_reply_keeps_what_came() -> None:
    engine = FakeEngine([Script("one two three four", hold_at=2)])
    with chatting(engine) as session:
        session.send("a")
        until(session, texts(2))
        session.stop()
        assert session.phase is Phase.STOPPING
        events = until(session, ended)
        assert isinstance(events[-1], TurnStopped)
        assert stored(session)[-1] == (Role.ASSISTANT, "one two ", Status.STOPPED)
        assert session.phase is Phase.IDLE


def test_stop_while_the_model_loads_ends_the_turn_at_once_and_the_model_is_never_asked() -> None:
    engine = FakeEngine(loading_holds=True)
    with chatting(engine) as session:
        session.send("a")
        session.stop()
        assert ended(session.poll())
        engine.release()
        until(session, loaded)
        assert not engine.turns
        session.send("b")
        until(session, ended)
        assert [turn.messages[-1].text for turn in engine.turns] == ["b"]


def test_late_events_of_a_conversation_that_was_left_are_dropped() -> None:
    engine = FakeEngine([Script("old old old", hold_at=1), Script("new")])
    with chatting(engine) as session:
        session.send("a")
        until(session, texts(1))
        left = session.conversation.id
        session.new()
        session.poll()
        session.send("b")
        events = until(session, ended)
        assert all(event.text == "new" for event in events if isinstance(event, TextProduced))
        assert [message.text for message in session.conversation.path] == ["b", "new"]
        assert left is not None
        assert session.library.read(left).messages[-1].text == "old "
        assert session.library.read(left).messages[-1].status is Status.STOPPED


def test_a_reply_is_checkpointed_about_once_a_second() -> None:
    clock = Clock()
    engine = FakeEngine([Script("one two three", hold_at=1)])
    with chatting(engine, clock=clock) as session:
        until(session, loaded)
        session.send("a")
        until(session, texts(1))
        assert stored(session)[-1] == (Role.ASSISTANT, "", Status.STREAMING)
        clock.now += CHECKPOINT_S - 0.1
        session.poll()
        assert stored(session)[-1][1] == ""
        clock.now += 0.1
        session.poll()
        assert stored(session)[-1] == (Role.ASSISTANT, "one ", Status.STREAMING)


def test_a_full_disk_is_said_once_and_the_reply_is_written_when_there_is_room(tmp_path: Path) -> None:
    clock = Clock()
    library = Library.open(tmp_path / "c.sqlite3")
    engine = FakeEngine([Script("word " * 40_000, hold_at=1)])
    with chatting(engine, library, clock=clock) as session:
        session.send("a")
        until(session, texts(1))
        _fill(library._connection)
        engine.release()
        events = until(session, ended)
        clock.now += CHECKPOINT_S
        events += session.poll()
        assert sum(isinstance(event, SaveFailed) for event in events) == 1
        assert session.conversation.unsaved == 1
        assert session.conversation.path[-1].text == "word " * 40_000
        with pytest.raises(LibraryUnwritable):
            session.send("b" * 100_000)
        library._connection.execute("pragma max_page_count=1000000")
        clock.now += CHECKPOINT_S
        session.poll()
        assert session.conversation.unsaved == 0
        assert stored(session)[-1] == (Role.ASSISTANT, "word " * 40_000, Status.COMPLETE)


def test_a_prompt_that_cannot_be_saved_is_not_sent(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "c.sqlite3")
    engine = FakeEngine()
    with chatting(engine, library, system="Be brief.") as session:
        _fill(library._connection)
        with pytest.raises(LibraryUnwritable):
            session.send("x" * 100_000)
        assert not session.busy
        assert not session.conversation.path
        assert session.conversation.id is None
        assert library.conversations() == []


def _fill(connection: sqlite3.Connection) -> None:
    connection.execute(f"pragma max_page_count={connection.execute('pragma page_count').fetchone()[0]}")


def test_retry_and_edit_make_branches_and_keep_the_old_ones() -> None:
    engine = FakeEngine([Script("first"), Script("second"), Script("third")])
    with chatting(engine) as session:
        asked = session.send("a")
        until(session, ended)
        session.replies.retry()
        until(session, ended)
        assert [message.text for message in session.conversation.path] == ["a", "second"]
        assert len(session.conversation.tree.siblings(session.conversation.path[-1].id)) == 2
        session.edit(asked.id, "b")
        until(session, ended)
        assert [message.text for message in session.conversation.path] == ["b", "third"]
        assert [message.text for message in engine.turns[-1].messages] == ["b"]
        session.conversation.select(asked.id)
        assert [message.text for message in session.conversation.path] == ["a", "second"]
        kept = session.library.read(str(session.conversation.id))
        assert {message.text for message in kept.messages} == {"a", "first", "second", "b", "third"}
        assert kept.leaf == session.conversation.tree.leaf


def test_what_makes_no_sense_is_refused_and_changes_nothing() -> None:
    engine = FakeEngine([Script("one two", hold_at=1)])
    with chatting(engine) as session:
        with pytest.raises(PromptEmpty):
            session.send(" \n")
        with pytest.raises(PromptEmpty):
            session.replies.retry()
        with pytest.raises(ConversationNotFound):
            session.resume("nix")
        asked = session.send("a")
        until(session, texts(1))
        for forbidden in (
            lambda: session.send("b"),
            session.replies.retry,
            lambda: session.edit(asked.id, "c"),
            lambda: session.conversation.select(asked.id),
        ):
            with pytest.raises(TurnInProgress):
                forbidden()
        session.stop()
        until(session, ended)
        assert len(session.conversation.tree) == 2


def test_a_system_prompt_comes_first_and_is_part_of_the_conversation() -> None:
    engine = FakeEngine()
    with chatting(engine, system="Be brief.") as session:
        session.send("a")
        until(session, ended)
        session.send("b")
        until(session, ended)
        assert [message.role for message in engine.turns[-1].messages][:2] == [Role.SYSTEM, Role.USER]
        assert sum(message.role is Role.SYSTEM for message in session.conversation.path) == 1


def test_the_preset_follows_the_mode_and_the_users_values_go_before_it() -> None:
    engine = FakeEngine()
    with chatting(engine, overrides=SamplingOverrides(top_k=7, seed=5)) as session:
        session.send("a")
        until(session, ended)
        session.toggle_thinking()
        session.send("b")
        until(session, ended)
        assert engine.turns[0].sampling == replace(THINKING, top_k=7, seed=5)
        assert engine.turns[1].sampling == replace(NON_THINKING, top_k=7, seed=5)


def test_turning_thinking_on_against_an_earlier_no_think_adds_a_visible_switch() -> None:
    engine = FakeEngine()
    with chatting(engine) as session:
        session.send("a /no_think")
        until(session, ended)
        assert not session.thinks
        assert session.toggle_thinking()
        assert session.send("b").text == "b /think"
        until(session, ended)
        assert session.thinks
        assert not session.toggle_thinking()
        session.send("c")
        until(session, ended)
        assert engine.turns[-1].thinking is False
        assert engine.turns[-1].messages[-1].text == "c"


def test_an_old_no_think_holds_when_the_model_no_longer_reads_it() -> None:
    engine = FakeEngine([Script("one"), Script("two", trimmed=2), Script("three")])
    with chatting(engine) as session:
        session.send("a /no_think")
        until(session, ended)
        for text in ("b", "c /think"):
            session.send(text)
            until(session, ended)
        assert [turn.thinking for turn in engine.turns] == [False, False, True]
        assert [turn.sampling.temperature for turn in engine.turns] == [
            NON_THINKING.temperature, NON_THINKING.temperature, THINKING.temperature,
        ]  # fmt: skip


def test_a_long_conversation_is_not_read_again_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    with chatting(engine) as session:
        session.send("a /no_think")
        until(session, ended)
        assert not session.thinks
        path = session.conversation.path

        def read(*args: object) -> None:
            raise AssertionError("the conversation was read again")

        monkeypatch.setattr(thinking, "soft_switch", read)
        assert not session.thinks
        assert session.conversation.path is path


def test_a_model_that_cannot_think_does_not_pretend() -> None:
    engine = FakeEngine(model=replace(MODEL, thinking=ThinkingSupport.NONE))
    with chatting(engine) as session:
        until(session, loaded)
        assert not session.thinks
        assert not session.toggle_thinking()
        session.send("a")
        until(session, ended)
        assert engine.turns[0].sampling.temperature == NON_THINKING.temperature


def test_leaving_in_mid_reply_saves_it_and_it_can_be_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with chatting(FakeEngine([Script("one two three", hold_at=2)]), Library.open(path)) as session:
        session.send("a")
        until(session, texts(2))
        name = session.conversation.id
    assert name is not None
    with chatting(FakeEngine([Script("on")]), Library.open(path)) as session:
        session.resume(name)
        assert [message.text for message in session.conversation.path] == ["a", "one two "]
        session.send("go on")
        until(session, ended)
        assert [message.text for message in session.conversation.path] == ["a", "one two ", "go on", "on"]


def test_the_model_reads_the_conversation_ahead_once_a_reply_has_ended() -> None:
    engine = FakeEngine()
    with chatting(engine) as session:
        session.send("Hello")
        until(session, ended)
        until(session, lambda events: bool(engine.ahead))
        assert [message.role for message in engine.ahead[-1].messages] == [Role.USER, Role.ASSISTANT]


def test_the_model_reads_the_next_message_while_it_is_written() -> None:
    engine = FakeEngine()
    with chatting(engine, system="Be brief.") as session:
        session.read_ahead.write("Hel")
        until(session, lambda events: bool(engine.ahead))
        assert [message.role for message in engine.ahead[-1].messages] == [Role.SYSTEM]
        assert engine.ahead[-1].draft == "Hel"
        session.send("Hello")
        until(session, ended)
        until(session, lambda events: engine.ahead[-1].draft == "")
        session.read_ahead.write("Go")
        until(session, lambda events: engine.ahead[-1].draft == "Go")
        assert [message.role for message in engine.ahead[-1].messages] == [Role.SYSTEM, Role.USER, Role.ASSISTANT]


class AnyOrder(RuleBasedStateMachine):
    """Send, stop, hurry, leave, resume, retry, edit and load in any order: no dead-lock, and nothing said is lost.

    What the engine's thread has done meanwhile differs from run to run, so rules look at it and never draw by it.
    """

    @initialize(loading_holds=st.booleans())
    def begin(self, loading_holds: bool) -> None:
        whole = Script("one two three four", thought="hm hm", hold_at=1)
        self.engine = FakeEngine([whole, replace(whole, breaks_off=True)] * 20, loading_holds=loading_holds)
        self.library = Library.in_memory()
        self.session = Session(Worker(lambda: self.engine), self.library)
        self.session.model.load(LoadModel())
        self.said: dict[str, set[str]] = {}
        self.begun = self.finished = self.number = 0

    def count(self, events: list[Event]) -> None:
        self.finished += sum(isinstance(event, TurnEnded) for event in events)

    @rule()
    def send(self) -> None:
        self.number += 1
        text = f"message {self.number}"
        if self.session.busy:
            with pytest.raises(TurnInProgress):
                self.session.send(text)
            return
        self.session.send(text)
        self.begun += 1
        self.said.setdefault(str(self.session.conversation.id), set()).add(text)

    @rule()
    def retry(self) -> None:
        if not self.session.busy and self.session.conversation.path:
            self.session.replies.retry()
            self.begun += 1

    @rule()
    def edit(self) -> None:
        if self.session.busy or not self.session.conversation.path:
            return
        self.number += 1
        self.session.edit(self.session.conversation.path[0].id, f"message {self.number}")
        self.begun += 1
        self.said[str(self.session.conversation.id)].add(f"message {self.number}")

    @rule()
    def stop(self) -> None:
        self.session.stop()

    @rule()
    def answer_now(self) -> None:
        self.begun += self.session.replies.interrupted_in_thought
        with suppress(NoThought):
            self.session.replies.answer_now()

    @rule()
    def new(self) -> None:
        self.session.new()

    @rule(number=st.integers(0, 3))
    def resume(self, number: int) -> None:
        if self.said:
            self.session.resume(list(self.said)[number % len(self.said)])

    @rule()
    def toggle_thinking(self) -> None:
        self.session.toggle_thinking()

    @rule()
    def load_another(self) -> None:
        self.session.model.load(LoadModel())

    @rule()
    def something_comes(self) -> None:
        self.count(self.session.wait(0.002))
        self.engine.release()

    @rule()
    def a_thought_begins(self) -> None:
        self.wait_while(
            lambda: self.session.busy and not self.session.model.progress and self.session.phase is Phase.WAITING
        )

    @rule()
    def the_turn_ends(self) -> None:
        self.engine.release()
        self.wait_while(lambda: self.session.busy)

    def wait_while(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while condition():
            assert time.monotonic() < deadline, self.session.phase
            self.count(self.session.wait(0.05))

    @rule()
    def look(self) -> None:
        self.count(self.session.poll())

    @invariant()
    def a_turn_is_either_running_or_ended(self) -> None:
        self.count(self.session.poll())
        assert self.begun - self.finished == int(self.session.busy)

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        self.engine.release()
        deadline = time.monotonic() + PATIENCE_S
        while self.session.busy:
            assert time.monotonic() < deadline, "a turn hangs"
            self.session.wait(0.05)
        for name, texts_ in self.said.items():
            messages = self.library.read(name).messages
            assert {m.text.removesuffix(" /think") for m in messages if m.role is Role.USER} == texts_
            assert all(message.status is not Status.STREAMING for message in messages)
        self.session.close()


AnyOrder.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40)
test_any_order = pytest.mark.filterwarnings("ignore")(AnyOrder.TestCase)
