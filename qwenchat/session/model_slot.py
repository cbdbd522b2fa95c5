"""Which model is loaded, and how far the next one is. Where a load fails, the model before it comes back."""

from dataclasses import replace

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.errors import DeviceFailed, QwenchatError
from qwenchat.chat.events import (
    LoadEvent,
    LoadProgressed,
    ModelLearned,
    ModelLoaded,
    ThoughtStarted,
    TurnEvent,
    TurnFailed,
)
from qwenchat.chat.provenance import ModelInfo, ThinkingSupport
from qwenchat.engine.worker import Worker
from qwenchat.i18n.texts import say


class Loading:
    """The loads that were asked for; only the latest one counts."""

    def __init__(self, worker: Worker) -> None:
        self.model: ModelInfo | None = None
        """The model that answers."""
        self.progress: LoadProgressed | None = None
        """The latest word about the model being loaded; None when none is."""
        self.error: QwenchatError | None = None
        """Why the latest load that was asked for failed; None once another is asked for."""
        self.command: LoadModel | None = None
        """What is loaded or being loaded."""
        self._former: LoadModel | None = None
        """What was loaded before, and can be again."""
        self._worker = worker
        self._waiting = 0
        """How many loads have not ended."""

    def begin(self, command: LoadModel) -> None:
        """Ask for a model."""
        self.error = None
        self._send(command)

    def learn(self, event: TurnEvent) -> None:
        """Take what a turn shows of the model: its device is lost, it takes no tools, or it thinks after all."""
        match event:
            case TurnFailed(error=DeviceFailed()):
                self._begin_on_cpu()
            case ModelLearned() if self.model is not None:
                self.model = event.model
            case ThoughtStarted() if self.model is not None and self._is_said_not_to_think(self.model):
                self.model = replace(self.model, thinking=ThinkingSupport.ALWAYS)

    def fall_back_on(self, other: "Loading") -> None:
        """Load what answered there, should the load that is under way here fail."""
        if self.model is None and other.model is not None:
            self._former = other.command

    def take(self, event: LoadEvent) -> bool:
        """Take in what happened, and say whether it concerns anyone: the end of a load that was replaced does not."""
        if isinstance(event, LoadProgressed):
            self.progress = event
            return True
        self._waiting -= 1
        if self._waiting:
            return False
        self.progress = None
        if isinstance(event, ModelLoaded):
            self.model, self._former = event.model, self.command
        else:
            self._failed(event.error)
        return True

    def _begin_on_cpu(self) -> None:
        """Ask for the same model on the CPU; does nothing while another is loaded anyway."""
        if self.command is not None and self.progress is None:
            self._former = None
            self.begin(replace(self.command, device="cpu"))

    @staticmethod
    def _is_said_not_to_think(model: ModelInfo) -> bool:
        """By a server; what runs here thinks as its template says, whatever it may write."""
        return bool(model.server) and model.thinking is ThinkingSupport.NONE

    def _failed(self, error: QwenchatError) -> None:
        """Go back, once, to the model that was there before."""
        former, self._former = self._former, None
        self.model, self.error = None, error
        if former is not None:
            self._send(former, back=True)

    def _send(self, command: LoadModel, *, back: bool = False) -> None:
        self.command = command
        self.progress = LoadProgressed(say("starting"))
        self._waiting += 1
        self._worker.send(replace(command, back=back))
