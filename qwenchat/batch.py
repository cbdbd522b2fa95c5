"""Many prompts from a file, asked side by side, answered into a file in their order."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from qwenchat.chat.commands import LoadModel, StartTurn
from qwenchat.chat.errors import QwenchatError, ServerBusy, ServerRefused, ServerUnreachable
from qwenchat.chat.events import TurnEnded, TurnFinished, TurnProgressed, TurnStopped
from qwenchat.chat.messages import Message, ReasoningPart, TextPart
from qwenchat.chat.provenance import ModelInfo, Usage
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.thinking import soft_switch_in_force, thinks
from qwenchat.engine.base import Engine, Stopped, StopSignal, TurnSignals
from qwenchat.prompts import Prompt
from qwenchat.texts import say


@dataclass(frozen=True, slots=True)
class Asking:
    """How all of the prompts are asked."""

    thinking: bool = True
    overrides: SamplingOverrides = SamplingOverrides()
    thinking_budget: int | None = None
    system: tuple[Message, ...] = ()
    schema: str | None = None

    def key(self) -> tuple[object, ...]:
        """What answers depend on, the same for the same settings."""
        system = tuple(message.text for message in self.system)
        return self.thinking, self.overrides, self.thinking_budget, system, self.schema

    def command(self, prompt: Prompt, model: ModelInfo) -> StartTurn:
        """The turn that answers one of them. The seed counts up from the one that is set, so that no two are alike."""
        messages = prompt.messages if prompt.has_system else (*self.system, *prompt.messages)
        hard = self.thinking and soft_switch_in_force(messages) is not False
        sampling = self.overrides.over(model.sampling).applied(thinks(model.thinking, hard, messages))
        if sampling.seed is not None:
            sampling = replace(sampling, seed=(sampling.seed + prompt.number) % 2**63)
        return StartTurn(prompt.number, messages, hard, sampling, self.thinking_budget, schema=self.schema)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one prompt."""

    prompt: Prompt
    answer: str = ""
    thinking: str = ""
    finish_reason: str = "error"
    usage: Usage = Usage()
    error: str = ""

    def as_dict(self, model: str) -> dict[str, Any]:
        """The line of the output."""
        line: dict[str, Any] = {"number": self.prompt.number}
        if self.prompt.id is not None:
            line["id"] = self.prompt.id
        line |= {"answer": self.answer, "thinking": self.thinking, "finish_reason": self.finish_reason, "model": model}
        names = ("prompt_tokens", "thinking_tokens", "answer_tokens")
        line["usage"] = {name: getattr(self.usage, name) for name in names}
        return line | ({"error": self.error} if self.error else {})


class Batch:
    """Asks prompts by several engines at once, each on a thread of its own."""

    def __init__(self, make_engine: Callable[[], Engine], load: LoadModel, asking: Asking, concurrency: int) -> None:
        self._make, self._load, self._asking, self._concurrency = make_engine, load, asking, concurrency
        self._stop = StopSignal()
        self._signals: set[TurnSignals] = set()
        # Bounded, so that no more answers wait to be written down than there are threads.
        self._done: queue.Queue[Answered | QwenchatError | None] = queue.Queue(concurrency)
        self.model: ModelInfo | None = None
        """The model that answers, once it is known."""

    def run(self, prompts: Sequence[Prompt]) -> Iterator[Answered]:
        """The answers as they come, in any order. Raises what loading the model raises."""
        waiting: queue.SimpleQueue[Prompt] = queue.SimpleQueue()
        for prompt in prompts:
            waiting.put(prompt)
        threads = [
            threading.Thread(target=self._work, args=(waiting,), daemon=True)
            for _ in range(max(1, min(self._concurrency, len(prompts))))
        ]
        for thread in threads:
            thread.start()
        running = len(threads)
        try:
            while running:
                match self._done.get():
                    case None:
                        running -= 1
                    case QwenchatError() as error:
                        raise error
                    case Answered() as answered:
                        yield answered
        finally:
            self.stop()

    def stop(self) -> None:
        """End what is running; what it said so far is not an answer."""
        self._stop.set()
        for signals in tuple(self._signals):
            signals.set()

    def _work(self, waiting: "queue.SimpleQueue[Prompt]") -> None:
        engine = self._make()
        try:
            model = engine.load(self._load, lambda step: None, self._stop)
            self.model = self.model or model
            with suppress(queue.Empty):
                while not self._stop.is_set():
                    if answered := self._answered(engine, model, waiting.get_nowait()):
                        self._done.put(answered)
        except Stopped:
            pass
        except QwenchatError as error:
            self._done.put(error)
        finally:
            engine.close()
            self._done.put(None)

    def _answered(self, engine: Engine, model: ModelInfo, prompt: Prompt) -> Answered | None:
        """One answer, or the error in its place; None when it was stopped."""
        growing, signals = GrowingReply(), TurnSignals()
        self._signals.add(signals)
        try:
            end: TurnEnded | None = None
            for event in engine.generate(self._asking.command(prompt, model), signals):
                if isinstance(event, TurnEnded):
                    end = event
                elif isinstance(event, TurnProgressed):
                    growing.add(event)
                if self._stop.is_set():
                    signals.set()
        except Stopped:
            return None
        except (ServerUnreachable, ServerRefused, ServerBusy):
            raise  # the others would fare no better; they are asked the next time
        except QwenchatError as error:
            return Answered(prompt, *_said(growing), error=str(error))
        finally:
            self._signals.discard(signals)
        if end is None or isinstance(end, TurnStopped):
            return None
        reason = str(end.reason) if isinstance(end, TurnFinished) else "error"
        return Answered(prompt, *_said(growing), reason, end.usage)


def _said(growing: GrowingReply) -> tuple[str, str]:
    parts = growing.parts()
    answer = "".join(part.text for part in parts if isinstance(part, TextPart))
    return answer, "".join(part.text for part in parts if isinstance(part, ReasoningPart))


class Progress:
    """How many are answered, how fast, and how long the rest will take."""

    def __init__(self, total: int, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._before, self._clock, self._began = total, done, clock, clock()
        self.done, self.failed, self._tokens = done, 0, 0

    def add(self, answered: Answered) -> None:
        """One more."""
        self.done += 1
        self.failed += bool(answered.error)
        self._tokens += answered.usage.thinking_tokens + answered.usage.answer_tokens

    def words(self) -> str:
        """All of it in one line."""
        seconds = max(self._clock() - self._began, 1e-9)
        fresh = self.done - self._before
        pieces = [say("{done:,} of {total:,}", done=self.done, total=self._total)]
        if fresh and seconds >= 1:
            left = (self._total - self.done) * seconds / fresh
            pieces.append(say("{rate:.1f}/s", rate=fresh / seconds))
            pieces.append(say("{rate:,.0f} tokens/s", rate=self._tokens / seconds))
            pieces.append(say("{seconds:,.0f} s left", seconds=left))
        if self.failed:
            pieces.append(say("{failed:,} failed", failed=self.failed))
        return say(", ").join(pieces)
