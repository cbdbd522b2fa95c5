"""The blocks of code of a message: one is copied, or saved in a file."""

import asyncio
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
from textual.suggester import Suggester
from textual.widgets import Input, Static

from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import count, say
from qwenchat.tui.markdown.plain_text import CodeText, first_line
from qwenchat.tui.text.completion import file_choices
from qwenchat.tui.transcript.long_list import LongList
from qwenchat.tui.widgets.line import LineField

LANGUAGE_WIDTH = 12


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A block: its language, how long it is, and how it begins."""

    key: str
    """Its number."""
    code: CodeText

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """All three, as far as there is room."""
        language = Content.styled(safe_line(self.code.language) or "-", "bold")
        lines = count("{number} line", "{number} lines", self.code.text.count("\n"))
        return Content.assemble(
            language.truncate(LANGUAGE_WIDTH, ellipsis=True, pad=True),
            Content.styled(lines, "$quiet").truncate(11, pad=True),
            first_line(self.code).strip(),
        ).truncate(width, ellipsis=True)


class PathSuggester(Suggester):
    """Completes the names of files and folders."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The first file or folder that begins with what is written."""
        found = await asyncio.to_thread(file_choices, f"@{value}") if value else ()
        names = (choice.insert.removeprefix("@").strip('" ') for choice in found)
        return next((name for name in names if name.startswith(value) and name != value), None)


class CodeBlocksScreen(ModalScreen[CodeText | None]):
    """Gives back the block that is to be copied, or None when it was left."""

    CSS_PATH = "code_blocks.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Copy the block", id="code.copy", show=False),
        Binding("s", "save", "Save the block in a file", id="code.save", show=False),
        Binding("tab", "complete", "Complete the name of the file", id="code.complete", show=False, priority=True),
        Binding("escape", "leave", "Leave the field, then the list", id="code.leave", show=False),
    ]

    def __init__(self, blocks: Sequence[CodeText]) -> None:
        super().__init__()
        self._blocks = blocks
        self._list = LongList(clicks=2)
        self._field = LineField(say("Name of the file"), id="path")
        self._field.suggester = PathSuggester()
        self._replaces = ""
        """The path at which Enter replaces the file that is there."""

    def compose(self) -> ComposeResult:
        """The list, the field for a path, and the keys."""
        with Vertical(id="panel"):
            yield Static(Content.styled(say("Code in this message"), "bold $primary"), id="title")
            yield self._list
            yield self._field
            yield Static(id="about")

    def on_mount(self) -> None:
        """The highlight begins on the first."""
        self._field.display = False
        self._list.show([CodeRow(str(at), code) for at, code in enumerate(self._blocks)], 0)
        self._list.focus()
        self._hint()

    @property
    def _highlighted(self) -> CodeText:
        row = self._list.highlighted_row
        return self._blocks[int(row.key or 0)] if row is not None else self._blocks[0]

    def action_choose(self) -> None:
        """Copy what is highlighted."""
        self._list.action_choose()

    @on(LongList.Selected)
    def _copy(self, event: LongList.Selected) -> None:
        self.dismiss(self._blocks[int(event.key)])

    def action_save(self) -> None:
        """Ask where the block is to be saved."""
        self._field.display = True
        self._field.value = self._highlighted.file_name
        self._field.cursor_position = len(self._field.value)
        self._field.focus()
        self._say(say("Enter saves the code in this file · Tab completes · Esc leaves"))

    def action_complete(self) -> None:
        """Write what is suggested."""
        if self._field.has_focus:
            self._field.action_end()
            self._field.action_cursor_right()

    def action_leave(self) -> None:
        """Leave the field, or the screen."""
        if self._field.display:
            self._close_field()
        else:
            self.dismiss()

    @on(Input.Changed)
    def _forget_warning(self) -> None:
        self._replaces = ""

    @on(Input.Submitted)
    async def _save(self) -> None:
        written = self._field.value.strip()
        if not written:
            return
        try:
            path = Path(written).expanduser()
            await asyncio.to_thread(_write, path, self._highlighted.text, replace=self._replaces == written)
        except FileExistsError:
            self._replaces = written
            self._say(say("There is a file of that name. Enter again replaces it."), "$warning")
        except (OSError, ValueError, RuntimeError) as error:  # ~nobody has no home, and a name may have a zero in it
            self._say(say("{path} cannot be written: {reason}", path=written, reason=_reason(error)), "$error")
        else:
            self._close_field()
            self._say(say("Saved in {path}", path=str(path.absolute())))

    def _close_field(self) -> None:
        self._replaces = ""
        self._field.display = False
        self._list.focus()
        self._hint()

    def _hint(self) -> None:
        self._say(say("Enter copies it · S saves it in a file · Esc leaves"))

    def _say(self, text: str, style: str = "$quiet") -> None:
        self.query_one("#about", Static).update(Content.styled(safe_line(text, 1000), style))


def _write(path: Path, text: str, *, replace: bool) -> None:
    """Write a file; raises FileExistsError for one that is there, unless it is to be replaced, and OSError."""
    if path.is_dir():
        raise IsADirectoryError(say("it is a folder"))
    with path.open("w" if replace else "x", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write(text)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return say("there is no such folder")
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
