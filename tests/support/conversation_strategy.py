"""Arbitrary conversations: trees with branches, thoughts, calls of tools, every way of ending, and how it was made."""

from dataclasses import fields, replace

from hypothesis import strategies as st

from qwenchat.chat.calls import identified
from qwenchat.chat.events import Channel
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import (
    FinishReason,
    ModelInfo,
    Provenance,
    ThinkingSupport,
    ThoughtCut,
    Timing,
    Usage,
)
from qwenchat.chat.sampling import Sampling, SamplingOverrides
from qwenchat.chat.timeline import Tick
from qwenchat.library.conversation import Conversation

texts = st.text(max_size=20) | st.sampled_from(["```\n", "\x1b[31m\x9b", "\u202e\u2028", "<!--", "\0", "😀", '"\\'])
counts = st.integers(0, 2**53)
seconds = st.floats(0, 1e9)
dates = st.floats(0, 4e9)
parts = st.one_of(
    st.builds(TextPart, texts),
    st.builds(ReasoningPart, texts, counts, seconds, st.booleans()),
    st.builds(ToolCallPart, texts, texts, texts),
    st.builds(ToolResultPart, texts, texts, texts, st.booleans()),
)
chances = st.floats(0, 1)
samplings = st.builds(
    Sampling,
    repetition_penalty=st.floats(0.01, 10),
    presence_penalty=st.floats(-2, 2),
    temperature=st.floats(0, 10),
    top_k=st.integers(0, 1000),
    top_p=chances,
    min_p=chances,
    seed=st.none() | st.integers(0, 2**63 - 1),
)
models = st.builds(
    ModelInfo,
    name=texts,
    revision=texts,
    quantization=texts,
    device=texts,
    context_window=counts,
    thinking=st.sampled_from(ThinkingSupport),
    sampling=st.builds(SamplingOverrides, temperature=st.none() | chances),
    reason=texts,
)
provenances = st.builds(
    Provenance,
    models,
    samplings,
    st.booleans(),
    st.builds(Usage, *[counts] * len(fields(Usage))),
    st.builds(Timing, *[seconds] * len(fields(Timing))),
    st.none() | st.sampled_from(FinishReason),
    st.none() | st.integers(0, 10**6),
    st.none() | st.sampled_from(ThoughtCut),
)
ids = st.text("0123456789abcdef", min_size=16, max_size=16)
ticks = st.lists(st.builds(Tick, st.integers(0, 10**7), st.sampled_from(Channel), st.integers(0, 10**5)), max_size=4)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Conversation, dict[str, tuple[Tick, ...]]]:
    """A conversation and the timelines of its messages."""
    messages: list[Message] = []
    timelines = {}
    for id_ in draw(st.lists(ids, max_size=6, unique=True)):
        message = Message(
            draw(st.sampled_from(Role)),
            tuple(draw(st.lists(parts, max_size=3))),
            draw(st.none() | st.sampled_from([m.id for m in messages])) if messages else None,
            id_,
            draw(dates),
            draw(st.sampled_from(Status)),
            draw(texts),
            draw(st.none() | provenances),
        )
        messages.append(message)
        if drawn := draw(ticks):
            timelines[id_] = tuple(sorted(drawn, key=lambda tick: tick.at_ms))
    conversation = Conversation(
        draw(ids),
        draw(texts),
        draw(dates),
        draw(dates),
        tuple(identified(messages)),
        draw(st.sampled_from([m.id for m in messages])) if messages else None,
        draw(texts),
        draw(st.booleans()),
        draw(st.booleans()),
    )
    return conversation, timelines


def ended(conversation: Conversation) -> Conversation:
    """The conversation once nobody is writing in it any more."""
    return replace(
        conversation,
        messages=tuple(
            replace(m, status=Status.INTERRUPTED, note=m.note or "interrupted") if m.status is Status.STREAMING else m
            for m in conversation.messages
        ),
    )
