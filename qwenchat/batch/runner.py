"""Many prompts from a file, asked side by side, answered into a file in their order."""

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from qwenchat.batch.prompts import BatchPrompt
from qwenchat.chat.engine_commands import LoadModel, StartTurn
from qwenchat.chat.errors import (
    DeviceFailed,
    EngineFailed,
    QwenchatError,
    ServerBusy,
    ServerRefused,
    ServerSilent,
    ServerUnreachable,
)
from qwenchat.chat.events import ServerNotice, TurnEnded, TurnFailed, TurnFinished, TurnProgressed, TurnStopped
from qwenchat.chat.messages import Message, ReasoningPart, TextPart
from qwenchat.chat.provenance import FinishReason, ModelInfo, Usage
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.base import Engine, Stopped, StopSignal, TurnSignals
from qwenchat.engine.failures import turn_failure
from qwenchat.i18n.texts import say

log = logging.getLogger(__name__)

PAUSES_S = (0.5, 2.0)
"""Before a prompt is asked again because the server did not answer or broke off."""
IN_A_ROW = 20
"""So many prompts that the server failed one after the other end the batch."""
_AGAIN = (ServerUnreachable, ServerBusy)
"""What may pass."""
_OF_THE_PLACE = (*_AGAIN, ServerSilent, DeviceFailed)
"""Failures after which it is looked whether the model is still there."""


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How all of the prompts are asked."""

    thinking: bool = True
    overrides: SamplingOverrides = SamplingOverrides()
    thinking_budget: int | None = None
    system: tuple[Message, ...] = ()
    schema: str | None = None

    def key(self) -> dict[str, Any]:
        """What answers depend on, by the names that people know, the same for the same settings."""
        return {
            "think": self.thinking,
            "thinking_budget": self.thinking_budget,
            "system": _digest("\n\n".join(message.text for message in self.system)),
            "schema": _digest(self.schema or ""),
            **asdict(self.overrides),
        }

    def command(self, prompt: BatchPrompt, model: ModelInfo) -> StartTurn:
        """The turn that answers one of them. The seed counts up from the one that is set, so that no two are alike."""
        messages = prompt.messages if prompt.has_system else (*self.system, *prompt.messages)
        seed = self.overrides.seed
        counted = replace(self.overrides, seed=None if seed is None else (seed + prompt.number) % 2**63)
        return StartTurn.of(
            prompt.number, messages, model, counted, self.thinking, budget=self.thinking_budget, schema=self.schema
        )


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What came of one prompt."""

    prompt: BatchPrompt
    answer: str = ""
    thinking: str = ""
    finish_reason: str = "error"
    usage: Usage = Usage()
    error: str = ""
    of_the_server: bool = False
    """Whether it failed because the server did not answer."""

    def as_dict(self, model: str) -> dict[str, Any]:
        """The line of the output."""
        line: dict[str, Any] = {"number": self.prompt.number}
        if self.prompt.id is not None:
            line["id"] = self.prompt.id
        line |= {"answer": self.answer, "thinking": self.thinking, "finish_reason": self.finish_reason, "model": model}
        names = ("prompt_tokens", "thinking_tokens", "answer_tokens")
        counted = self.usage.prompt_tokens > 0  # else nobody did
        line["usage"] = {name: getattr(self.usage, name) if counted else None for name in names}
        return line | ({"error": self.error} if self.error else {})


class Batch:
    """Asks prompts by several engines at once, each on a thread of its own.

    What fails fails for its prompt alone. Where the model itself is gone, or does not let us in, all of it ends: the
    others would fare no better, and are asked the next time.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        load: LoadModel,
        asking: BatchSettings,
        concurrency: int,
        accept: Callable[[ModelInfo], None] = lambda model: None,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`accept` is given each model that is loaded, before that is asked anything; what it raises ends the batch.

        `notice` is given what the user should know of a server, once, from any thread.
        """
        self._make, self._load, self._asking, self._concurrency = make_engine, load, asking, concurrency
        self._accept, self._notice = accept, notice
        self._noticed: set[str] = set()
        self._stop = StopSignal()
        self._lock = threading.Lock()
        self._signals: set[TurnSignals] = set()
        # Bounded, so that no more answers wait to be written down than there are threads.
        self._done: queue.Queue[BatchAnswer | QwenchatError | None] = queue.Queue(concurrency)
        self.model: ModelInfo | None = None
        """The model that answers, once it is known."""

    def run(self, prompts: Iterable[BatchPrompt]) -> Iterator[BatchAnswer]:
        """What came of each prompt, in any order. Raises QwenchatError where the model is gone or cannot be loaded."""
        waiting: queue.SimpleQueue[BatchPrompt] = queue.SimpleQueue()
        for prompt in prompts:
            if prompt.problem:
                yield BatchAnswer(prompt, error=prompt.problem)
            else:
                waiting.put(prompt)
        running = min(self._concurrency, waiting.qsize())
        for _ in range(running):
            threading.Thread(target=self._work, args=(waiting,), daemon=True).start()
        in_a_row = 0
        try:
            while running:
                match self._done.get():
                    case None:
                        running -= 1
                    case QwenchatError() as error:
                        raise error
                    case BatchAnswer() as answered:
                        yield answered
                        in_a_row = in_a_row + 1 if answered.of_the_server else 0
                        if in_a_row == IN_A_ROW:
                            raise ServerBusy(
                                say("The server failed {number} prompts one after the other.", number=in_a_row)
                            )
        finally:
            self.stop()

    def stop(self) -> None:
        """End what is running; what it said so far is not an answer."""
        self._stop.set()
        for signals in tuple(self._signals):
            signals.set()

    def _work(self, waiting: "queue.SimpleQueue[BatchPrompt]") -> None:
        """Ask until no prompt is left; whatever happens, the end of this thread is reported."""
        try:
            engine = self._make()
            try:
                model = self._loaded(engine)
                while not self._stop.is_set():
                    self._ask(engine, model, waiting.get_nowait())
            finally:
                with suppress(Exception):  # all that was said is written down
                    engine.close()
        except (queue.Empty, Stopped):
            pass
        except QwenchatError as error:
            self._report(error)
        except Exception as error:
            log.exception("loading failed")
            failed = say("The model could not be loaded: {error!r}.", error=error)
            self._report(EngineFailed(failed, say("The log has more.")))
        finally:
            self._report(None)

    def _loaded(self, engine: Engine) -> ModelInfo:
        """The model, loaded and accepted."""
        model = engine.load(self._load, lambda step: None, self._stop)
        with self._lock:
            self._accept(model)
            self.model = self.model or model
        return model

    def _ask(self, engine: Engine, model: ModelInfo, prompt: BatchPrompt) -> None:
        """Ask one, a few times if need be, and report what came of it. Raises when the model is gone, and Stopped."""
        failure: QwenchatError | None = None
        for pause in (*PAUSES_S, None):
            growing = GrowingReply()
            try:
                return self._report(self._answered(engine, model, prompt, growing))
            except (Stopped, ServerRefused):
                raise
            except QwenchatError as error:
                failure = error
            except Exception as error:
                log.exception("a prompt failed")
                failure = turn_failure(error)
            if pause is None or not isinstance(failure, _AGAIN):
                break
            self._wait(pause)
        of_the_server = isinstance(failure, (*_AGAIN, ServerSilent))
        self._report(BatchAnswer(prompt, *_said(growing), error=str(failure), of_the_server=of_the_server))
        if isinstance(failure, _OF_THE_PLACE):
            self._loaded(engine)

    def _answered(self, engine: Engine, model: ModelInfo, prompt: BatchPrompt, growing: GrowingReply) -> BatchAnswer:
        """One answer, that grows in `growing`; raises what the engine raises, and Stopped."""
        signals = TurnSignals()
        self._signals.add(signals)
        end: TurnEnded | None = None
        try:
            if self._stop.is_set():
                raise Stopped
            for event in engine.generate(self._asking.command(prompt, model), signals):
                if isinstance(event, TurnEnded):
                    end = event
                elif isinstance(event, ServerNotice):
                    self._notice_once(event.text)
                elif isinstance(event, TurnProgressed):
                    growing.add(event)
                if self._stop.is_set():
                    signals.set()
        finally:
            self._signals.discard(signals)
        match end:
            case TurnFinished() if end.reason is not FinishReason.ERROR:
                return BatchAnswer(prompt, *_said(growing), str(end.reason), end.usage)
            case TurnFailed():
                raise end.error
            case TurnStopped() if self._stop.is_set():
                raise Stopped
        raise EngineFailed(say("The engine ended without an answer."), say("Try again."))

    def _notice_once(self, text: str) -> None:
        with self._lock:
            new = text not in self._noticed
            self._noticed.add(text)
        if new:
            self._notice(text)

    def _wait(self, seconds: float) -> None:
        """Let some time pass; raises Stopped."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._stop.is_set():
                raise Stopped
            time.sleep(min(0.05, seconds))

    def _report(self, what: BatchAnswer | QwenchatError | None) -> None:
        """Hand it to `run`, as long as that takes anything."""
        while True:
            with suppress(queue.Full):
                return self._done.put(what, timeout=0.1)
            if self._stop.is_set():
                return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32] if text else ""


def identity(model: ModelInfo) -> dict[str, Any]:
    """What of a model its answers depend on, by the names that people know."""
    return {
        "model": model.name,
        "revision": model.revision,
        "quantization": model.quantization,
        "context": model.context_window,
        "thinking": model.thinking.value,
        "sampling": asdict(model.sampling),
    }


def _said(growing: GrowingReply) -> tuple[str, str]:
    parts = growing.parts()
    answer = "".join(part.text for part in parts if isinstance(part, TextPart))
    return answer, "".join(part.text for part in parts if isinstance(part, ReasoningPart))


class Progress:
    """How many are answered, how fast, and how long the rest will take."""

    def __init__(self, total: int, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._before, self._clock, self._began = total, done, clock, clock()
        self.done, self.failed, self._tokens = done, 0, 0

    def add(self, answered: BatchAnswer) -> None:
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
