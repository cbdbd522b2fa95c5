"""Which model is loaded, and how far the next one is."""

from dataclasses import replace

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.events import LoadEvent, LoadFailed, LoadProgressed, ModelLoaded
from qwenchat.chat.provenance import ModelInfo
from qwenchat.engine.worker import Worker


class Loading:
    """The loads that were asked for; only the latest one counts."""

    def __init__(self, worker: Worker) -> None:
        self.model: ModelInfo | None = None
        """The model that answers."""
        self.progress: LoadProgressed | None = None
        """The latest word about the model being loaded; None when none is."""
        self.error: QwenchatError | None = None
        """Why the latest load failed."""
        self._worker = worker
        self._command: LoadModel | None = None
        self._waiting = 0
        """How many loads have not ended."""

    def begin(self, command: LoadModel) -> None:
        """Ask for a model."""
        self._command = command
        self.progress = LoadProgressed("starting")
        self.error = None
        self._waiting += 1
        self._worker.send(command)

    def begin_on_cpu(self) -> None:
        """Ask for the same model on the CPU, since its device failed; does nothing while another is loaded anyway."""
        if self._command is not None and self.progress is None:
            self.begin(replace(self._command, device="cpu"))

    def take(self, event: LoadEvent) -> bool:
        """Take in what happened, and say whether it concerns anyone: the end of a load that was replaced does not."""
        if isinstance(event, LoadProgressed):
            self.progress = event
            return True
        self._waiting -= 1
        if self._waiting:
            return False
        self.progress = None
        self.model = event.model if isinstance(event, ModelLoaded) else None
        self.error = event.error if isinstance(event, LoadFailed) else None
        return True
