"""What the parts of the chat's screen share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from textual.app import App
from textual.screen import Screen

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.text import safe
from qwenchat.session.answer_settings import AnswerSettings
from qwenchat.session.session import Session
from qwenchat.tui.transcript.transcript import Transcript
from qwenchat.tui.widgets.composer import Composer
from qwenchat.tui.widgets.notices import Notices
from qwenchat.tui.widgets.status import StatusLine


@dataclass(frozen=True, slots=True)
class ChatContext:
    """The chat behind the screen, how it is to begin, the widgets that more than one part changes, and the app."""

    app: App[None]
    session: Session
    load: LoadModel
    """The model that is loaded at the start."""
    answer_settings: AnswerSettings
    resume: str | None = None
    """The conversation that is open at the start; None for a new one."""
    problems: tuple[str, ...] = ()
    """What is said at the start."""
    tools: tuple[str, ...] = ()
    """Those that are switched on once the first frame is there."""
    composer: Composer = field(default_factory=Composer)
    transcript: Transcript = field(default_factory=lambda: Transcript(choosable=True))
    notices: Notices = field(default_factory=Notices)
    status: StatusLine = field(default_factory=StatusLine)

    def notify_user(self, text: str, severity: Literal["information", "warning"] = "information") -> None:
        """Say something for a while."""
        self.app.notify(safe(text), severity=severity, markup=False)

    def push(
        self, screen: Screen[Any], then: Callable[[Any], None] | Callable[[Any], Awaitable[None]] | None = None
    ) -> None:
        """Show a screen over the chat; `then` is given what it gives back."""
        self.app.push_screen(screen, then)

    def copy(self, text: str) -> None:
        """Put text into the clipboard."""
        self.app.copy_to_clipboard(text)
