"""The Textual app: wiring of the session, the screens and the themes."""

import asyncio
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.command import CommandPalette, Provider
from textual.events import Event, InputEvent, Key, Paste
from textual.screen import Screen

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.text import safe
from qwenchat.i18n.texts import say
from qwenchat.session.answer_settings import AnswerSettings
from qwenchat.session.session import Session
from qwenchat.settings.settings import WIDTH, Width
from qwenchat.system import clipboard
from qwenchat.tui.base import themes
from qwenchat.tui.base.terminal import own_terminal, signals_to_end
from qwenchat.tui.base.themed_app import ThemedApp
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.screen import ChatScreen
from qwenchat.tui.gc_pause import GcPause
from qwenchat.tui.keys.bindings import VIM, KeyScope, bindings, keymap_of
from qwenchat.tui.keys.key_order import KeyOrder
from qwenchat.tui.models.compare_models_screen import CompareModelsScreen
from qwenchat.tui.models.compare_screen import CompareScreen
from qwenchat.tui.models.screen import ModelsScreen
from qwenchat.tui.palette import CommandProvider, ThemeProvider
from qwenchat.tui.palette_entries import commands
from qwenchat.tui.screens.code_blocks import CodeBlocksScreen
from qwenchat.tui.screens.help import HelpScreen
from qwenchat.tui.screens.inspect import InspectScreen
from qwenchat.tui.screens.lens import LensScreen
from qwenchat.tui.screens.message_menu import MessageMenu
from qwenchat.tui.screens.permission import PermissionScreen
from qwenchat.tui.screens.replay import ReplayScreen
from qwenchat.tui.screens.search import SearchScreen
from qwenchat.tui.screens.tools import ToolsScreen
from qwenchat.tui.settings.presets_screen import PresetsScreen
from qwenchat.tui.settings.screen import SettingsScreen
from qwenchat.tui.transcript.long_list import LongList
from qwenchat.tui.transcript.message_base import MessageWidget
from qwenchat.tui.transcript.prompt import UserMessage
from qwenchat.tui.widgets.composer import Composer
from qwenchat.tui.widgets.dropdown import Dropdown
from qwenchat.tui.widgets.sidebar import Sidebar
from qwenchat.tui.widgets.token_view import TokenView

SWITCH_S = 0.0001
"""How long the interface may keep the interpreter from the thread of the model that waits for it. Python's own 5 ms,
several times a token, would cost half of the speed while the screen is drawn."""
LOOK_S = 1.0
"""Between two looks at whether a theme was saved, and whether there is time to search for garbage."""


class QwenChat(ThemedApp):
    """The full-screen chat. The session is made by the caller; closing it is part of quitting."""

    TITLE = "qwenchat"
    CSS_PATH = "chat/screen.tcss"
    """Here, since Textual does not read the style sheet of a default screen."""
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")

    def __init__(
        self,
        session: Session,
        load: LoadModel,
        *,
        answer_settings: AnswerSettings | None = None,
        tools: Iterable[str] = (),
        theme: str = themes.DEFAULT,
        reduced_motion: bool = False,
        width: Width = WIDTH,
        keys: Mapping[str, str] = {},
        vim: bool = False,
        theme_folders: Iterable[Path] = (),
        resume: str | None = None,
        notices: Iterable[str] = (),
        log_file: Path | None = None,
    ) -> None:
        super().__init__(reduced_motion=reduced_motion, width=width)
        self.session = session
        self._log_file = log_file
        self._running_loop: asyncio.AbstractEventLoop | None = None
        self._signal = 0
        self.lost: tuple[str, ...] = ()
        """What only the screen had and could not be kept, in words; there once `run` is over."""
        self._garbage = GcPause()
        theme_folders = tuple(theme_folders)
        self._themes = themes.ThemeReloader(self, theme_folders)
        self.keymap: dict[str, str] = {}
        """The keys by the ids of actions, where they are not the usual ones."""
        reported = (*themes.choose(self, theme, theme_folders), *self._take_keys(keys, vim), *notices)
        self._chat = ChatScreen(
            ChatContext(
                self, session, load, answer_settings or AnswerSettings(session), resume, tuple(reported), tuple(tools)
            )
        )
        self._keys = KeyOrder(self, super().on_event, self._chat.quitting.received)

    def run(self, *args: Any, **options: Any) -> None:
        """Run until the user quits; raises SystemExit with 128 + n after signal n, and with 1 after a crash."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        self._garbage.begin()
        with own_terminal(self._log_file), signals_to_end(self._leave_on_signal):
            try:
                super().run(*args, **options)
            finally:
                self.save_and_close()
                sys.setswitchinterval(before)
                self._garbage.end()
        if code := 128 + self._signal if self._signal else self.return_code:
            raise SystemExit(code)

    def on_mount(self) -> None:
        """From here on a signal leads to an orderly end, and coming back from the shell draws everything anew."""
        self._running_loop = asyncio.get_running_loop()
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        self.set_interval(LOOK_S, self._look_after)

    @on(ChatScreen.Begun)
    def _take_keys_now(self) -> None:
        """What was typed before is handled now."""
        self._keys.open()

    def _look_after(self) -> None:
        if self.session.busy:
            self._garbage.note_activity()
        self._garbage.look()
        for problem in self._themes.look():
            self.notify(problem, severity="warning", markup=False)

    async def on_event(self, event: Event) -> None:
        """Handle keys and pastes one after the other."""
        if isinstance(event, InputEvent):
            self._garbage.note_activity()
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            self._keys.take(event)
        else:
            await super().on_event(event)

    def get_default_screen(self) -> Screen[None]:
        """The chat is the only screen that is always there."""
        return self._chat

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Everything that can be done from the chat."""
        return commands(self._chat)

    def action_command_palette(self) -> None:
        """Show everything that can be done, to be found by its words."""
        self._choose_among(CommandProvider, say("What would you like to do?"))

    def search_themes(self) -> None:
        """Show the themes, beginning with the one that is on."""
        self._choose_among(ThemeProvider, say("Search for themes"))

    def _choose_among(self, provider: type[Provider], hint: str) -> None:
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette([provider], placeholder=hint))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Ctrl+Z on a chosen message brings back what was deleted; elsewhere it leads back to the shell."""
        return action != "suspend_process" or not isinstance(self.focused, MessageWidget)

    def action_help(self) -> None:
        """Show or close the help."""
        if isinstance(self.screen, HelpScreen):
            self.pop_screen()
        else:
            self.push_screen(HelpScreen(*self.places(), self.keymap))

    @staticmethod
    def places() -> tuple[tuple[KeyScope, ...], tuple[KeyScope, ...]]:
        """The parts of the program with keys of their own: those that count while one writes, and the others."""
        from qwenchat.tui.screens.statistics import StatisticsScreen  # noqa: PLC0415  (imports plotext)

        below, chat = (QwenChat,), (ChatScreen, QwenChat)
        groups = (
            KeyScope(say("Chat"), ChatScreen, below, writing=True),
            KeyScope(say("Writing"), Composer, chat, writing=True),
            KeyScope(say("Program"), QwenChat, writing=True),
        )  # fmt: skip
        elsewhere = (
            KeyScope(say("In the list above the draft"), Dropdown, chat, writing=True),
            KeyScope(say("On a chosen message"), UserMessage, chat),
            KeyScope(say("In the menu of a message"), MessageMenu, below),
            KeyScope(say("In the code of a message"), CodeBlocksScreen, below),
            KeyScope(say("In the details of a message"), InspectScreen, below),
            KeyScope(say("In the token lens"), TokenView, (LensScreen, QwenChat)),
            KeyScope(say("In the token lens, anywhere"), LensScreen, below),
            KeyScope(say("In the list of conversations"), Sidebar, chat),
            KeyScope(say("In a list"), LongList, chat),
            KeyScope(say("In the search"), SearchScreen, below, writing=True),
            KeyScope(say("In the settings"), SettingsScreen, below),
            KeyScope(say("In the models"), ModelsScreen, below, writing=True),
            KeyScope(say("In the list of those to compare"), CompareModelsScreen, below),
            KeyScope(say("In a comparison"), CompareScreen, below),
            KeyScope(say("In the presets"), PresetsScreen, below),
            KeyScope(say("In the tools"), ToolsScreen, below),
            KeyScope(say("In the question about a tool"), PermissionScreen, below),
            KeyScope(say("In the statistics"), StatisticsScreen, below),
            KeyScope(say("In a replay"), ReplayScreen, below),
            KeyScope(say("In the help"), HelpScreen, below, writing=True),
        )
        return groups, elsewhere

    def _take_keys(self, wanted: Mapping[str, str], vim: bool) -> tuple[str, ...]:
        """Give actions the keys that the user wants, and say what is wrong with them in words."""
        if not wanted and not vim:
            return ()
        self.keymap, problems = self.keys_of(wanted, vim)
        self.set_keymap(self.keymap)
        return problems

    @classmethod
    def keys_of(cls, wanted: Mapping[str, str], vim: bool) -> tuple[dict[str, str], tuple[str, ...]]:
        """The keys by the ids of actions as the user wants them, and what is wrong with that, in words."""
        groups, elsewhere = cls.places()
        return keymap_of(VIM if vim else {}, wanted, (*groups, *elsewhere))

    def action_picture(self) -> None:
        """Write the screen as SVG into the folder that the program was started in, and say where, or why not."""
        from qwenchat.library.exchange.export import write  # noqa: PLC0415  (the first frame has no use for it)
        from qwenchat.library.exchange.filename import free_path  # noqa: PLC0415  (the first frame has no use for it)

        try:
            path = free_path(Path.cwd(), "qwenchat", ".svg")
            write(path, (self.export_screenshot(),))
        except (QwenchatError, OSError) as error:
            said = say("The picture could not be saved. {error}", error=error)
            self.notify(said, severity="warning", markup=False)
        else:
            self.notify(say("Written to {path}", path=path), markup=False)

    async def action_quit(self) -> None:
        """Stop the reply, and leave; `run` saves and closes when the screen is gone."""
        self._leave()

    def copy_to_clipboard(self, text: str) -> None:
        """Copy `text` through the terminal and through the system's own tool, and say which took it."""
        text = safe(text)
        super().copy_to_clipboard(text)
        self.run_worker(self._copy_to_system(text), group="clipboard", exclusive=True)

    async def _copy_to_system(self, text: str) -> None:
        tool = await clipboard.copy(text)
        number = f"{len(text):,}"
        if tool:
            said = say("Copied {number} characters through {tool} and the terminal.", number=number, tool=tool)
        elif clipboard.fits_terminal(text):
            said = say("Copied {number} characters through the terminal, if it allows that (OSC 52).", number=number)
        else:
            said = say(
                "{number} characters may be more than the terminal copies (OSC 52), and there is no tool for it here.",
                number=number,
            )
        self.notify(said, markup=False)

    def save_and_close(self) -> None:
        """Save the draft and the reply as far as they came, and end the model's thread."""
        self._chat.keep_draft()
        self.lost = self._chat.lost
        self.session.close()

    def _leave(self) -> None:
        self.session.stop()
        self.exit()

    def _leave_on_signal(self, number: int) -> None:
        self._signal = number
        if self._running_loop is None:
            raise SystemExit(128 + number)
        if not self._running_loop.is_closed():
            self._running_loop.call_soon_threadsafe(self._leave)
