"""Asks an engine and collects what it says, for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwenchat.chat.continuation import NOTHING, PartialReply
from qwenchat.chat.engine_commands import LoadModel, StartTurn
from qwenchat.chat.events import Channel, TextProduced, TurnEvent, TurnFinished, TurnStopped
from qwenchat.chat.messages import Message
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.sampling import Sampling
from qwenchat.chat.tools import ToolSpec
from qwenchat.engine.base import StopSignal, TurnSignals
from qwenchat.engine.local.engine import LocalEngine


@dataclass(frozen=True)
class Heard:
    """A turn as its reader saw it."""

    events: tuple[TurnEvent, ...]

    @property
    def thought(self) -> str:
        return self._said(Channel.THOUGHT)

    @property
    def answer(self) -> str:
        return self._said(Channel.ANSWER)

    @property
    def end(self) -> TurnFinished | TurnStopped:
        end = self.events[-1]
        assert isinstance(end, TurnFinished | TurnStopped)
        return end

    def kinds(self) -> list[type[TurnEvent]]:
        """The kinds of events in order, repetitions left out."""
        kinds = [type(event) for event in self.events]
        return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] is not kind]

    def tokens(self, channel: Channel) -> int:
        """How many tokens the pieces of a channel stand for."""
        return sum(e.tokens for e in self.events if isinstance(e, TextProduced) and e.channel is channel)

    def _said(self, channel: Channel) -> str:
        return "".join(e.text for e in self.events if isinstance(e, TextProduced) and e.channel is channel)


def load(engine: LocalEngine, folder: Path, **options: Any) -> ModelInfo:
    """Load the model in `folder` in float32, so that results do not hang on how the prompt was cut."""
    command = LoadModel(str(folder), **{"device": "cpu", "quantization": "float32"} | options)
    return engine.load(command, lambda progress: None, StopSignal())


def ask(
    engine: LocalEngine,
    *messages: Message,
    thinking: bool = True,
    stop: TurnSignals | None = None,
    stop_when: Callable[[TurnEvent], bool] = lambda event: False,
    answer_when: Callable[[TurnEvent], bool] = lambda event: False,
    budget: int | None = None,
    begun: PartialReply = NOTHING,
    answer_now: bool = False,
    schema: str | None = None,
    tools: tuple[ToolSpec, ...] = (),
    **sampling: Any,
) -> Heard:
    """Run one turn to its end, greedy unless told otherwise.

    An event for which `stop_when` holds stops it, one for which `answer_when` holds asks for the answer.
    """
    signals = stop or TurnSignals()
    events = []
    chosen = Sampling(**{"temperature": 0.0, "max_tokens": 100} | sampling)
    command = StartTurn(1, messages, thinking, chosen, budget, begun, answer_now, schema=schema, tools=tools)
    for event in engine.generate(command, signals):
        events.append(event)
        if stop_when(event):
            signals.set()
        if answer_when(event):
            signals.ask_for_answer()
    return Heard(tuple(events))
