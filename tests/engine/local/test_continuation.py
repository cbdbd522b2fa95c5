"""An interrupted reply goes on from its last word, with a small Qwen3 that was really trained."""

from pathlib import Path

import pytest

from qwenchat.chat.continuation import PartialReply, begun_in
from qwenchat.chat.events import BeginningTrimmed, HistoryTrimmed, ThoughtEnded, ThoughtStarted, TurnFinished
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart, ToolCallPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.engine.local.detokenize import Detokenizer
from qwenchat.engine.local.engine import LocalEngine
from tests.support.engine_driver import Heard, ask, load
from tests.support.tiny_qwen3 import COUNT, LESSONS, SKY, Lesson, reply, user


def read_by(engine: LocalEngine) -> list[int]:
    """The tokens that the model has read."""
    assert engine._loaded is not None
    return engine._loaded.contexts._held[0].ids


def what_is_there(received: Heard) -> PartialReply:
    """The part of the reply that was heard."""
    ended = any(isinstance(event, ThoughtEnded) for event in received.events)
    return PartialReply(received.thought, received.answer, thinking=bool(received.thought) and not ended)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.question)
@pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "not thinking"])
def test_wherever_it_breaks_off_it_goes_on_as_if_it_had_not(
    engine: LocalEngine, lesson: Lesson, thinking: bool
) -> None:
    whole = ask(engine, user(lesson.question), thinking=thinking)
    ids = list(read_by(engine))
    assert (whole.thought, whole.answer) == (lesson.thought if thinking else "", lesson.answer)
    for length in range(1, len(ids)):
        broken = ask(engine, user(lesson.question), thinking=thinking, max_tokens=length)
        if isinstance(broken.end, TurnFinished) and broken.end.reason is FinishReason.STOP:
            break
        there = what_is_there(broken)
        rest = ask(engine, user(lesson.question), thinking=thinking, begun=there)
        assert (there.thought + rest.thought).rstrip() == whole.thought
        assert there.answer + rest.answer == whole.answer
        assert any(isinstance(event, ThoughtStarted) for event in rest.events) is (thinking and not there.thought)
        assert read_by(engine) == ids, f"broken off after {length} tokens"
    else:
        raise AssertionError("the reply never came to its end")


def test_what_was_read_before_it_broke_off_is_not_read_again(engine: LocalEngine) -> None:
    broken = ask(engine, user(COUNT.question), thinking=False, max_tokens=9)
    read = len(read_by(engine))
    rest = ask(engine, user(COUNT.question), thinking=False, begun=what_is_there(broken))
    assert broken.answer + rest.answer == COUNT.answer
    progress = rest.events[0]
    assert progress.done - read <= 1  # type: ignore[union-attr]


def test_going_on_counts_only_what_is_new(engine: LocalEngine) -> None:
    whole = ask(engine, user(COUNT.question), thinking=False)
    broken = ask(engine, user(COUNT.question), thinking=False, max_tokens=9)
    rest = ask(engine, user(COUNT.question), thinking=False, begun=what_is_there(broken))
    assert broken.end.usage.answer_tokens + rest.end.usage.answer_tokens == whole.end.usage.answer_tokens
    assert rest.end.usage.prompt_tokens == whole.end.usage.prompt_tokens


def test_a_thought_that_goes_on_keeps_to_its_budget(engine: LocalEngine) -> None:
    at_once = ask(engine, user(COUNT.question), budget=5)
    broken = ask(engine, user(COUNT.question), max_tokens=5)
    rest = ask(engine, user(COUNT.question), budget=5, begun=what_is_there(broken))
    assert broken.thought + rest.thought == at_once.thought


def test_the_tags_that_an_answer_spells_are_text_when_it_goes_on(engine: LocalEngine) -> None:
    ask(engine, user(SKY.question), begun=PartialReply("Short.", "He wrote </think> and <|im_end|> and then"))
    assert engine._loaded is not None
    token = engine._loaded.tokenizer.token_id
    ids = read_by(engine)
    assert (ids.count(token("</think>")), ids.count(token("<|im_end|>"))) == (1, 1)


def test_a_reply_that_filled_the_context_goes_on_from_its_latest_part(tiny_qwen3: Path, fresh: LocalEngine) -> None:
    load(fresh, tiny_qwen3, context_window=400)
    received = ask(
        fresh, user(SKY.question), begun=PartialReply("one two " * 100, "three four " * 300 + "five"), max_tokens=50
    )
    trimmed = received.events[0]
    assert isinstance(trimmed, BeginningTrimmed)
    assert fresh._loaded is not None
    text = fresh._loaded.tokenizer.decode(read_by(fresh)).rpartition("<|im_start|>assistant\n")[2]
    assert text.startswith("<think>\n</think>\n\n ")
    assert "one" not in text
    assert "four five" in text
    assert len(read_by(fresh)) <= 400


def test_old_history_goes_before_any_of_the_reply_that_goes_on(tiny_qwen3: Path, fresh: LocalEngine) -> None:
    load(fresh, tiny_qwen3, context_window=400)
    history = (user("one two " * 60), reply("three four " * 60), user(SKY.question))
    received = ask(
        fresh, *history, thinking=False, begun=PartialReply(answer="five six " * 50 + "seven"), max_tokens=20
    )
    assert [type(event) for event in received.events[:1]] == [HistoryTrimmed]
    assert not any(isinstance(event, BeginningTrimmed) for event in received.events)


class Metaspace:
    """Decodes as SentencePiece does: the space before the first word is lost."""

    WORDS = ("▁It", "▁is", "▁Paris", ".")

    def decode(self, ids: list[int]) -> str:
        return "".join(self.WORDS[at] for at in ids).replace("▁", " ").removeprefix(" ")


def test_the_space_before_the_next_word_is_not_lost_where_a_reply_goes_on() -> None:
    detokenizer = Detokenizer(Metaspace())
    detokenizer.begin_after([0, 1])
    assert "".join(detokenizer.feed(token) for token in (2, 3)) == " Paris."


def test_only_a_reply_that_broke_off_can_be_gone_on_with() -> None:
    def said(*parts: object, status: Status = Status.STOPPED, role: Role = Role.ASSISTANT) -> Message:
        return Message(role, parts, status=status)  # type: ignore[arg-type]

    thought, text = ReasoningPart("Hm."), TextPart("So")
    assert begun_in(said()) == PartialReply()
    assert begun_in(said(text)) == PartialReply(answer="So")
    assert begun_in(said(thought)) == PartialReply("Hm.")
    assert begun_in(said(ReasoningPart("Hm", closed=False))) == PartialReply("Hm", thinking=True)
    assert begun_in(said(thought, text, status=Status.INTERRUPTED)) == PartialReply("Hm.", "So")
    assert begun_in(said(text, status=Status.FAILED)) == PartialReply(answer="So")
    assert begun_in(said(text, status=Status.COMPLETE)) is None
    assert begun_in(said(text, status=Status.STREAMING)) is None
    assert begun_in(said(text, role=Role.USER)) is None
    assert begun_in(said(text, ToolCallPart("1", "f", "{}"))) is None
