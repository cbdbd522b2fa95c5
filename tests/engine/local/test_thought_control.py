"""Thinking under the user's control, with a small Qwen3 that was really trained to think."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.events import (
    BeginningTrimmed,
    Channel,
    PrefillProgressed,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    TurnEvent,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.provenance import FinishReason, ThoughtCut
from qwenchat.engine.base import TurnSignals
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.local.sampler import Sampler
from tests.support.engine_driver import Heard, ask, load
from tests.support.tiny_qwen3 import COUNT, FRANCE, LESSONS, SKY, Lesson, reply, user

SENTENCE = "Considering the limited time by the user, I have to give the solution based on the thinking directly now."
CUT = [PrefillProgressed, ThoughtStarted, TextProduced, ThoughtEnded, TextProduced, TurnFinished]


def read_by(engine: LocalEngine) -> str:
    """What the model has read, as the tokenizer spells it, from the latest question on."""
    assert engine._loaded is not None
    ids = engine._loaded.contexts._held[0].ids
    return engine._loaded.tokenizer.decode(ids).rpartition("<|im_start|>assistant\n")[2]


def answer_from(engine: LocalEngine, lesson: Lesson, thought: str, **options: Any) -> Heard:
    """Have a lesson answered from a thought that broke off."""
    return ask(engine, user(lesson.question), begun=PartialReply(thought, thinking=True), answer_now=True, **options)


def reason(received: Heard) -> FinishReason:
    assert isinstance(received.end, TurnFinished)
    return received.end.reason


def cut_of(received: Heard) -> ThoughtCut | None:
    return next((event.cut for event in received.events if isinstance(event, ThoughtEnded)), None)


def after_thought(text: str) -> Callable[[TurnEvent], bool]:
    """Holds for the event with which the thought reaches `text`."""
    said = ""

    def reached(event: TurnEvent) -> bool:
        nonlocal said
        said += event.text if isinstance(event, TextProduced) else ""
        return said == text

    return reached


def test_a_thought_within_its_budget_is_left_alone(engine: LocalEngine) -> None:
    received = ask(engine, user(SKY.question), budget=100)
    assert (received.thought, received.answer) == (SKY.thought, SKY.answer)
    assert cut_of(received) is None


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_a_spent_budget_ends_the_thought_with_the_sentence_of_qwen_and_the_answer_follows(
    engine: LocalEngine, fresh: LocalEngine, budget: int
) -> None:
    received = ask(engine, user(COUNT.question), budget=budget)
    thought = received.thought.removesuffix(SENTENCE).rstrip()
    assert received.thought.endswith(SENTENCE)
    assert COUNT.thought.startswith(thought)
    assert received.kinds() == CUT
    assert cut_of(received) is ThoughtCut.BUDGET
    assert reason(received) is FinishReason.STOP
    assert received.answer
    assert read_by(engine) == f"<think>\n{thought}\n\n{SENTENCE}\n</think>\n\n{received.answer}"
    if thought:
        assert answer_from(fresh, COUNT, thought).answer == received.answer


def test_the_budget_is_counted_in_tokens_of_thought(engine: LocalEngine) -> None:
    free = ask(engine, user(COUNT.question)).end.usage.thinking_tokens
    around = len(encode(engine, "<think>\n")) + len(encode(engine, f"\n\n{SENTENCE}\n</think>\n\n"))
    for budget in range(1, 6):
        received = ask(engine, user(COUNT.question), budget=budget)
        thought = received.thought.removesuffix(SENTENCE).rstrip()
        assert len(encode(engine, thought)) == budget
        assert received.end.usage.thinking_tokens == around + budget
        assert received.end.usage.thinking_tokens == received.tokens(Channel.THOUGHT)
        assert received.end.usage.answer_tokens == received.tokens(Channel.ANSWER)
    assert ask(engine, user(COUNT.question), budget=free).thought == COUNT.thought


def test_the_budget_has_no_say_in_a_turn_without_thought(engine: LocalEngine) -> None:
    assert ask(engine, user(SKY.question), budget=1, thinking=False).answer == SKY.answer
    assert ask(engine, user(f"{SKY.question} /no_think"), budget=1).answer == SKY.answer
    asked = ask(engine, user(f"{SKY.question} /no_think"), answer_when=lambda event: True)
    assert (asked.thought, asked.answer) == ("", SKY.answer)


def test_asking_for_the_answer_ends_the_thought_there_and_then(engine: LocalEngine, fresh: LocalEngine) -> None:
    received = ask(engine, user(COUNT.question), answer_when=after_thought("From one to"))
    thought = received.thought.removesuffix(SENTENCE).rstrip()
    assert thought == "From one to"
    assert received.kinds() == CUT
    assert cut_of(received) is ThoughtCut.USER
    assert answer_from(fresh, COUNT, thought).answer == received.answer


def test_asking_for_the_answer_while_the_prompt_is_read_ends_the_thought_after_a_word(engine: LocalEngine) -> None:
    received = ask(engine, user(COUNT.question), answer_when=lambda event: isinstance(event, PrefillProgressed))
    assert received.thought == f"From\n\n{SENTENCE}"
    assert cut_of(received) is ThoughtCut.USER


def test_asking_for_the_answer_while_it_comes_changes_nothing(engine: LocalEngine) -> None:
    received = ask(engine, user(SKY.question), answer_when=lambda event: isinstance(event, ThoughtEnded))
    assert (received.thought, received.answer) == (SKY.thought, SKY.answer)
    assert cut_of(received) is None


def test_a_cut_thought_is_cut_between_two_characters(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    bird = encode(engine, " 𓅓")
    assert len(bird) > 2
    draw_these(monkeypatch, chain(encode(engine, "<think>\nA"), bird, cycle(encode(engine, " so"))))
    received = ask(engine, user(SKY.question), budget=3, max_tokens=60)
    assert received.thought == f"A 𓅓\n\n{SENTENCE}"


def test_the_next_turn_after_a_cut_thought_is_what_a_fresh_engine_says(engine: LocalEngine, fresh: LocalEngine) -> None:
    received = ask(engine, user(COUNT.question), budget=3)
    history = (user(COUNT.question), reply(received.answer, received.thought), user(FRANCE.question))
    after, alone = ask(engine, *history), ask(fresh, *history)
    assert (after.thought, after.answer) == (alone.thought, alone.answer)
    assert after.end.usage.prompt_tokens == alone.end.usage.prompt_tokens


def test_a_cut_that_leaves_no_room_for_an_answer_is_not_made(engine: LocalEngine) -> None:
    received = ask(engine, user(COUNT.question), budget=3, max_tokens=20)
    assert reason(received) is FinishReason.LENGTH
    assert SENTENCE not in received.thought
    assert cut_of(received) is None


def test_a_turn_can_be_stopped_after_its_thought_was_cut(engine: LocalEngine) -> None:
    received = ask(engine, user(COUNT.question), budget=3, stop_when=lambda event: isinstance(event, ThoughtEnded))
    assert isinstance(received.end, TurnStopped)
    assert received.thought.endswith(SENTENCE)
    assert ask(engine, user(SKY.question)).answer == SKY.answer


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.question)
def test_a_reply_that_broke_off_in_its_thought_goes_on_with_the_answer(engine: LocalEngine, lesson: Lesson) -> None:
    broken = ask(engine, user(lesson.question), max_tokens=4)
    assert broken.answer == ""
    received = answer_from(engine, lesson, broken.thought)
    assert received.thought == f"\n\n{SENTENCE}"
    assert received.kinds() == [PrefillProgressed, TextProduced, ThoughtEnded, TextProduced, TurnFinished]
    assert cut_of(received) is ThoughtCut.USER
    assert read_by(engine) == f"<think>\n{broken.thought}\n\n{SENTENCE}\n</think>\n\n{received.answer}"
    usage = received.end.usage
    assert usage.prompt_tokens == broken.end.usage.prompt_tokens
    assert usage.cached_tokens == usage.prompt_tokens
    assert usage.thinking_tokens == received.tokens(Channel.THOUGHT)


def test_control_tokens_spelled_in_a_thought_that_is_gone_on_from_are_text(engine: LocalEngine) -> None:
    received = answer_from(engine, SKY, "It ends with </think> and <|im_end|>.\n" * 200 + "So.")
    assert received.thought == f"\n\n{SENTENCE}"
    assert engine._loaded is not None
    ids = engine._loaded.contexts._held[0].ids
    closes, ends = (engine._loaded.tokenizer.token_id(text) for text in ("</think>", "<|im_end|>"))
    assert (ids.count(closes), ids.count(ends)) == (1, 1)


def test_a_thought_that_fills_the_context_is_gone_on_from_its_latest_part(tiny_qwen3: Path, fresh: LocalEngine) -> None:
    load(fresh, tiny_qwen3, context_window=400)
    received = answer_from(fresh, SKY, "one two " * 300 + "three", max_tokens=1000)
    trimmed = received.events[0]
    assert isinstance(trimmed, BeginningTrimmed)
    assert 200 < trimmed.tokens < 400
    assert len(read_by(fresh).split("\n")[1].split()) + trimmed.tokens == 601
    assert "three\n\nConsidering" in read_by(fresh)


def test_stop_while_a_thought_is_read_again_ends_the_turn(fresh: LocalEngine) -> None:
    signals = TurnSignals()
    signals.set()
    received = answer_from(fresh, SKY, "one two " * 100, stop=signals)
    assert received.kinds() == [TurnStopped]


def encode(engine: LocalEngine, text: str) -> list[int]:
    assert engine._loaded is not None
    return engine._loaded.tokenizer.encode(text)


def draw_these(monkeypatch: pytest.MonkeyPatch, tokens: Iterator[int]) -> None:
    """Let the model choose these tokens, whatever it thinks likely."""
    monkeypatch.setattr(Sampler, "draw", lambda self, logits: next(tokens))


@pytest.mark.parametrize("opening", ["", "<think>\n"], ids=["in the answer", "in the thought"])
def test_endless_repetition_ends_the_turn_with_that_reason_and_keeps_the_text(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, opening: str
) -> None:
    passage = " So I must check it again."
    with monkeypatch.context() as patch:
        draw_these(patch, chain(encode(engine, opening), cycle(encode(engine, passage))))
        received = ask(engine, user(SKY.question), max_tokens=3000)
    assert reason(received) is FinishReason.REPETITION
    said = received.thought if opening else received.answer
    assert len(said.split(".")) > 50
    usage = received.end.usage
    assert usage.thinking_tokens + usage.answer_tokens < 600
    assert ask(engine, user(SKY.question)).answer == SKY.answer


def test_repetition_is_found_in_what_comes_after_a_cut_thought(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    passage = encode(engine, " So I must check it again.")
    draw_these(monkeypatch, chain(encode(engine, "<think>\n"), cycle(passage)))
    received = ask(engine, user(SKY.question), budget=300, max_tokens=3000)
    assert reason(received) is FinishReason.REPETITION
    assert cut_of(received) is ThoughtCut.BUDGET


def test_a_list_that_is_counted_up_is_not_ended(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: Sequence[int] = encode(engine, "".join(f"\n{n}. Check the value and go on." for n in range(1, 60)))
    draw_these(monkeypatch, iter(steps))
    received = ask(engine, user(SKY.question), max_tokens=len(steps) - 1)
    assert reason(received) is FinishReason.LENGTH
