"""The local engine with a small Qwen3 that was really trained to think."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from qwenchat.chat.engine_commands import LoadModel, Prefill
from qwenchat.chat.errors import ConfigInvalid, EngineFailed, ModelNotFound, OutOfMemory, PromptTooLong
from qwenchat.chat.events import (
    Channel,
    HistoryTrimmed,
    ModelLoaded,
    PrefillProgressed,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart
from qwenchat.chat.provenance import FinishReason, ThinkingSupport
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.base import StopSignal, TurnSignals
from qwenchat.engine.local import loader, torch_loader
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.local.kvcache import KVCache
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.system.paths import Paths
from tests.support.engine_driver import ask, load
from tests.support.tiny_qwen3 import COUNT, FRANCE, HELLO, LESSONS, SKY, SYSTEM, Lesson, reply, system, user


@pytest.fixture
def session(tiny_qwen3: Path, paths: Paths) -> Iterator[Session]:
    worker = Worker(lambda: LocalEngine(paths))
    session = Session(worker, Library.in_memory(), overrides=SamplingOverrides(temperature=0.0, max_tokens=100))
    session.model.load(LoadModel(str(tiny_qwen3), device="cpu", quantization="float32"))
    yield session
    session.close()


def finish(session: Session) -> list[Any]:
    """Everything the session says until its turn ends."""
    events: list[Any] = []
    while session.busy:
        events += session.wait(10)
    return events


def test_the_loaded_model_is_described(fresh: LocalEngine, tiny_qwen3: Path) -> None:
    model = load(fresh, tiny_qwen3)
    assert (model.name, model.device, model.quantization) == (tiny_qwen3.name, "cpu", "float32")
    assert model.thinking is ThinkingSupport.SWITCHED
    assert model.context_window == 4096
    assert model.memory_bytes == 4 * model.parameters


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.question)
def test_thinking_turn_shows_its_thought_then_its_answer(engine: LocalEngine, lesson: Lesson) -> None:
    received = ask(engine, user(lesson.question))
    assert (received.thought, received.answer) == (lesson.thought, lesson.answer)
    spoken = [TextProduced, ThoughtEnded, TextProduced, TurnFinished]
    assert received.kinds() == [PrefillProgressed, ThoughtStarted, *spoken]
    assert isinstance(received.end, TurnFinished)
    assert received.end.reason is FinishReason.STOP


def test_a_model_that_is_not_there_leaves_the_loaded_one_where_it_is(fresh: LocalEngine, tiny_qwen3: Path) -> None:
    before = load(fresh, tiny_qwen3)
    with pytest.raises(ModelNotFound):
        load(fresh, tiny_qwen3 / "nowhere")
    assert load(fresh, tiny_qwen3, back=True) is before
    assert load(fresh, tiny_qwen3) is not before


def test_token_counts_add_up(engine: LocalEngine) -> None:
    received = ask(engine, user(FRANCE.question))
    usage = received.end.usage
    assert usage.thinking_tokens == received.tokens(Channel.THOUGHT)
    assert usage.answer_tokens == received.tokens(Channel.ANSWER)
    last = [event for event in received.events if isinstance(event, PrefillProgressed)][-1]
    assert last.done == last.total == usage.prompt_tokens
    longer = ask(engine, user(FRANCE.question), max_tokens=usage.thinking_tokens + usage.answer_tokens)
    assert longer.answer == FRANCE.answer
    shorter = ask(engine, user(FRANCE.question), max_tokens=usage.thinking_tokens + usage.answer_tokens - 1)
    assert shorter.answer != FRANCE.answer


def test_hard_switch_off_gives_no_thought(engine: LocalEngine) -> None:
    received = ask(engine, user(SKY.question), thinking=False)
    assert received.answer == SKY.answer
    assert received.kinds() == [PrefillProgressed, TextProduced, TurnFinished]
    assert received.end.usage.thinking_tokens == 0


def test_soft_switch_gives_an_empty_thought_that_leaves_no_trace(engine: LocalEngine) -> None:
    received = ask(engine, user(f"{SKY.question} /no_think"))
    assert received.answer == SKY.answer
    assert received.kinds() == [PrefillProgressed, TextProduced, TurnFinished]
    assert received.end.usage.thinking_tokens == 0
    assert received.end.usage.answer_tokens == received.tokens(Channel.ANSWER)


def test_same_seed_gives_the_same_text_and_another_seed_another(engine: LocalEngine, fresh: LocalEngine) -> None:
    def hot(engine: LocalEngine, seed: int) -> str:
        received = ask(engine, user(FRANCE.question), temperature=4.0, top_k=0, top_p=1.0, seed=seed, max_tokens=20)
        return received.thought + received.answer

    first = hot(engine, 7)
    assert hot(engine, 7) == hot(fresh, 7) == first
    assert hot(engine, 8) != first


def test_greedy_gives_the_same_text_whatever_the_seed(engine: LocalEngine) -> None:
    assert ask(engine, user(SKY.question), seed=1).answer == ask(engine, user(SKY.question), seed=2).answer


def test_stop_during_decode_ends_the_turn_and_the_next_is_right(engine: LocalEngine, fresh: LocalEngine) -> None:
    stopped = ask(engine, user(COUNT.question), stop_when=lambda event: isinstance(event, TextProduced))
    assert isinstance(stopped.end, TurnStopped)
    assert COUNT.thought.startswith(stopped.thought)
    assert stopped.thought != COUNT.thought
    following = (user(COUNT.question), user(FRANCE.question))
    after = ask(engine, *following)
    assert after.answer == ask(fresh, *following).answer
    assert ask(engine, user(COUNT.question)).answer == COUNT.answer


def test_stop_during_prefill_ends_the_turn_and_the_next_is_right(engine: LocalEngine) -> None:
    history = (user(HELLO.question), reply(HELLO.answer), user(SKY.question))
    stopped = ask(engine, *history, stop_when=lambda event: isinstance(event, PrefillProgressed))
    assert stopped.kinds() == [PrefillProgressed, TurnStopped]
    first = stopped.events[0]
    assert isinstance(first, PrefillProgressed)
    assert first.done < first.total
    received = ask(engine, *history)
    assert (received.thought, received.answer) == (SKY.thought, SKY.answer)


def test_stop_set_beforehand_reads_nothing(engine: LocalEngine) -> None:
    stop = TurnSignals()
    stop.set()
    received = ask(engine, user(SKY.question), stop=stop)
    assert received.kinds() == [TurnStopped]


def test_max_tokens_ends_the_turn_with_length(engine: LocalEngine) -> None:
    received = ask(engine, user(COUNT.question), thinking=False, max_tokens=5)
    assert isinstance(received.end, TurnFinished)
    assert received.end.reason is FinishReason.LENGTH
    assert received.end.usage.answer_tokens == 5
    assert COUNT.answer.startswith(received.answer)


def test_turn_that_ends_inside_its_thought_leaves_it_open(engine: LocalEngine) -> None:
    received = ask(engine, user(SKY.question), max_tokens=4)
    assert received.kinds() == [PrefillProgressed, ThoughtStarted, TextProduced, TurnFinished]
    assert received.end.usage.thinking_tokens == 4
    assert received.end.usage.answer_tokens == 0


def test_second_turn_reuses_the_cache_and_says_what_a_fresh_engine_says(
    engine: LocalEngine, fresh: LocalEngine
) -> None:
    first = ask(engine, user(FRANCE.question))
    history = (user(FRANCE.question), reply(first.answer, first.thought), user(SKY.question))
    second, alone = ask(engine, *history), ask(fresh, *history)
    assert second.end.usage.cached_tokens >= first.end.usage.prompt_tokens
    assert alone.end.usage.cached_tokens == 0
    assert (second.thought, second.answer) == (alone.thought, alone.answer) == (SKY.thought, SKY.answer)
    assert second.end.usage.prompt_tokens == alone.end.usage.prompt_tokens


def test_reading_ahead_leaves_only_the_new_message_to_read(engine: LocalEngine, fresh: LocalEngine) -> None:
    history = (user(FRANCE.question), reply(FRANCE.answer, FRANCE.thought))
    fresh.read_ahead(Prefill(history, True), StopSignal())
    received = ask(fresh, *history, user(SKY.question))
    assert received.answer == SKY.answer
    alone = ask(engine, user(SKY.question)).end.usage.prompt_tokens
    assert received.end.usage.prompt_tokens - received.end.usage.cached_tokens <= alone


def test_a_draft_weighs_what_it_takes_once_it_is_sent(engine: LocalEngine) -> None:
    history = (user(FRANCE.question), reply(FRANCE.answer, FRANCE.thought))
    counted = engine.count_tokens(
        Prefill(history, True, f"{SKY.question} <|im_end|>", number=7, pieces=("Why", "")), StopSignal()
    )
    assert counted is not None and counted.fits
    received = ask(engine, *history, user(f"{SKY.question} <|im_end|>"))
    assert (counted.number, counted.prompt_tokens) == (7, received.end.usage.prompt_tokens)
    assert counted.pieces == (1, 0)
    hopeless = engine.count_tokens(Prefill(history, True, "sky " * 100_000), StopSignal())
    assert hopeless is not None and not hopeless.fits
    assert hopeless.room < hopeless.limit < hopeless.tokens


def test_a_draft_that_is_read_while_it_is_written_leaves_only_its_end_to_read(fresh: LocalEngine) -> None:
    history = (user(FRANCE.question), reply(FRANCE.answer, FRANCE.thought))
    for draft in ("Why is", "Why is the s"):
        fresh.read_ahead(Prefill(history, True, draft), StopSignal())
    received = ask(fresh, *history, user(SKY.question))
    assert received.answer == SKY.answer
    # " sky", " blue", "?", and the four that begin the reply with two line breaks between.
    assert received.end.usage.prompt_tokens - received.end.usage.cached_tokens <= 9


def test_going_back_to_an_earlier_conversation_finds_its_cache(fresh: LocalEngine) -> None:
    first, second = (system("a " * 200), user(SKY.question)), (system("b " * 200), user(SKY.question))
    for messages in (first, second):
        assert ask(fresh, *messages).end.usage.cached_tokens < 20
    for messages in (first, second, first):
        usage = ask(fresh, *messages).end.usage
        assert usage.cached_tokens == usage.prompt_tokens - 1


def test_long_chat_leaves_out_the_oldest_turns_and_says_so(
    tiny_qwen3: Path, fresh: LocalEngine, engine: LocalEngine
) -> None:
    load(fresh, tiny_qwen3, context_window=200)
    turns = [message for _ in range(10) for message in (user(FRANCE.question), reply(FRANCE.answer))]
    received = ask(fresh, system(SYSTEM), *turns, user(SKY.question))
    trimmed = received.events[0]
    assert isinstance(trimmed, HistoryTrimmed)
    assert trimmed.messages % 2 == 0
    assert 0 < trimmed.messages < 20
    alone = ask(engine, system(SYSTEM), *turns[trimmed.messages :], user(SKY.question))
    assert not any(isinstance(event, HistoryTrimmed) for event in alone.events)
    assert (received.thought, received.answer) == (alone.thought, alone.answer)
    assert received.end.usage.prompt_tokens == alone.end.usage.prompt_tokens <= 150


def test_oversized_message_is_refused_with_its_count_and_the_next_turn_works(
    tiny_qwen3: Path, fresh: LocalEngine
) -> None:
    load(fresh, tiny_qwen3, context_window=200)
    with pytest.raises(PromptTooLong, match=r"1,0.. tokens, and 150 fit") as caught:
        ask(fresh, user("sky " * 1000))
    assert caught.value.tokens > 1000
    assert ask(fresh, user(SKY.question)).answer == SKY.answer


def test_context_window_is_the_users_choice_within_what_the_model_has(
    tiny_qwen3: Path, fresh: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "LONGEST_WINDOW", 1024)
    assert load(fresh, tiny_qwen3).context_window == 1024
    assert load(fresh, tiny_qwen3, context_window=2048).context_window == 2048
    assert load(fresh, tiny_qwen3, context_window=10**9).context_window == 4096
    load(fresh, tiny_qwen3, context_window=0)
    with pytest.raises(PromptTooLong):
        ask(fresh, user(SKY.question))


def test_device_that_is_not_here_is_said_before_anything_is_fetched(fresh: LocalEngine) -> None:
    with pytest.raises(ConfigInvalid, match="no tpu device"):
        load(fresh, Path("no-such-owner/no-such-model"), device="tpu")
    with pytest.raises(ConfigInvalid, match="q1"):
        load(fresh, Path("no-such-owner/no-such-model"), quantization="q1")


def test_window_that_fills_up_ends_the_reply_with_length(tiny_qwen3: Path, fresh: LocalEngine) -> None:
    load(fresh, tiny_qwen3, context_window=32)
    received = ask(fresh, user(COUNT.question), thinking=False)
    usage = received.end.usage
    assert isinstance(received.end, TurnFinished)
    assert received.end.reason is FinishReason.LENGTH
    assert usage.prompt_tokens + usage.answer_tokens == 32


def test_failed_load_leaves_the_engine_usable(tiny_qwen3: Path, fresh: LocalEngine, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        load(fresh, tmp_path)
    with pytest.raises(EngineFailed, match="No model is loaded"):
        ask(fresh, user(SKY.question))
    load(fresh, tiny_qwen3)
    assert ask(fresh, user(SKY.question)).answer == SKY.answer


def _no_memory() -> RuntimeError:
    """What torch raises on the CPU, obtained from torch."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    return caught.value


OUT_OF_MEMORY = [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), _no_memory()]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_memory_that_runs_out_in_a_long_prefill_is_said_and_the_next_turn_works(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def reserve(self: KVCache, tokens: int) -> None:
        if tokens > 100:
            raise error

    assert ask(engine, user(SKY.question)).answer == SKY.answer
    with monkeypatch.context() as patch:
        patch.setattr(KVCache, "reserve", reserve)
        with pytest.raises(OutOfMemory):
            ask(engine, user("sky " * 500))
        with pytest.raises(OutOfMemory):
            engine.read_ahead(Prefill((user("sky " * 500), reply("Yes.")), True), StopSignal())
    assert ask(engine, user(SKY.question)).answer == SKY.answer


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_memory_that_runs_out_while_loading_is_said_and_the_next_load_works(
    tiny_qwen3: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*args: object) -> None:
        raise error

    engine = LocalEngine(paths)
    with monkeypatch.context() as patch:
        patch.setattr(torch_loader, "Decoder", full)
        with pytest.raises(OutOfMemory, match=tiny_qwen3.name):
            load(engine, tiny_qwen3)
    load(engine, tiny_qwen3)
    assert ask(engine, user(SKY.question)).answer == SKY.answer


def test_model_that_produces_nan_fails_the_turn(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    read = SequenceContext.read

    def broken(self: SequenceContext, ids: list[int], stop: StopSignal) -> None:
        read(self, ids, stop)
        self.logits = self.logits * float("nan")

    for temperature in (0.0, 0.6):
        with monkeypatch.context() as patch:
            patch.setattr(SequenceContext, "read", broken)
            with pytest.raises(EngineFailed, match="NaN"):
                ask(engine, user(SKY.question), temperature=temperature)
    assert ask(engine, user(SKY.question)).answer == SKY.answer


def test_session_keeps_thought_and_answer_of_a_real_turn(session: Session) -> None:
    session.send(FRANCE.question)
    assert any(isinstance(event, ModelLoaded) for event in finish(session))
    said = session.conversation.path[-1]
    assert (said.status, said.reasoning, said.text) == (Status.COMPLETE, FRANCE.thought, FRANCE.answer)
    assert said.provenance is not None
    assert said.provenance.finish_reason is FinishReason.STOP
    thoughts = [part for part in said.parts if isinstance(part, ReasoningPart)]
    assert [part.tokens for part in thoughts] == [said.provenance.usage.thinking_tokens]
    assert thoughts[0].closed


def test_session_turns_thinking_off_by_key_and_by_message(session: Session) -> None:
    session.send(f"{SKY.question} /no_think")
    finish(session)
    assert (session.conversation.path[-1].reasoning, session.conversation.path[-1].text) == ("", SKY.answer)
    session.new()
    session.toggle_thinking()
    session.send(HELLO.question)
    finish(session)
    assert (session.conversation.path[-1].reasoning, session.conversation.path[-1].text) == ("", HELLO.answer)
    session.toggle_thinking()
    session.send(FRANCE.question)
    finish(session)
    assert (session.conversation.path[-1].reasoning, session.conversation.path[-1].text) == (
        FRANCE.thought,
        FRANCE.answer,
    )


def test_session_stops_a_real_turn_and_goes_on(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    read, stopped = SequenceContext.read, threading.Event()

    def gated(self: SequenceContext, ids: list[int], stop: StopSignal) -> None:
        if len(self.ids) > 20:
            stopped.wait(10)
        read(self, ids, stop)

    monkeypatch.setattr(SequenceContext, "read", gated)
    session.send(COUNT.question)
    while not any(isinstance(event, TextProduced) for event in session.wait(10)):
        pass
    session.stop()
    stopped.set()
    finish(session)
    said = session.conversation.path[-1]
    assert said.status is Status.STOPPED
    assert COUNT.thought.startswith(said.reasoning)
    session.new()
    session.send(SKY.question)
    finish(session)
    assert session.conversation.path[-1].text == SKY.answer


def test_conversation_of_two_turns_matches_a_fresh_engine(session: Session, fresh: LocalEngine) -> None:
    for question in (FRANCE.question, SKY.question):
        session.send(question)
        finish(session)
    received = ask(fresh, *session.conversation.path[:-1])
    assert (session.conversation.path[-1].reasoning, session.conversation.path[-1].text) == (
        received.thought,
        received.answer,
    )
    usage = session.conversation.path[-1].provenance.usage if session.conversation.path[-1].provenance else None
    assert usage is not None
    assert 0 < usage.cached_tokens < usage.prompt_tokens == received.end.usage.prompt_tokens


def test_text_that_is_no_unicode_is_read_anyway(engine: LocalEngine) -> None:
    odd = Message(Role.USER, (TextPart("Hello!\ud800\x00"),))
    assert isinstance(ask(engine, odd, max_tokens=3).end, TurnFinished)
