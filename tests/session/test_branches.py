"""A session that branches: retry with other settings, go on, delete, bring back, and open at a message."""

from dataclasses import replace
from pathlib import Path

import pytest

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import EngineFailed, LibraryUnwritable, NoThought, PromptEmpty, TurnInProgress
from qwenchat.chat.events import Channel, TurnStopped
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart
from qwenchat.chat.provenance import FinishReason, ThinkingSupport
from qwenchat.chat.sampling import NON_THINKING, THINKING, SamplingOverrides
from qwenchat.library.library import Library
from qwenchat.session.open_conversation import NothingDeleted
from qwenchat.session.replies import ReplyComplete
from qwenchat.session.session import Session
from tests.session.test_session import chatting, ended, loaded, texts, until
from tests.support.fake_engine import MODEL, FakeEngine, Script

HALF = Script("one two three four", hold_at=2)


def ask(session: Session, text: str = "Go") -> Message:
    session.send(text)
    until(session, ended)
    return session.conversation.path[-1]


def stop_after(session: Session, pieces: int) -> Message:
    until(session, texts(pieces))
    session.stop()
    assert isinstance(until(session, ended)[-1], TurnStopped)
    return session.conversation.path[-1]


def said(session: Session) -> list[str]:
    return [message.text for message in session.conversation.path]


def on_disk(session: Session) -> Message:
    return session.library.read(str(session.conversation.id)).messages[-1]


class TestRetry:
    def test_settings_and_thinking_hold_for_this_one_time(self) -> None:
        engine = FakeEngine([Script("a", thought="Hm. "), Script("b"), Script("c", thought="Hm. ")])
        with chatting(engine, overrides=SamplingOverrides(top_k=7, seed=1)) as session:
            ask(session)
            session.replies.retry(overrides=SamplingOverrides(temperature=0.2, seed=9), thinking=False)
            until(session, ended)
            assert engine.turns[1].thinking is False
            assert engine.turns[1].sampling == replace(NON_THINKING, top_k=7, temperature=0.2, seed=9)
            assert on_disk(session).provenance.thinking is False  # type: ignore[union-attr]
            session.replies.retry()
            until(session, ended)
            assert engine.turns[2].thinking is True
            assert engine.turns[2].sampling == replace(THINKING, top_k=7, seed=1)
            assert len(session.conversation.tree.siblings(session.conversation.path[-1].id)) == 3

    def test_thinking_may_be_turned_on_for_one_reply(self) -> None:
        engine = FakeEngine([Script("a"), Script("b", thought="Hm. ")])
        with chatting(engine, thinking=False) as session:
            ask(session)
            session.replies.retry(thinking=True)
            until(session, ended)
            assert session.conversation.path[-1].reasoning == "Hm. "
            assert not session.thinks

    @pytest.mark.parametrize(
        ("support", "wanted", "why"),
        [(ThinkingSupport.NONE, True, "does not think"), (ThinkingSupport.ALWAYS, False, "always thinks")],
    )
    def test_what_the_model_cannot_do_is_refused_and_changes_nothing(
        self, support: ThinkingSupport, wanted: bool, why: str
    ) -> None:
        with chatting(FakeEngine(model=replace(MODEL, thinking=support))) as session:
            ask(session)
            with pytest.raises(NoThought, match=why):
                session.replies.retry(thinking=wanted)
            assert len(session.conversation.tree) == 2

    def test_thinking_is_not_turned_on_against_the_switch_in_the_message(self) -> None:
        with chatting(FakeEngine()) as session:
            ask(session, "Go /no_think")
            with pytest.raises(NoThought, match="/no_think"):
                session.replies.retry(thinking=True)

    def test_an_earlier_reply_is_asked_for_again_with_what_came_before_it_alone(self) -> None:
        engine = FakeEngine([Script("first"), Script("second"), Script("first again")])
        with chatting(engine) as session:
            first = ask(session, "one")
            ask(session, "two")
            session.replies.retry(first.id)
            until(session, ended)
            assert said(session) == ["one", "first again"]
            assert [message.text for message in engine.turns[-1].messages] == ["one"]
            session.conversation.select(first.id)
            assert said(session) == ["one", "first", "two", "second"]

    def test_with_another_model_it_waits_for_that_one(self) -> None:
        engine = FakeEngine([Script("a"), Script("b")])
        with chatting(engine) as session:
            ask(session)
            session.model.load(LoadModel("other"))
            session.replies.retry()
            until(session, ended)
            made = [
                session.conversation.tree[at].provenance
                for at in session.conversation.tree.siblings(session.conversation.path[-1].id)
            ]
            assert [account.model.name for account in made if account] == [MODEL.name, "other"]

    def test_a_reply_whose_question_was_deleted_is_not_asked_for_again(self) -> None:
        with chatting(FakeEngine()) as session:
            ask(session, "one")
            ask(session, "two")
            session.conversation.delete(session.conversation.path[2].id)
            with pytest.raises(PromptEmpty, match="deleted"):
                session.replies.retry()

    def test_nor_when_the_question_is_gone_for_good(self, tmp_path: Path) -> None:
        file = tmp_path / "conversations.db"
        with chatting(FakeEngine(), Library.open(file)) as session:
            ask(session, "one")
            ask(session, "two")
            session.conversation.delete(session.conversation.path[2].id)
            name = str(session.conversation.id)
        with chatting(FakeEngine(), Library.open(file)) as session:
            session.resume(name)
            with pytest.raises(PromptEmpty, match="no message to answer"):
                session.replies.retry()

    def test_only_a_message_of_the_users_is_changed(self) -> None:
        with chatting(FakeEngine()) as session:
            reply = ask(session)
            with pytest.raises(PromptEmpty, match="your own"):
                session.edit(reply.id, "I said so")


class TestContinue:
    def test_a_stopped_answer_goes_on_as_the_same_message_with_its_figures_and_timeline(self) -> None:
        engine = FakeEngine([HALF, Script("three four")])
        with chatting(engine, thinking=False) as session:
            session.send("Go")
            stopped = stop_after(session, 2)
            before = stopped.provenance
            assert before is not None
            session.replies.go_on()
            assert session.conversation.path[-1].status is Status.STREAMING
            until(session, ended)
            reply = on_disk(session)
            assert (reply.id, reply.status, reply.note) == (stopped.id, Status.COMPLETE, "")
            assert reply.text == "one two three four"
            assert engine.turns[-1].begun == PartialReply(answer="one two ")
            assert engine.turns[-1].messages == session.conversation.path[:-1]
            assert reply.provenance is not None
            assert reply.provenance.usage == replace(before.usage, answer_tokens=before.usage.answer_tokens + 2)
            assert reply.provenance.finish_reason is FinishReason.STOP
            ticks = session.library.timeline(reply.id)
            assert sum(tick.characters for tick in ticks) == len(reply.text)
            assert [tick.at_ms for tick in ticks] == sorted(tick.at_ms for tick in ticks)

    def test_an_answer_after_a_thought_goes_on_and_the_thought_stays_as_it_was(self) -> None:
        engine = FakeEngine([Script("one two three", thought="Hm, so. ", hold_at=4), Script("three")])
        with chatting(engine) as session:
            session.send("Go")
            thought = stop_after(session, 4).parts[0]
            assert isinstance(thought, ReasoningPart)
            session.replies.go_on()
            until(session, ended)
            assert on_disk(session).parts == (thought, TextPart("one two three"))
            assert engine.turns[-1].begun == PartialReply("Hm, so. ", "one two ")
            assert engine.turns[-1].thinking is True

    def test_a_stopped_thought_goes_on_thinking(self) -> None:
        engine = FakeEngine([Script("Paris.", thought="Hm, let me ", hold_at=2), Script("Paris.", thought="me see. ")])
        with chatting(engine) as session:
            session.send("Go")
            stop_after(session, 2)
            session.replies.go_on()
            until(session, ended)
            reply = on_disk(session)
            assert (reply.reasoning, reply.text) == ("Hm, let me see. ", "Paris.")
            assert len(reply.parts) == 2
            assert (engine.turns[-1].begun, engine.turns[-1].answer_now) == (
                PartialReply("Hm, let ", thinking=True),
                False,
            )
            characters = {channel: 0 for channel in Channel}
            for tick in session.library.timeline(reply.id):
                characters[tick.channel] += tick.characters
            assert characters == {Channel.THOUGHT: len(reply.reasoning), Channel.ANSWER: len(reply.text)}

    def test_it_is_asked_for_as_it_was_whatever_the_switch_says_now(self) -> None:
        engine = FakeEngine([HALF, Script("three"), Script("x")])
        with chatting(engine, thinking=False) as session:
            session.send("Go")
            stop_after(session, 2)
            session.toggle_thinking()
            session.replies.go_on()
            until(session, ended)
            assert engine.turns[-1].thinking is False
            assert engine.turns[-1].sampling.temperature == NON_THINKING.temperature

    def test_a_reply_cut_off_at_the_limit_goes_on_and_may_be_cut_off_again(self) -> None:
        cut = Script("one ", finish=FinishReason.LENGTH)
        with chatting(FakeEngine([cut, replace(cut, answer="two "), Script("three")])) as session:
            ask(session)
            for text in ("one two ", "one two three"):
                session.replies.go_on()
                until(session, ended)
                assert session.conversation.path[-1].text == text
            with pytest.raises(ReplyComplete):
                session.replies.go_on()

    def test_a_reply_that_failed_goes_on(self) -> None:
        failing = Script("one two", error=EngineFailed("It broke.", "Again."), error_at=1)
        with chatting(FakeEngine([failing, Script("two")])) as session:
            ask(session)
            session.replies.go_on()
            until(session, ended)
            assert (session.conversation.path[-1].text, session.conversation.path[-1].note) == ("one two", "")

    def test_a_reply_that_was_stopped_before_its_first_word_begins(self) -> None:
        engine = FakeEngine([Script("x", prefill_holds=0.5), Script("Paris.")])
        with chatting(engine) as session:
            session.send("Go")
            until(session, bool)
            until(session, lambda seen: bool(engine.turns))
            session.stop()
            until(session, ended)
            assert session.conversation.path[-1].parts == ()
            session.replies.go_on()
            until(session, ended)
            assert said(session) == ["Go", "Paris."]

    def test_one_that_a_kill_interrupted_goes_on_with_figures_that_hold_together(self, tmp_path: Path) -> None:
        file = tmp_path / "conversations.db"
        with chatting(FakeEngine([Script("one two three", hold_at=2)]), Library.open(file)) as session:
            session.send("Go")
            until(session, texts(2))
            session.model.turn._save(session.model.turn.current)  # type: ignore[arg-type]
            copy = Library.open(file).read(str(session.conversation.id))
        name, reply = copy.id, replace(copy.messages[-1], status=Status.INTERRUPTED)
        library = Library.open(file)
        library.save(name, reply, library.timeline(reply.id))
        with chatting(FakeEngine([Script("three")]), library) as session:
            session.resume(name)
            until(session, loaded)
            session.replies.go_on()
            until(session, ended)
            made = session.conversation.path[-1].provenance
            assert session.conversation.path[-1].text == "one two three"
            assert made is not None
            assert made.usage.answer_tokens == 3
            ticks = session.library.timeline(reply.id)
            assert [tick.at_ms for tick in ticks] == sorted(tick.at_ms for tick in ticks)
            assert made.timing.total_s >= ticks[-1].at_ms / 1000 - 1

    def test_a_model_that_cannot_think_does_not_go_on_with_a_thought(self) -> None:
        engine = FakeEngine([Script("Paris.", thought="Hm, let me ", hold_at=2)])
        with chatting(engine) as session:
            session.send("Go")
            stop_after(session, 2)
            engine.model = replace(MODEL, thinking=ThinkingSupport.NONE)
            session.model.load(LoadModel())
            until(session, loaded)
            with pytest.raises(ReplyComplete):
                session.replies.go_on()


class TestDelete:
    def test_a_deleted_message_is_not_read_by_the_model_and_comes_back(self) -> None:
        engine = FakeEngine([Script("first"), Script("second"), Script("third"), Script("fourth")])
        with chatting(engine) as session:
            ask(session, "one")
            ask(session, "two")
            session.conversation.delete(session.conversation.path[1].id)
            assert said(session) == ["one", "two", "second"]
            ask(session, "three")
            assert [message.text for message in engine.turns[-1].messages] == ["one", "two", "second", "three"]
            session.conversation.undo_delete()
            assert said(session) == ["one", "first", "two", "second", "three", "third"]
            with pytest.raises(NothingDeleted):
                session.conversation.undo_delete()

    def test_a_deleted_branch_gives_way_to_another_version_and_comes_back(self) -> None:
        with chatting(FakeEngine([Script("first"), Script("second")])) as session:
            ask(session, "one")
            session.replies.retry()
            until(session, ended)
            session.conversation.delete_branch(session.conversation.path[-1].id)
            assert said(session) == ["one", "first"]
            assert len(session.conversation.tree.siblings(session.conversation.path[-1].id)) == 1
            session.conversation.delete_branch(session.conversation.path[0].id)
            assert said(session) == []
            session.conversation.undo_delete()
            assert said(session) == ["one", "first"]
            session.conversation.undo_delete()
            assert said(session) == ["one", "second"]

    def test_bringing_a_branch_back_leaves_deleted_what_was_deleted_in_it_before(self) -> None:
        with chatting(FakeEngine([Script("first"), Script("second")])) as session:
            ask(session, "one")
            ask(session, "two")
            session.conversation.delete(session.conversation.path[1].id)
            session.conversation.delete_branch(session.conversation.path[0].id)
            session.conversation.undo_delete()
            assert said(session) == ["one", "two", "second"]
            session.conversation.undo_delete()
            assert said(session) == ["one", "first", "two", "second"]

    def test_what_was_deleted_is_gone_for_good_when_the_program_has_ended(self, tmp_path: Path) -> None:
        file = tmp_path / "conversations.db"
        with chatting(FakeEngine([Script("first"), Script("second")]), Library.open(file)) as session:
            ask(session, "one")
            ask(session, "two")
            session.conversation.delete(session.conversation.path[1].id)
            name = str(session.conversation.id)
        with chatting(FakeEngine(), Library.open(file)) as session:
            session.resume(name)
            assert said(session) == ["one", "two", "second"]
            assert len(session.conversation.tree) == 3

    def test_it_can_be_brought_back_after_another_conversation_was_looked_at(self) -> None:
        with chatting(FakeEngine([Script("first")])) as session:
            ask(session, "one")
            name = str(session.conversation.id)
            session.conversation.delete(session.conversation.path[1].id)
            session.new()
            with pytest.raises(NothingDeleted):
                session.conversation.undo_delete()
            session.resume(name)
            assert said(session) == ["one"]
            session.conversation.undo_delete()
            assert said(session) == ["one", "first"]

    def test_the_first_message_can_be_deleted_and_said_anew_below_the_same_system_prompt(self) -> None:
        engine = FakeEngine()
        with chatting(engine, system="Be brief.") as session:
            ask(session, "one")
            session.conversation.delete_branch(session.conversation.path[1].id)
            ask(session, "two")
            assert [message.role for message in engine.turns[-1].messages] == [Role.SYSTEM, Role.USER]

    def test_nothing_is_deleted_while_the_model_answers_or_when_it_cannot_be_saved(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with chatting(FakeEngine([HALF])) as session:
            session.send("Go")
            until(session, texts(1))
            for forbidden in (session.conversation.delete, session.conversation.delete_branch):
                with pytest.raises(TurnInProgress):
                    forbidden(session.conversation.path[0].id)
            with pytest.raises(TurnInProgress):
                session.conversation.undo_delete()
            stop_after(session, 0)

            def full(ids: object) -> None:
                raise LibraryUnwritable("The disk is full.")

            monkeypatch.setattr(session.library, "hide", full)
            with pytest.raises(LibraryUnwritable):
                session.conversation.delete(session.conversation.path[0].id)
            assert len(session.conversation.path) == 2


class TestOpening:
    def test_a_conversation_opens_at_a_message_of_another_branch_and_stays_there(self, tmp_path: Path) -> None:
        file = tmp_path / "conversations.db"
        with chatting(FakeEngine([Script("first"), Script("second")]), Library.open(file)) as session:
            old = ask(session, "one")
            session.replies.retry()
            until(session, ended)
            name = str(session.conversation.id)
            session.resume(name, old.id)
            assert said(session) == ["one", "first"]
        with chatting(FakeEngine(), Library.open(file)) as session:
            session.resume(name)
            assert said(session) == ["one", "first"]
            session.resume(name, "no such message")
            assert said(session) == ["one", "first"]

    def test_a_conversation_opened_again_while_it_is_answered_shows_what_came(self) -> None:
        with chatting(FakeEngine([HALF])) as session:
            session.send("Go")
            until(session, texts(2))
            session.resume(str(session.conversation.id))
            assert not session.busy
            assert session.conversation.path[-1].status is Status.STOPPED
            assert session.conversation.path[-1].text == "one two "
