"""Several scripted models at once: each engine that is made becomes the one whose model is asked for."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from qwenchat.chat.engine_commands import LoadModel, Prefill, ScoreReply, StartTurn
from qwenchat.chat.events import DraftCounted, LoadProgressed, TokensScored, TurnEvent
from qwenchat.chat.provenance import ModelInfo
from qwenchat.engine.base import StopSignal, TurnSignals
from tests.support.fake_engine import FakeEngine, Script


class Cast:
    """The engines by the names that their models are asked for; a server by its name."""

    def __init__(self, **engines: FakeEngine | Script) -> None:
        self.engines = {
            name: engine if isinstance(engine, FakeEngine) else FakeEngine([engine]) for name, engine in engines.items()
        }
        self.made: list[_Actor] = []

    def make(self) -> "_Actor":
        """An engine, as the worker makes one."""
        self.made.append(_Actor(self))
        return self.made[-1]

    def release(self) -> None:
        """Let go of all that is held."""
        for engine in self.engines.values():
            engine.release()

    def __getitem__(self, name: str) -> FakeEngine:
        return self.engines[name]


class _Actor:
    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._engine = FakeEngine()
        self.closed = False

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        name = command.server.name or command.server.address if command.server else command.name or "usual"
        self._engine = self._cast[name]
        model = self._engine.load(command, progress, stop)
        return replace(model, name=name, server=name) if command.server else replace(model, name=name)

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        return self._engine.generate(command, signals)

    def count_tokens(self, command: Prefill, stop: StopSignal) -> DraftCounted | None:
        return self._engine.count_tokens(command, stop)

    def read_ahead(self, command: Prefill, stop: StopSignal) -> None:
        self._engine.read_ahead(command, stop)

    def score(self, command: ScoreReply, stop: StopSignal) -> Iterator[TokensScored]:
        return self._engine.score(command, stop)

    def close(self) -> None:
        self.closed = True
        self._engine.close()
