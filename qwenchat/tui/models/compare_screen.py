"""Several replies to one message, side by side as they come; one of them goes on with the conversation."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say
from qwenchat.session.comparison import ComparedModel, Comparison
from qwenchat.session.session import Session
from qwenchat.tui.chat.event_feed import DrawPace
from qwenchat.tui.keys.bindings import key_shown
from qwenchat.tui.models.answer_column import AnswerColumn

DRAWS_PER_S = 20
NARROWEST = 38
"""Columns of the terminal that a reply takes at least; where there are fewer, one reply is shown at a time."""


class CompareScreen(Screen[ComparedModel | None]):
    """One column for each model; gives back the one that was chosen, or None when the comparison was left."""

    CSS_PATH = "compare_screen.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "To the reply at the left", id="compare.left"),
        Binding("right", "move(1)", "To the reply at the right", id="compare.right"),
        Binding("enter", "choose", "Go on with this one; the others stay as versions", id="compare.choose"),
        Binding("1", "number(1)", "Go on with the first; 2 to 9 with the others", id="compare.first"),
        *(Binding(str(at), f"number({at})", show=False, id=f"compare.number_{at}") for at in range(2, 10)),
        Binding("o,ctrl+o", "reasoning", "Open or fold all thoughts", id="compare.reasoning"),
        Binding("ctrl+s", "answer", "Let this one answer now, from what it thought so far", id="compare.answer"),
        Binding("s", "stop_one", "Stop this one; the others go on", id="compare.stop_one"),
        Binding("up", "scroll(-1)", "Read further up", id="compare.up"),
        Binding("down", "scroll(1)", "Read further down", id="compare.down"),
        Binding("pageup", "page(-1)", "A page up", id="compare.page_up"),
        Binding("pagedown", "page(1)", "A page down", id="compare.page_down"),
        Binding("end,ctrl+end", "follow", "To the end, and follow it", id="compare.follow"),
        Binding("escape,f7", "leave", "Stop all; then leave with none chosen, and all kept", id="compare.leave"),
    ]

    def __init__(self, session: Session, comparison: Comparison) -> None:
        super().__init__()
        self._session = session
        self._comparison = comparison
        self._columns = [AnswerColumn(each, at) for at, each in enumerate(comparison.compared_models, 1)]
        self._at = 0
        self._pace = DrawPace()

    def compose(self) -> ComposeResult:
        """What was asked, the replies, and the keys."""
        yield Static(id="asked")
        yield Static(id="tabs")
        yield Horizontal(*self._columns, id="columns")
        yield Static(id="keys")

    def on_mount(self) -> None:
        """Show what comes from here on."""
        asked = self._comparison.compared_models[0].reply.parent
        said = self._session.conversation.tree[asked].text if asked is not None else ""
        self.query_one("#asked", Static).update(Content(safe_line(said)))
        self.set_interval(1 / DRAWS_PER_S, self._draw)
        self._draw()

    def on_resize(self, event: Resize) -> None:
        """Another width may have room for more columns, or fewer."""
        self._arrange(event.size.width)

    def action_move(self, by: int) -> None:
        """To another reply."""
        self._turn_to((self._at + by) % len(self._columns))

    def action_choose(self) -> None:
        """Go on with this one."""
        compared = self._columns[self._at].compared
        if compared.failure is not None:
            self.notify(say("It failed, so there is no reply to go on with."), markup=False)
        else:
            self.dismiss(compared)

    def action_number(self, number: int) -> None:
        """Go on with that one."""
        if number <= len(self._columns):
            self._turn_to(number - 1)
            self.action_choose()

    def action_reasoning(self) -> None:
        """Open all thoughts, or fold all."""
        thoughts = [column.reply.reasoning for column in self._columns if column.reply.reasoning.display]
        opened = not all(thought.opened for thought in thoughts)
        for thought in thoughts:
            thought.opened = opened

    def action_answer(self) -> None:
        """End the thought of this one."""
        self._columns[self._at].compared.answer_now()

    def action_stop_one(self) -> None:
        """Stop this one alone."""
        self._columns[self._at].compared.stop()

    def action_scroll(self, by: int) -> None:
        """Up or down in this one."""
        self._columns[self._at].pane.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        """A page up or down in this one."""
        pane = self._columns[self._at].pane
        pane.scroll_relative(y=by * max(1, pane.size.height - 1), animate=False)

    def action_follow(self) -> None:
        """To the end of this one."""
        self._columns[self._at].pane.anchor()

    def action_leave(self) -> None:
        """Stop what runs; when nothing does, leave."""
        if self._comparison.running:
            self._comparison.stop()
        else:
            self.dismiss(None)

    @on(AnswerColumn.Clicked)
    def _clicked(self, event: AnswerColumn.Clicked) -> None:
        self._turn_to(self._columns.index(event.column))

    def _turn_to(self, at: int) -> None:
        self._at = at
        self._arrange(self.size.width)
        self._draw()

    def _arrange(self, width: int) -> None:
        """All columns side by side, or this one alone."""
        alone = width // len(self._columns) < NARROWEST
        self.query_one("#tabs").display = alone
        for at, column in enumerate(self._columns):
            column.display = not alone or at == self._at

    def _draw(self) -> None:
        """Show what has happened since the last time."""
        by_model = {column.compared: column for column in self._columns}
        for compared, event in self._comparison.poll():
            by_model[compared].take(event)
        if self._comparison.over:
            if self.is_current:
                self.dismiss(None)
            return
        flush = self._pace.allows()
        for at, column in enumerate(self._columns):
            column.draw(active=at == self._at, flush=flush)
        self.query_one("#tabs", Static).update(self._tabs())
        self.query_one("#keys", Static).update(self._hint())

    def _tabs(self) -> Content:
        """All compared models on one line, each with how far it is."""
        tabs = [
            Content.styled(
                f"{'▸' if at == self._at else ' '}{column.number} {column.title} {column.brief}",
                "bold $primary" if at == self._at else "$quiet",
            )
            for at, column in enumerate(self._columns)
        ]
        return Content("  ").join(tabs)

    def _hint(self) -> Content:
        if self._session.conversation.unsaved:
            return Content.styled(say("The replies are not saved yet, only kept on the screen."), "$warning")
        choose, leave = key_shown(self, "compare.choose", "enter"), key_shown(self, "compare.leave", "escape")
        remedy = say("{key} stops", key=leave) if self._comparison.running else say("{key} leaves", key=leave)
        hints = (say("←→ turn to one"), say("{key} goes on with it", key=choose), remedy)
        return Content.styled(" · ".join(hints), "$quiet")
