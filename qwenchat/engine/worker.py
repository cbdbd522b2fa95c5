"""The background thread that owns the engine: commands in, events out."""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable

from qwenchat.chat.characters import CharacterJoiner
from qwenchat.chat.engine_commands import (
    AnswerNow,
    Close,
    Command,
    LoadModel,
    Prefill,
    ScoreReply,
    StartTurn,
    Stop,
    StopScoring,
)
from qwenchat.chat.errors import EngineFailed, ModelNotFound, QwenchatError
from qwenchat.chat.events import (
    Event,
    LoadFailed,
    LoadProgressed,
    ModelLoaded,
    ScoringEnded,
    TurnEnded,
    TurnFailed,
    TurnStopped,
)
from qwenchat.engine.base import Engine, Stopped, StopSignal, TurnSignals
from qwenchat.engine.failures import load_failure, turn_failure
from qwenchat.engine.text_gate import gated
from qwenchat.i18n.texts import say

log = logging.getLogger(__name__)


class EventBuffer:
    """Events on their way from the worker to the one who drains them; adding never blocks."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._arrived = threading.Condition()

    def put(self, event: Event) -> None:
        """Add an event; called by the worker."""
        with self._arrived:
            self._events.append(event)
            self._arrived.notify_all()

    def drain(self) -> list[Event]:
        """Take all events, oldest first, without waiting."""
        with self._arrived:
            events = list(self._events)
            self._events.clear()
            return events

    def wait(self, timeout_s: float) -> bool:
        """Block until there is an event or the time is over; says whether there is one."""
        with self._arrived:
            return self._arrived.wait_for(lambda: bool(self._events), timeout_s)


class Worker:
    """Runs commands one after another on its own daemon thread.

    The engine is made on that thread, by `make_engine`, when the first command arrives: that is where what is slow is
    imported. `send` returns at once; `Stop`, `AnswerNow` and `Close` take effect in the middle of what is running.
    """

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self.events = EventBuffer()
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._model_failed: QwenchatError | None = None
        self._commands: queue.SimpleQueue[tuple[Command, TurnSignals]] = queue.SimpleQueue()
        self._pending: list[tuple[Command, TurnSignals]] = []
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def another(self) -> "Worker":
        """A second thread, with an engine of its own that is made in the same way."""
        return Worker(self._make_engine)

    def send(self, command: Command) -> None:
        """Queue a command; `Stop` and `AnswerNow` reach their turn, and `Close` ends everything, without queueing."""
        with self._lock:
            if self._closing:
                return
            if isinstance(command, Stop | AnswerNow | StopScoring):
                self._notify_user(command)
                return
            for pending, signal in self._pending:
                if _gives_way(pending, command):
                    signal.set()
            if isinstance(command, Close):
                self._closing = True
                for _, signal in self._pending:
                    signal.set()
            entry = (command, TurnSignals())
            self._pending.append(entry)
            self._commands.put(entry)

    def close(self, timeout_s: float = 1.5) -> bool:
        """Stop what is running and end the thread; False if it did not end in time (it is a daemon, so no harm)."""
        self.send(Close())
        # Without an engine the thread is at most importing: there is nothing to give back, and no way to stop it.
        self._thread.join(timeout_s if self._engine is not None else 0)
        return not self._thread.is_alive()

    def _notify_user(self, command: Stop | AnswerNow | StopScoring) -> None:
        """Let what is pending know."""
        for pending, signals in self._pending:
            match pending, command:
                case StartTurn(turn=turn), Stop() if turn == command.turn:
                    signals.set()
                case StartTurn(turn=turn), AnswerNow() if turn == command.turn:
                    signals.ask_for_answer()
                case ScoreReply(number=number), StopScoring() if number == command.number:
                    signals.set()

    def _run(self) -> None:
        while True:
            entry = self._commands.get()
            command, signal = entry
            match command:
                case LoadModel():
                    self._load(command, signal)
                case StartTurn():
                    self._turn(command, signal)
                case Prefill():
                    self._read_ahead(command, signal)
                case ScoreReply():
                    self._score(command, signal)
                case Close():
                    if self._engine is not None:
                        self._engine.close()
                    return
            with self._lock:
                self._pending.remove(entry)

    def _load(self, command: LoadModel, stop: StopSignal) -> None:
        started = time.perf_counter()
        self._model_failed = None
        try:
            if self._engine is None:
                self.events.put(LoadProgressed(say("starting the engine")))
                self._engine = self._make_engine()
            model = self._engine.load(command, self.events.put, stop)
        except Stopped:
            self._model_failed = ModelNotFound(say("Loading was stopped."), say("Choose a model."))
        except QwenchatError as error:
            self._model_failed = error
        except Exception as error:
            log.exception("loading failed")
            self._model_failed = load_failure(error)
        else:
            log.info("loaded %s in %.2f s", model, time.perf_counter() - started)
            self.events.put(ModelLoaded(model))
            return
        self.events.put(LoadFailed(self._model_failed))

    def _read_ahead(self, command: Prefill, stop: StopSignal) -> None:
        """Nothing waits for this, so nothing is said when it fails: the turn itself will fail, and say so."""
        if self._engine is None or self._model_failed is not None or stop.is_set():
            return
        try:
            counted = self._engine.count_tokens(command, stop) if command.draft else None
            if counted is not None:
                self.events.put(counted)
            if counted is None or counted.fits:
                self._engine.read_ahead(command, stop)
        except Stopped:
            pass
        except Exception:
            log.exception("reading ahead failed")

    def _score(self, command: ScoreReply, stop: StopSignal) -> None:
        """Look at a reply; whatever happens, exactly one `ScoringEnded` is put as the last of its events."""
        failure: QwenchatError | None = None
        try:
            if self._engine is None or self._model_failed is not None:
                raise self._model_failed or ModelNotFound(say("No model is loaded."), say("Choose one."))
            if not stop.is_set():
                for event in self._engine.score(command, stop):
                    self.events.put(event)
        except Stopped:
            pass
        except QwenchatError as error:
            failure = error
        except Exception as error:
            log.exception("looking at a reply failed")
            failure = EngineFailed(
                say("The model failed while it read the reply: {error!r}.", error=error), say("Try again.")
            )
        self.events.put(ScoringEnded(command.number, failure))

    def _turn(self, command: StartTurn, signals: TurnSignals) -> None:
        """Run one turn; whatever happens, exactly one of its `TurnEnded` events is put."""
        if signals.is_set():
            self.events.put(TurnStopped(command.turn))
            return
        if self._engine is None or self._model_failed is not None:
            error = self._model_failed or ModelNotFound(say("No model is loaded."), say("Choose one."))
            self.events.put(TurnFailed(command.turn, error))
            return
        try:
            for event in gated(self._engine.generate(command, signals), CharacterJoiner):
                self.events.put(event)
                if isinstance(event, TurnEnded):
                    return
            failure: QwenchatError = EngineFailed(say("The engine ended without an answer."), say("Try again."))
        except Stopped:
            self.events.put(TurnStopped(command.turn))
            return
        except QwenchatError as error:
            failure = error
        except Exception as error:
            log.exception("turn failed")
            failure = turn_failure(error)
        self.events.put(TurnFailed(command.turn, failure))


def _gives_way(pending: Command, command: Command) -> bool:
    """Whether what is pending ends for what is asked now."""
    match pending:
        case LoadModel():
            return isinstance(command, LoadModel)
        case Prefill():
            return True
        case ScoreReply():
            return not isinstance(command, Prefill)
    return False
