"""A model that answers beside others: its name, its reply as it comes, and its figures."""

import time

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from qwenchat.chat.events import Event, PrefillProgressed, ReplyEvent, TurnEnded
from qwenchat.chat.messages import Status
from qwenchat.chat.provenance import ModelInfo, Timing
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import count, say
from qwenchat.session.comparison import ComparedModel
from qwenchat.session.turn import Phase
from qwenchat.tui.models.compared_models import place_of, title_of
from qwenchat.tui.transcript.endings import ending_in_words
from qwenchat.tui.transcript.message import AssistantMessage
from qwenchat.tui.transcript.viewed import FollowingPane
from qwenchat.tui.widgets.status import ProgressRate


class AnswerColumn(Vertical):
    """One column of a comparison; a click makes it the one that the keys act on."""

    class Clicked(Message):
        """The reader turned to this column."""

        def __init__(self, column: "AnswerColumn") -> None:
            super().__init__()
            self.column = column

    def __init__(self, compared: ComparedModel, number: int) -> None:
        super().__init__()
        self.compared = compared
        self.number = number
        self.reply = AssistantMessage(compared.reply)
        self.pane = FollowingPane()
        self._head = Static(classes="head")
        self._figures = Static(classes="figures")
        self._pace = ProgressRate(time.monotonic)
        self._read: PrefillProgressed | None = None
        self._said: tuple[Content, Content] | None = None

    def compose(self) -> ComposeResult:
        """The name above the reply, the figures below it."""
        yield self._head
        with self.pane:
            yield self.reply
        yield self._figures

    def on_mount(self) -> None:
        """Follow the reply from the start."""
        self.pane.anchor()

    def on_click(self, event: Click) -> None:
        """A click anywhere in it."""
        self.post_message(self.Clicked(self))

    @property
    def title(self) -> str:
        """What the model is called."""
        return title_of(self.compared.command, self._model)

    @property
    def brief(self) -> str:
        """How far it is, in a word or two."""
        rate = self._timing.tokens_per_s
        if self._failed:
            return say("failed")
        return self.state or say("{rate:.1f} tok/s", rate=rate)

    @property
    def state(self) -> str:
        """What it is doing, or how it ended; empty for a reply that is whole."""
        compared = self.compared
        if not compared.begun:
            return say("was not asked") if compared.ended else say("waits for the others on this machine")
        if compared.ended:
            return self._ending
        if (load := compared.slot.progress) is not None:
            return " ".join(filter(None, (safe_line(load.step), self._pace.words(load))))
        match compared.phase:
            case Phase.THINKING:
                return say("thinking")
            case Phase.ANSWERING:
                return say("answering")
            case Phase.STOPPING:
                return say("stopping")
        if self._read is None or self._read.done >= self._read.total:
            return say("reading the prompt")
        return say("reading the prompt, {share} %", share=100 * self._read.done // self._read.total)

    def take(self, event: Event) -> None:
        """Take in what happened; `draw` shows it."""
        if isinstance(event, TurnEnded):
            self.reply.finish(self.compared.reply)
        elif isinstance(event, PrefillProgressed):
            self._read = event
        elif isinstance(event, ReplyEvent):
            self.reply.take(event, fold=True)

    def draw(self, *, active: bool, flush: bool) -> None:
        """Show how far it is, and what was added, unless the screen is to be spared."""
        mark = "▸" if active else " "
        head = Content.assemble(
            (f"{mark}{self.number} {self.title}\n", "bold"), (f"  {place_of(self.compared.command, self._model)}", "")
        )
        shown = head, self._facts()
        if shown != self._said:
            self._said = shown
            self._head.update(shown[0])
            self._figures.update(shown[1])
        self.set_class(active, "-active")
        if flush and not self.compared.ended:
            self.reply.flush()

    def _facts(self) -> Content:
        timing, tokens, figures = self._timing, self._tokens, []
        if timing.first_token_s:
            figures.append(say("first token {seconds:.2f} s", seconds=timing.first_token_s))
        if tokens:
            figures.append(count("{number:,} token", "{number:,} tokens", tokens))
        if timing.tokens_per_s:
            figures.append(say("{rate:.1f} tok/s", rate=timing.tokens_per_s))
        state = Content.styled(self.state, "$error" if self._failed else "$primary")
        return Content("\n").join(filter(None, (state, Content.styled(" · ".join(figures), "$quiet"))))

    @property
    def _failed(self) -> bool:
        return self.compared.ended and self.compared.reply.status is Status.FAILED

    @property
    def _ending(self) -> str:
        compared = self.compared
        return ending_in_words(compared.reply) if compared.begun and compared.ended else ""

    @property
    def _model(self) -> ModelInfo | None:
        return self.compared.slot.info

    @property
    def _timing(self) -> Timing:
        """The figures of the engine once it has reported them; until then those of what was seen."""
        made, growing = self.compared.reply.provenance, self.compared.turn.growing
        if self.compared.ended and made is not None:
            return made.timing
        return Timing(growing.first_token_s or 0.0, 0.0, growing.at_s, growing.tokens_per_s)

    @property
    def _tokens(self) -> int:
        made, growing = self.compared.reply.provenance, self.compared.turn.growing
        if self.compared.ended and made is not None:
            return made.usage.thinking_tokens + made.usage.answer_tokens
        return growing.thinking_tokens + growing.answer_tokens
