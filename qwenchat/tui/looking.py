"""One message looked at closely: how it was made."""

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from qwenchat.chat.messages import Message
from qwenchat.session import Session
from qwenchat.tui.account import account_of


class Looking:
    """Opens the screens that show one message closely. `push` shows a screen."""

    def __init__(self, session: Session, push: Callable[[Screen[Any]], object]) -> None:
        self._session = session
        self._push = push

    def inspect(self, message: Message) -> None:
        """Show everything that made a message."""
        from qwenchat.tui.screens.inspect import InspectScreen

        versions = self._session.tree.siblings(message.id)
        number = versions.index(message.id) + 1 if message.id in versions else 1
        typed = self._session.library.timeline(message.id)
        self._push(InspectScreen(account_of(message, number, len(versions), typed)))
