"""What the model may call in this chat: a list to switch on and off."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import later, listed, say
from qwenchat.session.session import Session
from qwenchat.tui.transcript.long_list import LongList

NAME_WIDTH = 24
ABOUT = {
    "date_and_time": later("says what day and time it is"),
    "calculator": later("computes what is written as a formula"),
    "list_files": later("lists an allowed folder"),
    "read_file": later("reads a text file in an allowed folder"),
    "search_files": later("finds words in the files of allowed folders"),
    "fetch_page": later("reads a page of the web"),
}
"""What the tools of this program do."""


@dataclass(frozen=True, slots=True)
class _ToolRow:
    """A tool or a server of tools, with a dot before one that is on."""

    name: str
    on: bool
    about: str

    @property
    def key(self) -> str:
        """Its name."""
        return self.name

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """Its name and what there is to say of it."""
        mark = Content.styled("● " if self.on else "  ", "$primary")
        name = Content.styled(safe_line(self.name), "bold").truncate(NAME_WIDTH, ellipsis=True, pad=True)
        return Content.assemble(mark, name, (safe_line(self.about), "$quiet"))


class ToolsScreen(ModalScreen[None]):
    """Every tool and server; what is switched counts from the next message on."""

    CSS_PATH = "tools.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "switch", "Switch a tool on or off for this chat", id="tools.switch", show=False),
        Binding("escape,f10", "leave", "Leave the tools", id="tools.leave", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._list = LongList()

    def compose(self) -> ComposeResult:
        """The list, what it says about the model, and the keys."""
        with Vertical(id="panel"):
            yield Static(Content.styled(say("Tools"), "bold $primary"), id="title")
            yield self._list
            yield Static(id="about")

    def on_mount(self) -> None:
        """Tools of servers come later, when these answer."""
        self._show()
        self._list.focus()
        self.set_interval(0.5, self._show)

    def action_switch(self) -> None:
        """Switch what is highlighted."""
        self._list.action_choose()

    def action_leave(self) -> None:
        """Leave the screen."""
        self.dismiss()

    @on(LongList.Selected)
    def _switch(self, event: LongList.Selected) -> None:
        on = self._session.tools.on
        if event.key in on:
            self._session.switch_tools([name for name in on if name != event.key])
        else:
            self._session.switch_tools([*on, event.key])
        self._show()

    def _show(self) -> None:
        on = self._session.tools.on
        names = dict.fromkeys((*self._session.tools.available, *on))
        rows = [_ToolRow(name, name in on, self._about(name)) for name in names]
        if rows != self._list.rows:
            self._list.show(rows, self._list.highlighted or 0, say("There are no tools."))
        self.query_one("#about", Static).update(Content.styled(self._advice(), "$quiet"))

    def _about(self, name: str) -> str:
        what = say(ABOUT[name]) if name in ABOUT else ""
        if name not in self._session.tools.on:
            return what or say("a server of tools")
        if not self._session.tools.ready:
            return say("getting ready")
        offered = {tool.name: tool for tool in self._session.tools.offered}
        if name in offered:
            return " · ".join(filter(None, (self._asks(name), what)))
        below = [each for each in offered if each.startswith(f"{name}__")]
        return listed(each.removeprefix(f"{name}__") for each in below) or say("not available")

    def _asks(self, name: str) -> str:
        return say("runs without asking") if self._session.tools.may_run(name) else say("asks each time")

    def _advice(self) -> str:
        model = self._session.model.info
        if model is not None and not model.tools:
            return say("{model} cannot call tools; it answers without them.", model=safe_line(model.name))
        return say("Enter switches a tool for this chat · `qwenchat tools allow NAME` for every chat · Esc leaves")
