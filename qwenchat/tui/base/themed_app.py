"""What both Textual apps share of their looks: themes, the terminal's own colours, none at all, and stillness."""

from collections.abc import Sequence

from textual import on
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.events import DescendantFocus
from textual.filter import LineFilter
from textual.notifications import Notify, SeverityLevel
from textual.widgets import Input, TextArea

import qwenchat.tui.base.textual_patches  # noqa: F401  (for its effect)
from qwenchat.chat.text import safe
from qwenchat.i18n.texts import say
from qwenchat.settings.settings import WIDTH, Width
from qwenchat.tui.base import themes
from qwenchat.tui.base.terminal_colors import SwappedColors
from qwenchat.tui.base.terminal_driver import TerminalDriver

MOST = 3
"""Messages that are shown for a while at one time."""


class ThemedApp(App[None]):
    """An app whose style sheets may use the program's own variables, and which shows nothing by colour alone."""

    def __init__(self, *, reduced_motion: bool = False, width: Width = WIDTH) -> None:
        self.wanted_theme = ""
        """The theme that was asked for last, also where there are no colours."""
        self.text_width = width
        """The widest column of text."""
        super().__init__()
        self._swapped = SwappedColors(colorless=self.no_color)
        if reduced_motion:
            self.animation_level = "none"

    def get_driver_class(self) -> type[Driver]:
        """In a terminal the program's own."""
        usual = super().get_driver_class()
        return TerminalDriver if usual is LinuxDriver else usual

    def on_mount(self) -> None:
        """What was said on one screen is not shown over the next."""
        self.screen_change_signal.subscribe(self, lambda screen: self.clear_notifications())

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What the style sheets may refer to beside Textual's variables."""
        column, inside = ("100%", "100%") if self.text_width == "full" else (self.text_width, self.text_width - 4)
        return {**themes.variables_of(self.current_theme), "column": f"{column}", "column-inside": f"{inside}"}

    def widen(self, width: Width) -> None:
        """Let text be so wide at most, or as wide as the terminal, from now on."""
        self.text_width = width
        self.refresh_css(animate=False)

    def validate_theme(self, name: str) -> str:
        """Without colours (NO_COLOR) there is one theme, that of the terminal."""
        self.wanted_theme = name
        return themes.TERMINAL if self.no_color and themes.TERMINAL in self.available_themes else name

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What each line goes through before it is drawn."""
        return [self._swapped] if self.native_ansi_color else super().get_line_filters()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a message for a while; a warning and an error say in words that they are one."""
        words = {"warning": say("Warning"), "error": say("Error")}
        title = title or words.get(severity, "")
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)

    @on(Notify)
    def _make_room(self, event: Notify) -> None:
        """What is said again takes the place of what stands there, and only the latest few do."""
        there = list(self._notifications)
        for old in there:
            if old.message == event.notification.message or old in there[: 1 - MOST]:
                self._unnotify(old, refresh=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Let the terminal copy what can be seen of `text`: what is pasted into a shell is obeyed there."""
        super().copy_to_clipboard(safe(text))

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Where nothing shall move, no cursor blinks either."""
        if isinstance(event.widget, Input | TextArea):
            event.widget.cursor_blink = self.animation_level != "none"
