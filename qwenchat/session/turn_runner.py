"""The turn that is running: the model is asked, what it says is recorded, and the end is on disk before it is told."""

from collections.abc import Callable

from qwenchat.chat.commands import StartTurn, Stop
from qwenchat.chat.events import Event, TurnEnded, TurnEvent, TurnStopped
from qwenchat.engine.worker import Worker
from qwenchat.session.open_conversation import Record
from qwenchat.session.turn import Phase, Turn


class Running:
    """Holds one turn at a time, from the moment it begins until its end is saved."""

    def __init__(
        self,
        worker: Worker,
        record: Record,
        ask: Callable[[Turn], StartTurn],
        report: Callable[[Event], None],
        clock: Callable[[], float],
    ) -> None:
        """`ask` makes the command for a turn once the model is there; `report` is told what concerns the screen."""
        self.turn: Turn | None = None
        self._worker = worker
        self._record = record
        self._ask = ask
        self._report = report
        self._clock = clock

    @property
    def waiting(self) -> bool:
        """Whether a turn waits for the model to be loaded."""
        return self.turn is not None and not self.turn.asked

    def begin(self, turn: Turn, *, ready: bool) -> None:
        """Hold `turn`, and ask the model if it is ready."""
        self.turn = turn
        if ready:
            self.ask()

    def ask(self) -> None:
        """Ask the model. The reply is on disk first, so that a crash leaves a trace of it."""
        if self.turn is not None:
            command = self._ask(self.turn)
            self._save(self.turn)
            self._worker.send(command)

    def stop(self) -> None:
        """End the turn, keeping what has come; does nothing when none is running."""
        if self.turn is None:
            return
        self.turn.phase = Phase.STOPPING
        if self.turn.asked:
            self._worker.send(Stop(self.turn.number))
        else:
            self.end(TurnStopped(self.turn.number))

    def abandon(self) -> None:
        """End the turn at once, as when leaving the chat; late events of it are dropped."""
        self.stop()
        if self.turn is not None:
            self.end(TurnStopped(self.turn.number))

    def take(self, event: TurnEvent) -> None:
        """Record what happened, if it happened in this turn."""
        if self.turn is None or event.turn != self.turn.number:
            return
        if isinstance(event, TurnEnded):
            self.end(event)
        else:
            self.turn.take(event)
            self._report(event)

    def end(self, event: TurnEnded) -> None:
        """Put the reply's last word on disk, then tell of its end."""
        if self.turn is None:
            return
        self.turn.end(event)
        self._save(self.turn)
        self.turn = None
        self._report(event)

    def checkpoint_if_due(self) -> None:
        """Save what came, about once a second; what could not be saved before is tried again."""
        now = self._clock()
        if self.turn and self.turn.checkpoint_is_due(now):
            self._save(self.turn)
        else:
            self._record.write_if_due(now)

    def _save(self, turn: Turn) -> None:
        now = self._clock()
        self._record.keep(turn.saved(now), turn.growing.timeline, now)
