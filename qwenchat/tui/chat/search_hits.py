"""What was searched for, and where in the conversation it stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widget import Widget

from qwenchat.chat.messages import Message, Role
from qwenchat.i18n.texts import say
from qwenchat.library.index import searchable
from qwenchat.library.query import SearchQuery
from qwenchat.session.session import Session
from qwenchat.tui.transcript.message_base import MessageWidget
from qwenchat.tui.transcript.passage import Passage, passage_of
from qwenchat.tui.transcript.prompt import FoldedText
from qwenchat.tui.transcript.reasoning import Reasoning
from qwenchat.tui.transcript.tool_block import ToolBlock


@dataclass(frozen=True, slots=True)
class HitPosition:
    """Where a hit stands: in one of the texts of a passage, from one character on."""

    passage: Passage
    number: int
    start: int


class SearchHits:
    """The messages of the path being read that have all words that are sought, and the places of these words."""

    def __init__(self, session: Session, words: str, *, thoughts: bool) -> None:
        """With `thoughts` also what was thought is looked at."""
        self._session = session
        self._sought = SearchQuery(words)
        self._thoughts = thoughts
        self._path: tuple[Message, ...] = ()
        self._messages: list[str] = []
        """The messages of that path that have it all."""
        self._passages: dict[Widget, Passage | None] = {}

    @property
    def messages(self) -> Sequence[str]:
        """The ids of the messages that have it all, from first to last."""
        if self._path is not self._session.conversation.path:
            self._path = self._session.conversation.path
            having = (speaker for speaker, message in self._speakers() if self._sought.is_in(self._read(message)))
            self._messages = list(dict.fromkeys(having))
        return self._messages

    def speaker(self, message_id: str) -> str:
        """The message that shows another: what a tool gave stands in the reply that called it."""
        return next((speaker for speaker, message in self._speakers() if message.id == message_id), message_id)

    def beside(self, message_id: str | None, by: int) -> tuple[str | None, str]:
        """The next message (1) or the one before (-1), and what is to be said where that is at the other end."""
        if not self.messages:
            return None, say("Nothing found")
        order = {message.id: at for at, message in enumerate(self._path)}
        here = order.get(message_id or "", -1)
        beyond = [message for message in self.messages if (order[message] - here) * by > 0]
        if beyond:
            return (beyond[0] if by > 0 else beyond[-1]), ""
        if by > 0:
            return self.messages[0], say("That was the last hit; here is the first.")
        return self.messages[-1], say("That was the first hit; here is the last.")

    def passage(self, widget: Widget) -> Passage | None:
        """The passage that a widget draws, always the same one; None for one that draws something else."""
        if widget not in self._passages:
            self._passages[widget] = passage_of(widget)
        return self._passages[widget]

    def unfold(self, said: MessageWidget) -> bool:
        """Open what is folded in a message and has a hit; says whether there was such."""
        folded = [
            fold
            for fold in said.walk_children(Widget)
            if isinstance(fold, Reasoning | FoldedText | ToolBlock)
            if not fold.opened and (self._thoughts or not isinstance(fold, Reasoning))
            if self._sought.spans(fold.text)
        ]
        for fold in folded:
            fold.opened = True
        return bool(folded)

    def places(self, said: MessageWidget | None) -> Iterator[HitPosition]:
        """The hits in a mounted message, as far as it is unfolded, from top to bottom."""
        if said is None or said.message_id not in self.messages:
            return
        for widget in self._shown_in(said):
            if (passage := self.passage(widget)) is not None:
                for number, text in enumerate(passage.texts):
                    yield from (HitPosition(passage, number, start) for start, _ in self._sought.spans(text.plain))

    def marked(self, passage: Passage, mark: str, at: HitPosition | None, current: str) -> list[Content]:
        """The texts of a passage with the hits in them marked, one of them otherwise."""
        texts = []
        for number, text in enumerate(passage.texts):
            for start, stop in self._sought.spans(text.plain):
                text = text.stylize(current if HitPosition(passage, number, start) == at else mark, start, stop)
            texts.append(text)
        return texts

    def _speakers(self) -> Iterator[tuple[str, Message]]:
        speaker = ""
        for message in self._session.conversation.path:
            if message.role is not Role.TOOL or not speaker:
                speaker = message.id
            yield speaker, message

    def _read(self, message: Message) -> str:
        said, thought = searchable(message.parts)
        return f"{said}\n{thought}" if self._thoughts else said

    def _shown_in(self, widget: Widget) -> Iterator[Widget]:
        for child in widget.children:
            if child.display and (self._thoughts or not isinstance(child, Reasoning)):
                yield child
                yield from self._shown_in(child)
