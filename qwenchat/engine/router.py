"""The engines there are, as one: the local one, or a server, whichever is asked for."""

from collections.abc import Callable, Iterator

from qwenchat.chat.engine_commands import LoadModel, Prefill, ScoreReply, StartTurn
from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.events import DraftCounted, LoadProgressed, TokensScored, TurnEvent
from qwenchat.chat.provenance import ModelInfo
from qwenchat.engine.base import Engine, StopSignal, TurnSignals
from qwenchat.i18n.texts import say


class EngineRouter:
    """Makes each engine when it is first asked for; one of them has a model at a time."""

    def __init__(self, make_local: Callable[[], Engine], make_remote: Callable[[], Engine]) -> None:
        self._makers = {"local": make_local, "remote": make_remote}
        self._made: dict[str, Engine] = {}
        self._current: Engine | None = None

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        """See `Engine.load`. The engine before gives its model up only once the other has one."""
        kind = "local" if command.server is None else "remote"
        if kind not in self._made:
            progress(LoadProgressed(say("starting the engine")))
            self._made[kind] = self._makers[kind]()
        engine = self._made[kind]
        model = engine.load(command, progress, stop)
        if self._current not in (None, engine):
            self.close()
        self._current = engine
        return model

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        """See `Engine.generate`."""
        return self._require_current().generate(command, signals)

    def count_tokens(self, command: Prefill, stop: StopSignal) -> DraftCounted | None:
        """See `Engine.count_tokens`."""
        return self._current.count_tokens(command, stop) if self._current is not None else None

    def read_ahead(self, command: Prefill, stop: StopSignal) -> None:
        """See `Engine.read_ahead`."""
        if self._current is not None:
            self._current.read_ahead(command, stop)

    def score(self, command: ScoreReply, stop: StopSignal) -> Iterator[TokensScored]:
        """See `Engine.score`."""
        return self._require_current().score(command, stop)

    def close(self) -> None:
        """See `Engine.close`."""
        if self._current is not None:
            self._current.close()
        self._current = None

    def _require_current(self) -> Engine:
        if self._current is None:
            raise EngineFailed(say("No model is loaded."), say("Choose one."))
        return self._current
