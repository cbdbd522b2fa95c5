"""One message looked at closely: how it was made, and how sure the model was of each token."""

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from qwenchat.chat.branch_point import Beginning
from qwenchat.chat.messages import Message
from qwenchat.chat.provenance import ModelInfo
from qwenchat.reports.message_details import account_of
from qwenchat.session.session import Session
from qwenchat.session.token_scores import scoring_of
from qwenchat.tui.screens.inspect import InspectScreen
from qwenchat.tui.screens.lens import LensScreen


class Looking:
    """Opens the screens that show one message closely.

    `push` shows a screen and gives on what that gives back.
    """

    def __init__(self, session: Session, push: Callable[[Screen[Any], Callable[[Any], None] | None], object]) -> None:
        self._session = session
        self._push = push

    def inspect(self, message: Message) -> None:
        """Show everything that made a message."""

        versions = self._session.conversation.tree.siblings(message.id)
        number = versions.index(message.id) + 1 if message.id in versions else 1
        typed = self._session.library.timeline(message.id)
        self._push(InspectScreen(account_of(message, number, len(versions), typed)), None)

    def lens(self, message: Message, go_on: Callable[[str, Beginning], object]) -> None:
        """Show the tokens of a reply; `go_on` is given its id and another beginning. Raises NoTokens."""

        scoring_of(self._session.conversation.tree, message.id)
        reader = _name_of(self._session.model.info)
        writer = _name_of(message.provenance.model if message.provenance is not None else None)

        def score() -> None:
            self._session.scores.begin(scoring_of(self._session.conversation.tree, message.id))

        def then(other: Beginning | None) -> None:
            if other is not None:
                go_on(message.id, other)

        self._push(LensScreen(self._session.scores, score, reader, writer), then)


def _name_of(model: ModelInfo | None) -> str:
    """A model with all that makes it say one thing and not another."""
    return " ".join(word for word in (model.name, model.quantization) if word) if model is not None else ""
