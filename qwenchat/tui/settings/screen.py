"""The settings: each with its value, where that comes from, and what it does; turned here, saved on demand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Paste
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.text import safe, safe_line
from qwenchat.i18n.texts import listed, say
from qwenchat.session.answer_settings import AnswerSettings
from qwenchat.settings import config, config_file
from qwenchat.tui.settings.controls import LoadSettings, SettingControl, about, changes, groups
from qwenchat.tui.settings.screen_settings import ScreenSettings
from qwenchat.tui.transcript.long_list import ListHeading, ListRow, LongList

LOOK_S = 0.5
"""Between two looks at whether anything else is to be shown."""
NAME_WIDTH = 20
ORIGIN_WIDTH = 16
_ON_LIST = frozenset({"step", "reset", "save", "load"})
"""What is done to the list, and not while a value is typed."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting: name, value, who set it."""

    control: SettingControl

    @property
    def key(self) -> str:
        """Its name."""
        return self.control.setting.name

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """What is changed in this chat stands out."""
        control = self.control
        name = Content(self.key).truncate(NAME_WIDTH, pad=True)
        value = Content.styled(control.shown, "bold $accent" if control.changed else "bold")
        room = width - NAME_WIDTH - ORIGIN_WIDTH - 1
        if room < ORIGIN_WIDTH:
            return Content.assemble(name, value)
        origin = Content.styled(control.origin, "$quiet").truncate(ORIGIN_WIDTH, ellipsis=True)
        return Content.assemble(name, value.truncate(room, ellipsis=True, pad=True), " ", origin)


class ValueField(TextArea):
    """Where a value is typed; a system prompt may have several lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Set the value", id="value.submit", show=False, priority=True),
        Binding("ctrl+j", "break_line", "Break the line of a system prompt", id="value.break_line", show=False),
    ]

    class Submitted(Message):
        """What is typed is to count."""

    def __init__(self) -> None:
        super().__init__(id="value", soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, compact=True)

    def action_submit(self) -> None:
        """Enter."""
        self.post_message(self.Submitted())

    def action_break_line(self) -> None:
        """A new line at the cursor."""
        self.insert("\n")

    async def _on_paste(self, event: Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert(safe(event.text.replace("\r\n", "\n").replace("\r", "\n")))


class SettingsScreen(ModalScreen[LoadModel | None]):
    """All settings in a list; gives back how the model is to be loaded anew, or None."""

    CSS_PATH = "screen.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,minus", "step(-1)", "Less, or the value before", id="settings.less", show=False, priority=True),
        Binding("right,plus", "step(1)", "More, or the next value", id="settings.more", show=False, priority=True),
        Binding("enter", "choose", "Type a value; turn a switch", id="settings.type", show=False),
        Binding("backspace", "reset", "Back to what is usual, then to the default", id="settings.reset", show=False),
        Binding("s", "save", "Save what was changed in config.toml", id="settings.save", show=False),
        Binding("l", "load", "Load the model anew as it is set here", id="settings.load", show=False),
        Binding("escape,f2", "leave", "Leave the field, then the settings", id="settings.leave", show=False),
    ]

    def __init__(self, answer_settings: AnswerSettings, load: LoadModel, file: Path) -> None:
        """`load` is how the model is loaded, `file` the user's config.toml."""
        super().__init__()
        self._answer_settings = answer_settings
        self._load = LoadSettings(load)
        self._file = file
        self._list = LongList()
        self._field = ValueField()
        self._groups: tuple[tuple[str, Sequence[SettingControl]], ...] = ()
        self._shown: list[str] = []

    def compose(self) -> ComposeResult:
        """The settings, what the highlighted one does, and what became of the last key."""
        with Vertical(id="panel"):
            yield Static(Content.styled(say("Settings"), "bold $primary"), id="title")
            yield self._list
            yield Static(id="what")
            yield self._field
            yield Static(id="about")

    def on_mount(self) -> None:
        """The list has the keys; the field comes when a value is typed."""
        self._groups = groups(
            self._answer_settings, self._load, ScreenSettings(self.app, self._answer_settings).controls()
        )
        self._field.display = False
        self.watch(self._list, "highlighted", self._move, init=False)
        self._show(0)
        self._list.focus()
        self._hint()
        self.set_interval(LOOK_S, self._keep_up)

    def _keep_up(self) -> None:
        """A model that is loaded meanwhile brings settings of its own."""
        if [control.shown for _, group in self._groups for control in group] != self._shown:
            self._show(self._list.highlighted or 0)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a value is typed, its keys are letters."""
        return action not in _ON_LIST or not self._field.has_focus

    def action_step(self, by: int) -> None:
        """The next value, or the one before."""
        if control := self._control:
            self._do(lambda: control.step(by))

    def action_reset(self) -> None:
        """Back to what is usual, then to what counts when nobody says anything."""
        if control := self._control:
            self._do(control.reset)

    def action_choose(self) -> None:
        """Type a value, or turn a switch."""
        self._list.action_choose()

    @on(LongList.Selected)
    def _type(self) -> None:
        if (control := self._control) is None:
            return
        if isinstance(control.value, bool):
            self.action_step(1)
            return
        self._field.display = True
        self._field.load_text("" if control.value is None else safe(str(control.value)))
        self._field.select_all()
        self._field.focus()
        self._say(say("Enter sets it, Esc leaves it · `default` takes it back"))

    @on(ValueField.Submitted)
    def _typed(self) -> None:
        control = self._control
        if control is not None and self._do(lambda: control.put(self._field.text)):
            self._close_field()

    def action_save(self) -> None:
        """Write what was changed into the user's file, where it counts from now on."""
        controls = [control for _, group in self._groups for control in group]
        changed = changes(controls)
        if not changed:
            self._say(say("Nothing was changed that could be saved."))
            return

        def save() -> str:
            config_file.write(self._file, changed)
            self._answer_settings.saved(config.read(self._file)[0])
            return say("Saved {names} in {file}", names=listed(changed), file=self._file)

        self._do(save)

    def action_load(self) -> None:
        """Load the model anew, and leave."""
        self.dismiss(self._load.wanted)

    def action_leave(self) -> None:
        """Leave the field, or the screen."""
        if self._field.display:
            self._close_field()
            self._hint()
        else:
            self.dismiss()

    @property
    def _control(self) -> SettingControl | None:
        row = self._list.highlighted_row
        return row.control if isinstance(row, SettingRow) else None

    def _do(self, what: Callable[[], str]) -> bool:
        """Do something, then show how everything stands and what there is to say; whether it could be done."""
        try:
            said = what()
        except QwenchatError as error:
            self._say(str(error), "$error")
            return False
        self._show(self._list.highlighted or 0)
        if said:
            self._say(said, "$warning")
        else:
            self._hint()
        return True

    def _close_field(self) -> None:
        self._field.display = False
        self._list.focus()

    def _show(self, highlighted: int) -> None:
        rows: list[ListRow] = []
        self._shown = [control.shown for _, group in self._groups for control in group]
        for name, controls in self._groups:
            rows += [ListHeading(name, first=not rows), *(SettingRow(control) for control in controls)]
        self._list.show(rows, highlighted)
        self._describe()

    def _describe(self) -> None:
        self.query_one("#what", Static).update(Content(about(self._control.setting) if self._control else ""))

    def _move(self) -> None:
        self._describe()
        self._hint()

    def _hint(self) -> None:
        load = say(" · L loads the model anew") if self._load.wanted != self._load.loaded else ""
        self._say(say("← → change · Enter types · Backspace default · S saves all changes · Esc leaves") + load)

    def _say(self, text: str, style: str = "$quiet") -> None:
        self.query_one("#about", Static).update(Content.styled(safe_line(text, 1000), style))
