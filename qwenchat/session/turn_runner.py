"""The running turn: the model is asked, what it says is recorded, and the end is on disk before it is reported."""

from collections.abc import Callable
from dataclasses import replace

from qwenchat.chat.engine_commands import StartTurn, Stop
from qwenchat.chat.events import Event, TurnEnded, TurnEvent, TurnFinished, TurnStopped
from qwenchat.chat.messages import ToolCallPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.reply import GrowingReply
from qwenchat.engine.worker import Worker
from qwenchat.session.open_conversation import OpenConversation
from qwenchat.session.turn import Phase, Turn


class TurnRunner:
    """Holds one turn at a time, from the moment it begins until its end is saved."""

    def __init__(self, worker: Worker, conversation: OpenConversation, clock: Callable[[], float]) -> None:
        """`serve` is to be called before the first turn."""
        self.current: Turn | None = None
        """The turn that runs, or waits for the model to be loaded."""
        self._worker = worker
        self._conversation = conversation
        self._clock = clock

    def serve(self, command: Callable[[Turn], StartTurn], report: Callable[[Event], None]) -> None:
        """From here on `command` makes the command for a turn, once the model is there, and `report` takes events."""
        self._command = command
        self._report = report

    @property
    def growing(self) -> GrowingReply | None:
        """The reply that is being written, live."""
        return self.current.growing if self.current else None

    @property
    def reply_id(self) -> str | None:
        """The id of the reply that is being written."""
        return self.current.reply.id if self.current else None

    @property
    def waiting(self) -> bool:
        """Whether a turn waits for the model to be loaded."""
        return self.current is not None and not self.current.asked

    def begin(self, turn: Turn, *, ready: bool) -> None:
        """Hold `turn`, and ask the model if it is ready."""
        self.current = turn
        if ready:
            self.ask()

    def ask(self) -> None:
        """Ask the model. The reply is on disk first, so that a crash leaves a trace of it."""
        if self.current is not None:
            command = self._command(self.current)
            self._save(self.current)
            self._worker.send(command)

    def stop(self) -> None:
        """End the turn, keeping what has come; does nothing when none is running."""
        if self.current is None:
            return
        self.current.phase = Phase.STOPPING
        if self.current.asked:
            self._worker.send(Stop(self.current.number))
        else:
            self.end(TurnStopped(self.current.number))

    def abandon(self) -> None:
        """End the turn at once, as when leaving the chat; late events of it are dropped."""
        self.stop()
        if self.current is not None:
            self.end(TurnStopped(self.current.number))

    def take(self, event: TurnEvent) -> None:
        """Record what happened, if it happened in this turn."""
        if self.current is None or event.turn != self.current.number:
            return
        if isinstance(event, TurnEnded):
            self.end(event)
        else:
            self.current.take(event)
            self._report(event)

    def take_calls(self, event: TurnFinished) -> Turn | None:
        """Record a reply that ended with tool calls; its turn is returned if they are to run: not after a stop."""
        turn = self.current
        if turn is None or turn.number != event.turn:
            return None
        called = any(isinstance(part, ToolCallPart) for part in turn.growing.parts())
        stopped = turn.phase is Phase.STOPPING
        self.end(event if called else replace(event, reason=FinishReason.STOP))
        if called and stopped:
            self._report(TurnStopped(event.turn))
        return turn if called and not stopped else None

    def end(self, event: TurnEnded) -> None:
        """Put the whole reply on disk, then report its end."""
        if self.current is None:
            return
        self.current.end(event)
        self._save(self.current)
        self.current = None
        self._report(event)

    def checkpoint_if_due(self) -> None:
        """Save what came, about once a second; what could not be saved before is tried again."""
        if self.current and self.current.checkpoint_is_due(self._clock()):
            self._save(self.current)
        else:
            self._conversation.write_if_due()

    def _save(self, turn: Turn) -> None:
        self._conversation.keep(turn.saved(self._clock()), turn.growing.timeline)
