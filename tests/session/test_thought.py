"""A session in which the user governs the thinking."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import EngineFailed, NoThought
from qwenchat.chat.events import Channel, PrefillProgressed, TurnFailed, TurnFinished, TurnStopped
from qwenchat.chat.messages import Message, ReasoningPart, Status, TextPart
from qwenchat.chat.provenance import FinishReason, Provenance, ThinkingSupport, ThoughtCut
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.thinking import CLOSING
from qwenchat.library import encoding
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from tests.session.test_session import chatting, ended, loaded, texts, until
from tests.support.fake_engine import MODEL, FakeEngine, Script

THOUGHT = "Well, let me see. "
BROKEN = Script(thought=THOUGHT, answer="", breaks_off=True, finish=FinishReason.LENGTH)


def made(session: Session) -> Provenance:
    """How the latest reply was made, as it is on disk."""
    assert session.conversation.id is not None
    reply = session.library.read(session.conversation.id).messages[-1]
    assert reply.provenance is not None
    return reply.provenance


def ask(session: Session, text: str = "Capital?") -> Message:
    session.send(text)
    until(session, ended)
    return session.conversation.path[-1]


def test_the_budget_reaches_the_model_and_is_recorded_with_what_it_did() -> None:
    engine = FakeEngine([Script("Paris.", thought="Hm, France, then. "), Script("Paris.", thought="Hm. ")])
    with chatting(engine, thinking_budget=2) as session:
        reply = ask(session)
        assert engine.turns[-1].thinking_budget == 2
        assert (reply.reasoning, reply.text) == (f"Hm, France, {CLOSING}", "Paris.")
        assert (made(session).thinking_budget, made(session).thought_cut) == (2, ThoughtCut.BUDGET)
        ask(session, "Sure?")
        assert (made(session).thinking_budget, made(session).thought_cut) == (2, None)
        session.toggle_thinking()
        ask(session, "And?")
        assert (made(session).thinking_budget, made(session).thought_cut) == (None, None)


def test_accounts_from_before_there_was_a_budget_are_read() -> None:
    with chatting(FakeEngine()) as session:
        ask(session)
        packed = encoding.pack_provenance(made(session))
        assert packed is not None
        fields = json.loads(packed)
        for name in ("thinking_budget", "thought_cut"):
            del fields[name]
        assert encoding.unpack_provenance(json.dumps(fields).encode()) == made(session)


def test_each_conversation_keeps_its_budget_and_a_new_one_has_the_usual() -> None:
    with chatting(FakeEngine([Script(thought=THOUGHT)])) as session:
        session.thinking_budget = 2
        ask(session)
        first = str(session.conversation.id)
        session.new()
        assert session.thinking_budget is None
        ask(session)
        session.resume(first)
        assert session.thinking_budget == 2


def test_a_budget_that_was_asked_for_goes_before_that_of_the_conversation(tmp_path: Path) -> None:
    file = tmp_path / "conversations.db"
    with chatting(FakeEngine([Script(thought=THOUGHT)]), Library.open(file), thinking_budget=2) as session:
        ask(session)
        conversation = str(session.conversation.id)
    with chatting(FakeEngine(), Library.open(file), thinking_budget=7) as session:
        session.resume(conversation)
        assert session.thinking_budget == 7


def test_answer_now_ends_the_thought_and_is_recorded() -> None:
    engine = FakeEngine([Script("Paris.", thought="Well, let me see. ", hold_at=2)])
    with chatting(engine) as session:
        session.send("Capital?")
        until(session, texts(2))
        session.replies.answer_now()
        assert isinstance(until(session, ended)[-1], TurnFinished)
        reply = session.conversation.path[-1]
        assert reply.reasoning == f"Well, let me {CLOSING}"
        assert reply.text == "Paris."
        assert made(session).thought_cut is ThoughtCut.USER
        assert [part.closed for part in reply.parts if isinstance(part, ReasoningPart)] == [True]


def test_answer_now_has_nothing_to_do_without_a_thought() -> None:
    with chatting(FakeEngine([Script("one two three", hold_at=1)])) as session:
        with pytest.raises(NoThought):
            session.replies.answer_now()
        session.send("Capital?")
        until(session, texts(1))
        with pytest.raises(NoThought, match="not thinking"):
            session.replies.answer_now()
        session.stop()
        until(session, ended)
        assert not session.replies.interrupted_in_thought
        with pytest.raises(NoThought, match="/retry"):
            session.replies.answer_now()


def test_a_reply_that_broke_off_in_its_thought_goes_on_with_its_answer() -> None:
    engine = FakeEngine([BROKEN, Script("Paris it is.")])
    with chatting(engine) as session:
        broken = ask(session)
        before = made(session)
        assert session.replies.interrupted_in_thought
        assert session.model.turn.growing is None
        assert engine.ahead == []
        session.replies.answer_now()
        assert session.busy
        assert not session.replies.interrupted_in_thought
        assert session.conversation.path[-1].status is Status.STREAMING
        until(session, ended)
        reply = session.conversation.path[-1]
        assert (reply.id, reply.status, reply.note) == (broken.id, Status.COMPLETE, "")
        assert reply.parts == (
            ReasoningPart(f"{THOUGHT}{CLOSING}", 5, reply.parts[0].seconds, closed=True),  # type: ignore[union-attr]
            TextPart("Paris it is."),
        )
        command = engine.turns[-1]
        assert (command.begun, command.answer_now, command.thinking) == (
            PartialReply(THOUGHT, thinking=True),
            True,
            True,
        )
        assert command.messages == session.conversation.path[:-1]
        after = made(session)
        assert after.thought_cut is ThoughtCut.USER
        assert after.finish_reason is FinishReason.STOP
        assert after.usage == replace(before.usage, thinking_tokens=before.usage.thinking_tokens + 1, answer_tokens=3)
        assert after.timing.total_s > before.timing.total_s
        ticks = session.library.timeline(reply.id)
        assert [sum(tick.characters for tick in ticks if tick.channel is channel) for channel in Channel] == [
            len(THOUGHT + CLOSING),
            len("Paris it is."),
        ]
        assert [tick.at_ms for tick in ticks] == sorted(tick.at_ms for tick in ticks)
        assert not session.replies.interrupted_in_thought


def test_a_reply_that_was_stopped_or_interrupted_in_its_thought_can_be_made_to_answer(tmp_path: Path) -> None:
    file = tmp_path / "conversations.db"
    with chatting(FakeEngine([Script(thought=THOUGHT, hold_at=2)]), Library.open(file)) as session:
        session.send("Capital?")
        until(session, texts(2))
        session.stop()
        assert isinstance(until(session, ended)[-1], TurnStopped)
        assert session.replies.interrupted_in_thought
        conversation = str(session.conversation.id)
    with chatting(FakeEngine([Script("Paris.")]), Library.open(file), load=False) as session:
        session.resume(conversation)
        assert session.replies.interrupted_in_thought
        session.model.load(LoadModel())
        session.replies.answer_now()
        until(session, ended)
        assert (session.conversation.path[-1].text, session.conversation.path[-1].status) == ("Paris.", Status.COMPLETE)
        assert session.conversation.path[-1].reasoning.startswith("Well, let ")


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_going_on_that_ends_early_keeps_the_thought(how: str) -> None:
    failing = Script("Paris it is.", error=EngineFailed("It broke.", "Again."), error_at=0)
    second = failing if how == "failed" else Script("Paris it is.", prefill_holds=0.5)
    engine = FakeEngine([BROKEN, second, Script("Paris.")])
    with chatting(engine) as session:
        ask(session)
        before = made(session)
        session.replies.answer_now()
        if how == "stopped":
            until(session, lambda seen: any(isinstance(event, PrefillProgressed) for event in seen))
            session.stop()
        assert isinstance(until(session, ended)[-1], TurnFailed if how == "failed" else TurnStopped)
        assert session.conversation.path[-1].reasoning == THOUGHT
        assert session.replies.interrupted_in_thought
        assert made(session).usage.thinking_tokens >= before.usage.thinking_tokens
        assert made(session).timing.first_token_s == before.timing.first_token_s
        session.replies.answer_now()
        engine.release()
        until(session, ended)
        assert (session.conversation.path[-1].text, session.conversation.path[-1].status) == ("Paris.", Status.COMPLETE)


def test_only_the_latest_reply_of_a_model_that_thinks_can_be_made_to_answer() -> None:
    engine = FakeEngine([BROKEN, Script("fine")])
    with chatting(engine) as session:
        ask(session)
        assert session.replies.interrupted_in_thought
        engine.model = replace(MODEL, thinking=ThinkingSupport.NONE)
        session.model.load(LoadModel())
        until(session, loaded)
        assert not session.replies.interrupted_in_thought
        engine.model = MODEL
        session.model.load(LoadModel())
        until(session, loaded)
        assert session.replies.interrupted_in_thought
        ask(session, "And?")
        assert not session.replies.interrupted_in_thought


def test_a_reply_that_repeated_itself_is_asked_for_again_with_a_penalty_and_only_that_one() -> None:
    looping = Script("again and again ", finish=FinishReason.REPETITION)
    engine = FakeEngine([looping, looping, Script("fine")])
    with chatting(engine) as session:
        ask(session)
        assert session.conversation.repeats
        assert made(session).finish_reason is FinishReason.REPETITION
        assert made(session).sampling.presence_penalty == 0
        for _ in range(2):
            session.replies.retry()
            until(session, ended)
            assert engine.turns[-1].sampling.presence_penalty == 1.5
            assert made(session).sampling.presence_penalty == 1.5
        assert not session.conversation.repeats
        session.replies.retry()
        until(session, ended)
        assert engine.turns[-1].sampling.presence_penalty == 0


def test_a_stronger_penalty_of_the_users_own_stays() -> None:
    engine = FakeEngine([Script("again ", finish=FinishReason.REPETITION), Script("fine")])
    with chatting(engine, overrides=SamplingOverrides(presence_penalty=2.0)) as session:
        ask(session)
        session.replies.retry()
        until(session, ended)
        assert engine.turns[-1].sampling.presence_penalty == 2.0
