"""The Textual app: wiring of the session, the screens and the themes."""

from collections.abc import Iterable
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from qwenchat.chat.commands import LoadModel
from qwenchat.session import Session
from qwenchat.tui.screens.chat import ChatScreen
from qwenchat.tui.screens.help import HelpScreen, bindings_of
from qwenchat.tui.widgets.composer import Composer
from qwenchat.tui.widgets.transcript import Transcript


class QwenChat(App[None]):
    """The full-screen chat. The session is made by the caller; closing it is part of quitting."""

    TITLE = "qwenchat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Keys and commands", priority=True),
        Binding("ctrl+q", "quit", "Quit; everything is saved", priority=True),
        Binding("ctrl+p", "command_palette", "Command palette", priority=True),
    ]

    def __init__(
        self, session: Session, load: LoadModel, theme: str = "textual-dark", resume: str | None = None
    ) -> None:
        super().__init__()
        self.session = session
        self._chat = ChatScreen(session, load, resume)
        self.theme = theme

    def get_default_screen(self) -> Screen[None]:
        """The chat is the only screen that is always there."""
        return self._chat

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Textual's own commands, and everything that has a key in the chat."""
        yield from super().get_system_commands(screen)
        for binding in bindings_of(ChatScreen).values():
            if binding.action.isidentifier() and hasattr(self._chat, f"action_{binding.action}"):
                yield SystemCommand(binding.description, "", getattr(self._chat, f"action_{binding.action}"))

    def action_help(self) -> None:
        """Show or close the help."""
        if isinstance(self.screen, HelpScreen):
            self.pop_screen()
        else:
            groups = (("Chat", ChatScreen), ("Writing", Composer), ("Reading", Transcript), ("Program", QwenChat))
            self.push_screen(HelpScreen(groups))

    async def action_quit(self) -> None:
        """Save the draft and the reply as far as it came, end the model's thread, and leave."""
        self._chat.keep_draft()
        self.session.close()
        self.exit()
