"""A worker, the model that is loaded in it or will be, and the turn that it runs."""

from collections.abc import Callable
from dataclasses import replace

from qwenchat.chat.engine_commands import LoadModel, StartTurn
from qwenchat.chat.errors import DeviceFailed, QwenchatError
from qwenchat.chat.events import (
    Event,
    LoadEvent,
    LoadFailed,
    LoadProgressed,
    ModelLearned,
    ModelLoaded,
    ThoughtStarted,
    TurnEvent,
    TurnFailed,
)
from qwenchat.chat.provenance import ModelInfo, ThinkingSupport
from qwenchat.chat.thinking import support_of
from qwenchat.engine.worker import Worker
from qwenchat.i18n.texts import say
from qwenchat.session.open_conversation import OpenConversation
from qwenchat.session.turn import Turn
from qwenchat.session.turn_runner import TurnRunner


class ModelSlot:
    """Of the loads that were asked for only the latest counts; where one fails, the model before it comes back."""

    def __init__(self, worker: Worker, conversation: OpenConversation, clock: Callable[[], float]) -> None:
        self.worker = worker
        self._conversation, self._clock = conversation, clock
        self.turn = TurnRunner(worker, conversation, clock)
        """The turn that runs here, or waits for the model."""
        self.info: ModelInfo | None = None
        """The model that answers; None while there is none."""
        self.progress: LoadProgressed | None = None
        """How far the model is that is being loaded; None when none is."""
        self.error: QwenchatError | None = None
        """Why the latest load that was asked for failed, also when the model before it is back."""
        self.command: LoadModel | None = None
        """What is loaded or being loaded; None until a model was asked for."""
        self._former: LoadModel | None = None
        """What was loaded before, and can be again."""
        self._unfinished = 0
        """How many loads have not ended."""

    @property
    def support(self) -> ThinkingSupport:
        """Which thinking switches the model has; before one is loaded, those of Qwen3."""
        return support_of(self.info)

    @property
    def reads_later_system(self) -> bool:
        """Whether the model reads system prompts in mid-conversation; before one is loaded, as Qwen3 does."""
        return self.info is None or self.info.system_changes

    def serve(self, command: Callable[[Turn, ModelInfo | None], StartTurn], report: Callable[[Event], None]) -> None:
        """From here on `command` makes the commands for turns, and `report` takes the events for the screen."""
        self.turn.serve(lambda turn: command(turn, self.info), report)

    def another(self) -> "ModelSlot":
        """An empty slot beside this one, with a worker of its own."""
        return ModelSlot(self.worker.another(), self._conversation, self._clock)

    def load(self, command: LoadModel) -> None:
        """Make a model ready; messages may be sent meanwhile and are answered when it is."""
        self.error = None
        self._send(command)

    def fall_back_on(self, other: "ModelSlot") -> None:
        """Load what answered there, should the load that is under way here fail."""
        if self.info is None and other.info is not None:
            self._former = other.command

    def take_load(self, event: LoadEvent) -> bool:
        """Take in how a load goes, and return whether that matters: the end of a load that was replaced does not."""
        if isinstance(event, LoadProgressed):
            self.progress = event
            return True
        self._unfinished -= 1
        if self._unfinished:
            return False
        self.progress = None
        if isinstance(event, ModelLoaded):
            self.info, self._former = event.model, self.command
        else:
            self._failed(event.error)
        return True

    def go_on_after_load(self, event: LoadEvent, *, ready: bool = True) -> None:
        """Let the turn that waits for the model begin, if the tools are `ready` too, or fail with the load."""
        if self.turn.current is None or not self.turn.waiting:
            return
        if isinstance(event, LoadFailed):
            self.turn.end(TurnFailed(self.turn.current.number, event.error))
        elif self.progress is None and ready:
            self.turn.ask()

    def take_turn(self, event: TurnEvent) -> None:
        """Record what happened in the turn, and what it shows of the model: its device is lost, or it thinks after all.

        That a server's model is none to think is what the server says; one that runs here thinks as its template says,
        whatever it may write.
        """
        self.turn.take(event)
        match event:
            case TurnFailed(error=DeviceFailed()):
                self._load_on_cpu()
            case ModelLearned() if self.info is not None:
                self.info = event.model
            case ThoughtStarted() if self.info is not None and self.info.server:
                if self.info.thinking is ThinkingSupport.NONE:
                    self.info = replace(self.info, thinking=ThinkingSupport.ALWAYS)

    def _load_on_cpu(self) -> None:
        """Ask for the same model on the CPU; does nothing while another is loaded anyway."""
        if self.command is not None and self.progress is None:
            self._former = None
            self.load(replace(self.command, device="cpu"))

    def _failed(self, error: QwenchatError) -> None:
        """Go back, once, to the model that was there before."""
        former, self._former = self._former, None
        self.info, self.error = None, error
        if former is not None:
            self._send(former, back=True)

    def _send(self, command: LoadModel, *, back: bool = False) -> None:
        self.command = command
        self.progress = LoadProgressed(say("starting"))
        self._unfinished += 1
        self.worker.send(replace(command, back=back))
