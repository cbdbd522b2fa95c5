"""The account of a message: everything that is known of how it came to be, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from qwenchat.chat.endings import Ending, ending_of
from qwenchat.chat.messages import Message, Role, Status
from qwenchat.chat.provenance import ModelInfo, Provenance, ThoughtCut, Timing
from qwenchat.chat.sampling import SAMPLING
from qwenchat.chat.text import safe_line
from qwenchat.chat.thinking import open_thought
from qwenchat.chat.timeline import Tick
from qwenchat.i18n.texts import count, listed, say


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that is known."""

    name: str
    value: str
    note: str = ""
    marked: bool = False
    """Whether it is other than usual."""


@dataclass(frozen=True, slots=True)
class BarShare:
    """A part of a whole."""

    name: str
    amount: float


@dataclass(frozen=True, slots=True)
class DetailGroup:
    """What is known of one side of a message."""

    title: str
    facts: tuple[Detail, ...]
    shares: tuple[BarShare, ...] = ()
    """What the whole is made of, where there is one."""


def details_of(message: Message, number: int, versions: int, typed: tuple[Tick, ...] = ()) -> tuple[DetailGroup, ...]:
    """All that is known of a message, which is the version `number` of so many; `typed` is how it was written."""
    facts = [DetailGroup(_speaker(message), tuple(_message(message, number, versions, typed)))]
    if (made := message.provenance) is not None:
        facts += [
            DetailGroup(say("Model"), tuple(_model(made.model))),
            DetailGroup(say("Mode"), tuple(_mode(message, made))),
            DetailGroup(say("Sampling"), tuple(_sampling(made))),
            DetailGroup(say("Tokens"), tuple(_tokens(made)), _token_shares(made)),
            DetailGroup(say("Time"), tuple(_times(made)), _time_shares(made)),
        ]
    elif message.role is Role.ASSISTANT:
        facts.append(DetailGroup(say("Model"), (Detail(say("model"), say("not known")),)))
    return tuple(facts)


def details_as_text(account: tuple[DetailGroup, ...]) -> str:
    """An account as plain text, to be copied."""
    blocks = []
    for facts in account:
        rows = (f"  {fact.name}: {fact.value}{f' ({fact.note})' if fact.note else ''}" for fact in facts.facts)
        blocks.append("\n".join((facts.title, *rows)))
    return "\n\n".join(blocks) + "\n"


def _speaker(message: Message) -> str:
    match message.role:
        case Role.ASSISTANT:
            return say("Reply")
        case Role.USER:
            return say("Your message")
        case Role.SYSTEM:
            return say("System prompt")
        case Role.TOOL:
            return say("Result of a tool")


def _message(message: Message, number: int, versions: int, typed: tuple[Tick, ...]) -> Iterator[Detail]:
    yield Detail(say("made") if message.role is Role.ASSISTANT else say("said"), _moment(message.created))
    if message.role is Role.USER:
        yield Detail(say("typed for"), say("{seconds} s", seconds=f"{typed[-1].at_ms / 1000:,.1f}") if typed else "-")
        yield Detail(say("characters"), f"{len(message.text):,}")
    if message.role is Role.ASSISTANT:
        yield Detail(
            say("ended"), _ending(message), safe_line(message.note, 400), message.status is not Status.COMPLETE
        )
    if versions > 1:
        yield Detail(say("version"), say("{number} of {versions}", number=number, versions=versions))
    yield Detail(say("id"), safe_line(message.id))


def _ending(reply: Message) -> str:
    match ending_of(reply):
        case Ending.GROWING:
            return say("not yet: it is being written")
        case Ending.STOPPED:
            return say("stopped by you")
        case Ending.INTERRUPTED:
            return say("interrupted: the program ended while it was written")
        case Ending.FAILED:
            return say("by an error")
        case Ending.CUT_OFF:
            return say("cut off at the length limit")
        case Ending.REPETITIVE:
            return say("since it only repeated itself")
        case Ending.CALLED:
            return say("with a call of a tool")
        case Ending.IN_THOUGHT:
            return say("inside its thought")
        case Ending.WHOLE | Ending.EMPTY:
            return say("by the model")
        case ending:
            assert_never(ending)


def _model(model: ModelInfo) -> Iterator[Detail]:
    yield Detail(say("model"), safe_line(model.name, 400))
    yield Detail(say("revision"), safe_line(model.revision) or say("not known"))
    yield Detail(say("number format"), safe_line(model.quantization) or say("not known"))
    if model.server:
        yield Detail(say("server"), safe_line(model.server, 400))
    else:
        yield Detail(say("device"), safe_line(model.device))
    window = model.context_window
    yield Detail(say("context window"), say("{tokens:,} tokens", tokens=window) if window else say("not known"))
    if model.load_s:
        yield Detail(say("loaded in"), say("{seconds} s", seconds=f"{model.load_s:,.1f}"))


def _mode(message: Message, made: Provenance) -> Iterator[Detail]:
    yield Detail(say("thinking"), say("on") if made.thinking else say("off"))
    if made.thinking:
        budget = made.thinking_budget
        limit = say("no limit") if budget is None else say("{tokens:,} tokens", tokens=budget)
        yield Detail(say("longest thought"), limit)
    if message.reasoning:
        ends = {ThoughtCut.BUDGET: say("the budget was spent"), ThoughtCut.USER: say("you asked for the answer")}
        end = say("nothing yet") if open_thought(message) is not None else say("the model")
        end = ends.get(made.thought_cut, end) if made.thought_cut else end
        yield Detail(say("thought ended by"), end, marked=made.thought_cut is not None)
    if made.tools:
        yield Detail(say("tools"), safe_line(listed(tool.name for tool in made.tools), 400))


def _sampling(made: Provenance) -> Iterator[Detail]:
    usual = made.model.sampling.applied(made.thinking)
    for name in SAMPLING:
        if name in made.omitted:
            yield Detail(name, say("not sent"), say("the server's own counts"), marked=True)
            continue
        value, preset = getattr(made.sampling, name), getattr(usual, name)
        differs = name != "seed" and value != preset
        note = say("usual: {value}", value=_number(preset)) if differs else ""
        yield Detail(name, "-" if value is None else _number(value), note, differs)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and value < 1e6 else str(value)


def _tokens(made: Provenance) -> Iterator[Detail]:
    usage, window = made.usage, made.model.context_window
    cached = usage.cached_tokens or 0
    read = count("{number:,} of them was read already", "{number:,} of them were read already", cached)
    prompt = f"{usage.prompt_tokens:,}" if usage.prompt_tokens else say("not known")
    counted = "{tokens:,}" if made.counted else "≈ {tokens:,}"
    yield Detail(say("prompt"), prompt, read if cached else "")
    yield Detail(say("thought"), counted.format(tokens=usage.thinking_tokens))
    yield Detail(say("answer"), counted.format(tokens=usage.answer_tokens))
    taken = usage.prompt_tokens + usage.thinking_tokens + usage.answer_tokens
    share = say("{percent} % of the context", percent=f"{100 * taken / window:.0f}") if window else ""
    if usage.prompt_tokens:
        yield Detail(say("together"), f"{taken:,}", share)


def _token_shares(made: Provenance) -> tuple[BarShare, ...]:
    usage = made.usage
    return (
        BarShare(say("read already"), usage.cached_tokens or 0),
        BarShare(say("read"), max(0, usage.prompt_tokens - (usage.cached_tokens or 0))),
        BarShare(say("thought"), usage.thinking_tokens),
        BarShare(say("answer"), usage.answer_tokens),
    )


def _times(made: Provenance) -> Iterator[Detail]:
    timing = made.timing
    yield Detail(say("first token"), say("{seconds} s", seconds=f"{timing.first_token_s:,.2f}"))
    yield Detail(say("thinking"), say("{seconds} s", seconds=f"{timing.thinking_s:,.2f}"))
    yield Detail(say("answering"), say("{seconds} s", seconds=f"{_answering(timing):,.2f}"))
    yield Detail(say("total"), say("{seconds} s", seconds=f"{timing.total_s:,.2f}"))
    rate = f"{'' if made.counted else '≈ '}{timing.tokens_per_s:,.1f}"
    speed = say("{rate} tokens/s", rate=rate) if timing.tokens_per_s else say("not known")
    yield Detail(say("speed"), speed)


def _time_shares(made: Provenance) -> tuple[BarShare, ...]:
    timing = made.timing
    return (
        BarShare(say("until the first token"), timing.first_token_s),
        BarShare(say("thinking"), timing.thinking_s),
        BarShare(say("answering"), _answering(timing)),
    )


def _answering(timing: Timing) -> float:
    return max(0.0, timing.total_s - timing.first_token_s - timing.thinking_s)


def _moment(at: float) -> str:
    """A date and a time, to the second; "not known" for none that there can be."""
    try:
        return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return say("not known")
