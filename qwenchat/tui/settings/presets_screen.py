"""The presets: what each would change, and the present settings as one more."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say
from qwenchat.session.answer_settings import AnswerSettings
from qwenchat.settings.presets import Preset, write
from qwenchat.tui.transcript.long_list import LongList
from qwenchat.tui.widgets.line import LineField

NAME_WIDTH = 14


@dataclass(frozen=True, slots=True)
class PresetRow:
    """A preset, with a dot before the one that is on."""

    preset: Preset
    on: bool

    @property
    def key(self) -> str:
        """Its name."""
        return self.preset.name

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """Its name and what it is for."""
        mark = Content.styled("● " if self.on else "  ", "$primary")
        name = Content.styled(safe_line(self.preset.name), "bold").truncate(NAME_WIDTH, ellipsis=True, pad=True)
        return Content.assemble(mark, name, (safe_line(self.preset.description), "$quiet"))


def changes(answer_settings: AnswerSettings, preset: Preset) -> Content:
    """What choosing it would change, one setting a line."""
    shown = [
        (
            change.name,
            answer_settings.shown(change.name, change.before),
            answer_settings.shown(change.name, change.after),
        )
        for change in answer_settings.would_change(preset)
    ]
    lines = [_change(name, before, after) for name, before, after in shown if before != after]
    if model := answer_settings.model_of(preset):
        lines.insert(0, _change("model", "", safe_line(model)))
    return Content("\n").join(lines or [Content(say("It changes nothing now."))])


def _change(name: str, before: str, after: str) -> Content:
    arrow = " → " if before else "→ "
    return Content.assemble(Content(name).truncate(20, pad=True), (before, "$quiet"), arrow, after)


class PresetsScreen(ModalScreen[str | None]):
    """The presets in a list; gives back the name of the chosen one, or None when it was left."""

    CSS_PATH = "presets_screen.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Turn to the preset", id="presets.choose", show=False),
        Binding("s", "save", "Save the present settings as a preset", id="presets.save", show=False),
        Binding("escape,f5", "leave", "Leave the field, then the presets", id="presets.leave", show=False),
    ]

    def __init__(self, answer_settings: AnswerSettings, folder: Path) -> None:
        """`folder` is where the present settings are saved."""
        super().__init__()
        self._answer_settings = answer_settings
        self._folder = folder
        self._list = LongList(clicks=2)
        self._field = LineField(say("Name of the new preset"), id="name")
        self._replaces = ""
        """The name at which Enter replaces the preset that has it."""

    def compose(self) -> ComposeResult:
        """The list, what the highlighted one would change, and the keys."""
        with Vertical(id="panel"):
            yield Static(Content.styled(say("Presets"), "bold $primary"), id="title")
            yield self._list
            yield Static(id="changes")
            yield self._field
            yield Static(id="about")

    def on_mount(self) -> None:
        """The highlight begins on the preset that is on."""
        self._field.display = False
        self.watch(self._list, "highlighted", self._show_changes, init=False)
        self._show(self._answer_settings.preset.name if self._answer_settings.preset else None)
        self._list.focus()
        self._hint()

    def action_choose(self) -> None:
        """Turn to what is highlighted."""
        self._list.action_choose()

    def action_save(self) -> None:
        """Ask how the present settings are to be called."""
        self._field.display = True
        on = self._answer_settings.preset
        self._field.value = on.name if on and self._file_of(on.name).exists() else ""
        self._field.focus()
        self._say(say("Enter saves the present settings under this name · Esc leaves"))

    def action_leave(self) -> None:
        """Leave the field, or the screen."""
        if self._field.display:
            self._close_field()
        else:
            self.dismiss()

    @on(LongList.Selected)
    def _choose(self, event: LongList.Selected) -> None:
        self.dismiss(event.key)

    @on(Input.Submitted)
    def _save(self) -> None:
        preset = self._answer_settings.as_preset(self._field.value.strip())
        if self._file_of(preset.name).exists() and self._replaces != preset.name:
            self._replaces = preset.name
            self._say(say("There is a preset of that name. Enter again replaces it."), "$warning")
            return
        try:
            file = write(preset, self._folder)
        except QwenchatError as error:
            self._say(str(error), "$error")
            return
        self._answer_settings.add(preset)
        self._close_field()
        self._show(preset.name)
        self._say(say("Written to {file}", file=file))

    def _file_of(self, name: str) -> Path:
        return self._folder / f"{name}.toml"

    def _close_field(self) -> None:
        self._replaces = ""
        self._field.display = False
        self._list.focus()
        self._hint()

    def _show(self, name: str | None) -> None:
        on = self._answer_settings.preset
        rows: Sequence[PresetRow] = [PresetRow(preset, preset is on) for preset in self._answer_settings.presets]
        self._list.show(rows, next((at for at, row in enumerate(rows) if row.key == name), 0))
        self._show_changes()

    def _show_changes(self) -> None:
        row = self._list.highlighted_row
        if isinstance(row, PresetRow):
            self.query_one("#changes", Static).update(changes(self._answer_settings, row.preset))

    def _hint(self) -> None:
        self._say(say("Enter turns to it · S saves the present settings · Esc leaves"))

    def _say(self, text: str, style: str = "$quiet") -> None:
        self.query_one("#about", Static).update(Content.styled(safe_line(text, 1000), style))
