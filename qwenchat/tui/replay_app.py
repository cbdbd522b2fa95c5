"""The Textual app of `qwenchat replay`: one conversation played back, and nothing else."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from qwenchat.replay.player import Replay
from qwenchat.settings.settings import WIDTH, Width
from qwenchat.tui.base import themes
from qwenchat.tui.base.terminal import own_terminal, signals_to_end
from qwenchat.tui.base.themed_app import ThemedApp
from qwenchat.tui.screens.replay import ReplayScreen


class ReplayApp(ThemedApp):
    """Plays until the user leaves."""

    TITLE = "qwenchat replay"
    CSS_PATH = "chat/screen.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+q", "quit", "Leave", priority=True, id="app.quit")]

    def __init__(
        self,
        replay: Replay,
        *,
        theme: str = themes.DEFAULT,
        theme_folders: Iterable[Path] = (),
        reduced_motion: bool = False,
        width: Width = WIDTH,
    ) -> None:
        super().__init__(reduced_motion=reduced_motion, width=width)
        self._replay = ReplayScreen(replay)
        self._signal = 0
        self._running_loop: asyncio.AbstractEventLoop | None = None
        self._reported = themes.choose(self, theme, theme_folders)

    def run(self, *args: Any, **options: Any) -> None:
        """Run until the user leaves; raises SystemExit with 128 + n after signal n, and with 1 after a crash."""
        with own_terminal(None), signals_to_end(self._leave_on_signal):
            super().run(*args, **options)
        if code := 128 + self._signal if self._signal else self.return_code:
            raise SystemExit(code)

    def on_mount(self) -> None:
        """Show the replay; when it is left, so is the program."""
        self._running_loop = asyncio.get_running_loop()
        self.push_screen(self._replay, lambda _: self.exit())
        for text in self._reported:
            self.notify(text, severity="warning", markup=False)

    def _leave_on_signal(self, number: int) -> None:
        self._signal = number
        if self._running_loop is None:
            raise SystemExit(128 + number)
        if not self._running_loop.is_closed():
            self._running_loop.call_soon_threadsafe(self.exit)
