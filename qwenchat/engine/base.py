"""What every engine offers the thread that owns it."""

from collections.abc import Callable, Iterator
from typing import Protocol

from qwenchat.chat.engine_commands import LoadModel, Prefill, ScoreReply, StartTurn
from qwenchat.chat.events import DraftCounted, LoadProgressed, TokensScored, TurnEvent
from qwenchat.chat.provenance import ModelInfo


class StopSignal:
    """Tells a running load, prefill or generation to end; may be set from any thread, before it begins or later."""

    def __init__(self) -> None:
        self.flag = bytearray(1)
        """The signal as memory that native code can look at: 0, then 1."""

    def set(self) -> None:
        """Ask for the end. There is no way back."""
        self.flag[0] = 1

    def is_set(self) -> bool:
        """Whether the end was asked for; cheap enough to ask between tokens."""
        return self.flag[0] != 0


class TurnSignals(StopSignal):
    """What a turn can be asked while it waits or runs: to stop, or to end its thought and answer."""

    def __init__(self) -> None:
        super().__init__()
        self._answer = False

    def ask_for_answer(self) -> None:
        """Ask for the answer. It ends a thought that is running or comes later, between two tokens."""
        self._answer = True

    def wants_answer(self) -> bool:
        """Whether the answer was asked for."""
        return self._answer


class Stopped(Exception):
    """Raised inside an engine's call when it notices the stop signal."""


class Engine(Protocol):
    """Runs or reaches one model at a time. All calls come from one thread; only signals cross threads."""

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        """Make a model ready in place of the current one.

        Raises `ModelError` when that is impossible and `Stopped` when the signal was set. The model before is then
        there again once the command that loaded it is given with `back`.
        """
        ...

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        """Answer a turn: progress events, then exactly one `TurnFinished` or `TurnStopped` as the last.

        Ends within 100 ms of the stop signal, during prefill too. Raises `QwenchatError` when the turn fails;
        what was produced before stays valid.
        """
        ...

    def count_tokens(self, command: Prefill, stop: StopSignal) -> DraftCounted | None:
        """How much of the context window the draft takes; None where that is not known exactly. Raises Stopped."""
        ...

    def read_ahead(self, command: Prefill, stop: StopSignal) -> None:
        """Read a conversation before its next turn is asked for; returns early on `stop`, keeping what was read."""
        ...

    def score(self, command: ScoreReply, stop: StopSignal) -> Iterator[TokensScored]:
        """Look at the tokens of a reply, a few at a time; raises QwenchatError where that cannot be, and Stopped."""
        ...

    def close(self) -> None:
        """Give memory and connections back."""
        ...
