"""An engine that says what a test tells it to, for tests of the session and the interface."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from qwenchat.chat.engine_commands import LoadModel, Prefill, ScoreReply, StartTurn
from qwenchat.chat.errors import EngineFailed, ModelNotFound, QwenchatError
from qwenchat.chat.events import (
    AnswerReclassified,
    Channel,
    DraftCounted,
    HistoryTrimmed,
    LoadProgressed,
    PrefillProgressed,
    ScoredToken,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    TokenAlternative,
    TokensScored,
    ToolCalled,
    TurnEvent,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import ToolCallPart
from qwenchat.chat.provenance import FinishReason, ModelInfo, ThinkingSupport, ThoughtCut, Timing, Usage
from qwenchat.chat.thinking import CLOSING
from qwenchat.engine.base import Stopped, StopSignal, TurnSignals

MODEL = ModelInfo(
    "Qwen/Qwen3-0.6B", "abc123", "bf16", "cpu", context_window=4096, thinking=ThinkingSupport.SWITCHED,
    parameters=600_000_000, memory_bytes=1_200_000_000, load_s=1.5,
)  # fmt: skip


@dataclass
class Script:
    """One reply. A token is a word with the space after it."""

    answer: str = "Paris is the capital of France."
    thought: str = ""
    """Said only when the turn asks for thinking."""
    breaks_off: bool = False
    """The reply ends inside its thought."""
    thought_untagged: str = ""
    """A thought that looks like answer until it ends."""
    delay_s: float = 0.0
    """Before each token."""
    error: QwenchatError | Exception | None = None
    error_at: int = 0
    """How many tokens come before the error."""
    hold_at: int | None = None
    """After so many tokens the reply waits until `FakeEngine.release`, a stop, or until the answer is asked for."""
    trimmed: int = 0
    """How many messages do not fit the context."""
    prefill_holds: float | None = None
    """At this share of the prompt reading waits until `FakeEngine.release` or a stop."""
    finish: FinishReason = FinishReason.STOP
    calls: tuple[ToolCallPart, ...] = ()
    """What it calls after its answer, which makes it end with TOOL_CALLS."""


@dataclass
class FakeEngine:
    """Answers turns by its scripts, in order, then by repeating the last; records what it was told."""

    scripts: list[Script] = field(default_factory=lambda: [Script()])
    model: ModelInfo = MODEL
    load_error: QwenchatError | None = None
    missing: tuple[str, ...] = ()
    """Models that cannot be loaded."""
    progress: tuple[LoadProgressed, ...] = ()
    loading_holds: bool = False
    """Loading waits until `release`."""
    loads: list[LoadModel] = field(default_factory=list)
    turns: list[StartTurn] = field(default_factory=list)
    ahead: list[Prefill] = field(default_factory=list)
    noise: str = ""
    """What a native library would write to file descriptor 2 while the model loads."""
    closed: bool = False
    doubts: dict[str, str] = field(default_factory=dict)
    """Words of replies that it would not have said, and what instead."""
    scoring_holds: bool = False
    """Half way, looking at a reply waits until `release`."""
    score_error: QwenchatError | None = None
    scored: list[ScoreReply] = field(default_factory=list)
    weighs: bool = False
    """Whether it tells how many words, which are its tokens, a draft has."""
    token: Callable[[str], Iterator[str]] = field(default_factory=lambda: _tokens)
    """Cuts a text into tokens."""

    def __post_init__(self) -> None:
        self._gate = StopSignal()
        self._queue = deque(self.scripts)

    def release(self) -> None:
        """Let go of what is held."""
        self._gate.set()

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        self.loads.append(command)
        os.write(2, self.noise.encode())
        for step in self.progress:
            progress(step)
        if self.loading_holds:
            self._hold(stop)
        if self.load_error is not None:
            raise self.load_error
        if command.name in self.missing:
            raise ModelNotFound(f"There is no model {command.name}.", "Choose another.")
        return replace(self.model, name=command.name or self.model.name)

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        self.turns.append(command)
        script = self._queue.popleft() if len(self._queue) > 1 else self._queue[0]
        usage, started = Usage(prompt_tokens=sum(len(m.text.split()) + 5 for m in command.messages)), time.monotonic()
        if script.trimmed:
            yield HistoryTrimmed(command.turn, script.trimmed)
        if script.prefill_holds is not None:
            yield PrefillProgressed(command.turn, round(1000 * script.prefill_holds), 1000)
            self._hold(signals, give_up=False)
        yield PrefillProgressed(command.turn, usage.prompt_tokens, usage.prompt_tokens)
        said = 0
        for event in self._events(script, command, signals, started):
            if isinstance(event, TextProduced):
                if script.error is not None and said == script.error_at:
                    raise script.error
                if script.hold_at == said:
                    self._hold(signals, give_up=False)
                said += 1
                if event.channel is Channel.THOUGHT:
                    usage = replace(usage, thinking_tokens=usage.thinking_tokens + 1)
                else:
                    usage = replace(usage, answer_tokens=usage.answer_tokens + 1)
            if script.delay_s:
                time.sleep(script.delay_s)
            timing = Timing(0.01, 0.0, max(time.monotonic() - started, 0.001), 50.0)
            if signals.is_set():
                yield TurnStopped(command.turn, usage, timing)
                return
            yield event
        if script.error is not None:
            raise script.error
        for call in script.calls:
            yield ToolCalled(command.turn, call, 5, time.monotonic() - started)
        finish = FinishReason.TOOL_CALLS if script.calls else script.finish
        yield TurnFinished(command.turn, finish, usage, Timing(0.01, 0.0, 1.0, 50.0))

    def count_tokens(self, command: Prefill, stop: StopSignal) -> DraftCounted | None:
        if not self.weighs:
            return None
        tokens, before = len(command.draft.split()), sum(len(m.text.split()) + 5 for m in command.messages)
        pieces = tuple(len(piece.split()) for piece in command.pieces)
        limit = self.model.context_window - 1024
        left_out = min(len(command.messages), 2) if tokens + before > limit else 0
        prompt = tokens if left_out else before + tokens
        return DraftCounted(command.number, tokens, prompt, limit, left_out, pieces)

    def read_ahead(self, command: Prefill, stop: StopSignal) -> None:
        self.ahead.append(command)

    def score(self, command: ScoreReply, stop: StopSignal) -> Iterator[TokensScored]:
        """Sure of every token but those that `doubts` names, of which it says what it would rather have said."""
        self.scored.append(command)
        if self.score_error is not None:
            raise self.score_error
        said = [(Channel.THOUGHT, word) for word in self.token(command.reply.thought)]
        said += [(Channel.ANSWER, word) for word in self.token(command.reply.answer)]
        tokens = [self._doubted(channel, word) for channel, word in said]
        half = len(tokens) // 2
        yield TokensScored(command.number, tuple(tokens[:half]), len(tokens))
        if self.scoring_holds:
            self._hold(stop)
        yield TokensScored(command.number, tuple(tokens[half:]), len(tokens))

    def _doubted(self, channel: Channel, word: str) -> ScoredToken:
        rather = self.doubts.get(word.strip())
        chosen = TokenAlternative(word, 0.12 if rather else 0.98)
        likeliest = (TokenAlternative(rather, 0.7), chosen) if rather else (chosen, TokenAlternative("Well ", 0.01))
        return ScoredToken(word, channel, False, chosen, likeliest)

    def close(self) -> None:
        self.closed = True

    def _events(self, script: Script, command: StartTurn, signals: TurnSignals, started: float) -> Iterator[TurnEvent]:
        def now() -> float:
            return time.monotonic() - started

        if script.thought_untagged:
            for token in self.token(script.thought_untagged):
                yield TextProduced(command.turn, Channel.ANSWER, token, 1, now())
            yield AnswerReclassified(command.turn, now())
        begun = command.begun
        thinks = begun.thinking or (command.thinking and not begun.thought and not begun.answer)
        thought = script.thought if thinks and not command.answer_now else ""
        cut = ThoughtCut.USER if command.answer_now else None
        if thought and not begun.thinking:
            yield ThoughtStarted(command.turn, now())
        for said, token in enumerate(self.token(thought)):
            if signals.wants_answer():
                cut = ThoughtCut.USER
            elif command.thinking_budget is not None and said >= command.thinking_budget:
                cut = ThoughtCut.BUDGET
            if cut is not None:
                break
            yield TextProduced(command.turn, Channel.THOUGHT, token, 1, now())
        if cut is not None:
            yield TextProduced(command.turn, Channel.THOUGHT, CLOSING, 1, now())
        elif script.breaks_off:
            return
        if thought or begun.thinking or cut is not None:
            yield ThoughtEnded(command.turn, now(), cut)
        for token in self.token(script.answer):
            yield TextProduced(command.turn, Channel.ANSWER, token, 1, now())

    def _hold(self, stop: StopSignal, *, give_up: bool = True) -> None:
        while not self._gate.is_set():
            if isinstance(stop, TurnSignals) and stop.wants_answer():
                return
            if stop.is_set():
                if give_up:
                    raise Stopped
                return
            time.sleep(0.005)


def engine_of(described: dict[str, Any]) -> FakeEngine:
    """The engine that some JSON describes; a script may say how many `times` its answer comes, and name a `bug`."""
    described = described | {"scripts": [_script(**script) for script in described.get("scripts", [{}])]}
    if "load_error" in described:
        described["load_error"] = ModelNotFound(described["load_error"], "Try another.")
    return FakeEngine(**described)


def _script(
    answer: str = Script.answer, *, times: int = 1, finish: str = "stop", error: str = "", bug: str = "", **more: Any
) -> Script:
    broken = RuntimeError(bug) if bug else EngineFailed(error, "Ask again.") if error else None
    return Script(answer * times, finish=FinishReason(finish), error=broken, **more)


def _tokens(text: str) -> Iterator[str]:
    start = 0
    for at, character in enumerate(text):
        if character == " ":
            yield text[start : at + 1]
            start = at + 1
    if start < len(text):
        yield text[start:]
