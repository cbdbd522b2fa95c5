"""What was said, looked at closely: how it was made, how sure the model was of it, how it came, and what it took."""

from collections.abc import Callable

from qwenchat.chat.branch_point import ReplyPrefix
from qwenchat.chat.messages import Message, Status
from qwenchat.chat.provenance import ModelInfo
from qwenchat.i18n.texts import say
from qwenchat.replay.player import Replay, timelines_of
from qwenchat.reports.message_details import details_of
from qwenchat.session.token_scores import scoring_of
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.screens.inspect import InspectScreen
from qwenchat.tui.screens.lens import LensScreen
from qwenchat.tui.screens.replay import ReplayScreen


class Inspection:
    """Opens the screens that show what was said, closely or played back, and what it took."""

    def __init__(self, context: ChatContext) -> None:
        self._session, self._push, self._notify_user = context.session, context.push, context.notify_user
        self._transcript = context.transcript

    def replay(self) -> None:
        """Play back what has been said and answered so far."""
        path = [message for message in self._session.conversation.path if message.status is not Status.STREAMING]
        if path:
            self._push(ReplayScreen(Replay(path, timelines_of(self._session.library, path))))
        else:
            self._notify_user(say("There is nothing to play yet."))

    def statistics(self) -> None:
        """Show tokens, time and speed, by day and by model."""
        from qwenchat.tui.screens.statistics import StatisticsScreen  # noqa: PLC0415  (imports plotext)

        self._push(StatisticsScreen(self._session.library))

    def thought(self) -> None:
        """Open or fold the latest thought there is."""
        thoughts = [reply.reasoning for reply in self._transcript.replies if reply.reasoning.display]
        if thoughts:
            thoughts[-1].toggle()
        else:
            self._notify_user(say("There is no reasoning to open here."))

    def inspect(self, message: Message) -> None:
        """Show everything that made a message."""

        versions = self._session.conversation.tree.siblings(message.id)
        number = versions.index(message.id) + 1 if message.id in versions else 1
        typed = self._session.library.timeline(message.id)
        self._push(InspectScreen(details_of(message, number, len(versions), typed)), None)

    def lens(self, message: Message, go_on: Callable[[str, ReplyPrefix], object]) -> None:
        """Show the tokens of a reply; `go_on` is given its id and another beginning. Raises NoTokens."""

        scoring_of(self._session.conversation.tree, message.id)
        reader = _name_of(self._session.model.info)
        writer = _name_of(message.provenance.model if message.provenance is not None else None)

        def score() -> None:
            self._session.scores.begin(scoring_of(self._session.conversation.tree, message.id))

        def then(other: ReplyPrefix | None) -> None:
            if other is not None:
                go_on(message.id, other)

        self._push(LensScreen(self._session.scores, score, reader, writer), then)


def _name_of(model: ModelInfo | None) -> str:
    """A model with all that makes it say one thing and not another."""
    return " ".join(word for word in (model.name, model.quantization) if word) if model is not None else ""
