"""The model tells of a reply that is there how sure it is of each token, as it would have been when it said it."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from qwenchat.chat.branch_point import beginning
from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.engine_commands import ScoreReply
from qwenchat.chat.errors import PromptTooLong
from qwenchat.chat.events import Channel, ScoredToken, TokenAlternative
from qwenchat.chat.messages import Message, ReasoningPart, TextPart
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.local.prompt import ChatTemplate
from qwenchat.engine.local.tokenizer import ChatTokenizer
from qwenchat.system.paths import Paths
from tests.support.engine_driver import ask, load
from tests.support.tiny_qwen3 import COUNT, FRANCE, SKY, user

SKY_BEGUN = PartialReply(SKY.thought, SKY.answer)


def scored(
    engine: LocalEngine, *messages: Message, reply: PartialReply = SKY_BEGUN, ended: bool = True
) -> list[ScoredToken]:
    """Every token of a reply."""
    command = ScoreReply(messages or (user(SKY.question),), reply, ended)
    events = list(engine.score(command, StopSignal()))
    tokens = [token for event in events for token in event.tokens]
    assert {event.total for event in events} == {len(tokens)}
    return tokens


def said(tokens: list[ScoredToken], channel: Channel) -> str:
    return "".join(token.text for token in tokens if token.channel is channel and not token.control)


@torch.inference_mode()
def test_the_probabilities_are_those_of_transformers(engine: LocalEngine, tiny_qwen3: Path) -> None:
    reply = PartialReply("Short waves greet Paris.", "Air scatters of 🌍 twenty.")
    tokens = scored(engine, reply=reply)
    tokenizer = ChatTokenizer.from_folder(tiny_qwen3)
    prompt = ChatTemplate(tokenizer).render([user(SKY.question)], thinking=True).ids
    ids = tokenizer.encode(f"<think>\n{reply.thought}\n</think>\n\n{reply.answer}<|im_end|>")
    model = AutoModelForCausalLM.from_pretrained(tiny_qwen3, dtype=torch.float32)
    logits = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
    shares = logits.log_softmax(-1).exp()
    expected = shares[torch.arange(len(ids)), torch.tensor(ids)]
    assert torch.tensor([token.chosen.probability for token in tokens]) == pytest.approx(expected, rel=1e-3, abs=1e-6)
    for token, share in zip(tokens, shares, strict=True):
        assert [one.probability for one in token.likeliest] == pytest.approx(
            share.topk(5).values.tolist(), rel=1e-3, abs=1e-6
        )


def test_its_tokens_are_the_reply_with_its_tags_and_its_end(engine: LocalEngine) -> None:
    tokens = scored(engine)
    assert said(tokens, Channel.THOUGHT) == f"\n{SKY.thought}\n"
    assert said(tokens, Channel.ANSWER) == f"\n\n{SKY.answer}"
    assert [token.text for token in tokens if token.control] == ["<think>", "</think>", "<|im_end|>"]
    assert all(token.chosen == token.likeliest[0] for token in tokens)
    assert [token.text for token in scored(engine, ended=False)] == [token.text for token in tokens[:-1]]


def test_an_answer_without_thought_is_looked_at_as_it_was_asked_for(engine: LocalEngine) -> None:
    tokens = scored(engine, reply=PartialReply(answer=SKY.answer))
    assert said(tokens, Channel.ANSWER) == SKY.answer
    assert all(token.chosen == token.likeliest[0] for token in tokens)


def test_what_spells_a_control_token_is_text(engine: LocalEngine) -> None:
    tokens = scored(engine, reply=PartialReply("a</think>b", "c<|im_end|>d"), ended=False)
    assert said(tokens, Channel.THOUGHT).strip() == "a</think>b"
    assert said(tokens, Channel.ANSWER).strip() == "c<|im_end|>d"


def test_a_part_of_a_character_has_no_text_of_its_own(engine: LocalEngine) -> None:
    tokens = scored(engine, reply=PartialReply(answer="most 🌍."), ended=False)
    assert [token.text for token in tokens] == ["most", "", "", " 🌍", "."]
    inside = next(at for at, token in enumerate(tokens) if not token.text) + 1
    assert beginning(tokens, inside, TokenAlternative("x", 0.5)) is None


def test_the_next_turn_is_what_it_would_have_been(engine: LocalEngine, fresh: LocalEngine) -> None:
    before = ask(fresh, user(COUNT.question))
    scored(engine, user(COUNT.question), reply=PartialReply(COUNT.thought, FRANCE.answer))
    after = ask(engine, user(COUNT.question))
    assert (after.thought, after.answer) == (before.thought, before.answer)


def test_it_ends_at_once_when_it_is_stopped(engine: LocalEngine) -> None:
    stop = StopSignal()
    events = engine.score(ScoreReply((user(SKY.question),), SKY_BEGUN, True), stop)
    next(events)
    stop.set()
    with pytest.raises(Stopped):
        list(events)


def test_a_reply_that_does_not_fit_is_refused(tiny_qwen3: Path, paths: Paths) -> None:
    engine = LocalEngine(paths)
    load(engine, tiny_qwen3, context_window=256)
    with pytest.raises(PromptTooLong):
        scored(engine, reply=PartialReply(answer="one two three " * 100))


def test_going_on_from_an_alternative_goes_on_from_the_words_before_it(engine: LocalEngine) -> None:
    tokens = scored(engine)
    at = next(at for at, token in enumerate(tokens) if "waves" in token.text)
    begun = beginning(tokens, at, TokenAlternative(" cats", 0.1))
    assert begun is not None
    assert begun.parts == (ReasoningPart("Short cats", at, closed=False),)
    ends = beginning(tokens, at, TokenAlternative("</think>", 0.1, control=True))
    assert ends is not None
    assert ends.parts == (ReasoningPart("Short", at - 1, closed=True),)
    at = next(at for at, token in enumerate(tokens) if "light" in token.text)
    begun = beginning(tokens, at, TokenAlternative(" dogs", 0.1))
    assert begun is not None
    assert begun.parts[1] == TextPart("Air scatters blue dogs")
    assert isinstance(begun.parts[0], ReasoningPart)
    assert begun.parts[0].closed
    assert begun.parts[0].text.strip() == SKY.thought
    assert beginning(tokens, at, TokenAlternative("<|im_end|>", 0.1, control=True)) is None
