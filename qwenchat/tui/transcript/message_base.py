"""A message on the screen that can be chosen, and then handles single keys."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Blur, Click, Key
from textual.message import Message
from textual.widgets import Static

from qwenchat.chat.errors import MessageNotFound
from qwenchat.console.commands import COMMANDS
from qwenchat.i18n.texts import later, say
from qwenchat.tui.keys.bindings import key_shown
from qwenchat.tui.transcript.markdown import CodeBlock
from qwenchat.tui.transcript.table import Table
from qwenchat.tui.transcript.viewed import VirtualContainer

ACTS = {command.id: (command.keys, command.title) for command in COMMANDS if command.place == "message"}
"""What can be done to a chosen message: keys and description."""
WORDS = {
    "menu": later("all"),
    "copy": later("copy"),
    "edit": later("change"),
    "continue": later("go on"),
    "retry": later("again"),
    "inspect": later("inspect"),
    "lens": later("lens"),
    "code": later("code"),
    "wrap": later("wrap"),
    "delete": later("delete"),
    "delete_branch": later("delete from here"),
    "undo": later("undelete"),
    "copy_plain": later("copy plain"),
}
"""The same in a word each, what matters most first."""
ASIDE = 8
"""Columns that a key scrolls sideways."""


class Versions(Static):
    """The switcher between the versions of a message: `‹ 2/3 ›`, at the left the one before, at the right the next."""

    class Turned(Message):
        """The reader wants the version before or after."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self) -> None:
        super().__init__(classes="versions")
        self.display = False

    def show(self, number: int, count: int) -> None:
        """Say which version of how many this is; nothing for an only one."""
        self.display = count > 1
        before, after = ("$primary" if there else "$foreground 30%" for there in (number > 1, number < count))
        self.update(Content.assemble(("‹ ", before), (f"{number}/{count}", "$quiet"), (" ›", after)))

    def on_click(self, event: Click) -> None:
        """A click on the left or the right half."""
        event.stop()
        self.post_message(self.Turned(-1 if event.x < self.size.width / 2 else 1))


class MenuButton(Static):
    """Three dots in the corner of a message, while the mouse is over it or it is chosen; a click opens its menu."""

    ALLOW_SELECT = False

    class Wanted(Message):
        """The reader wants the menu."""

    def __init__(self) -> None:
        super().__init__("⋯ ", classes="more", markup=False)
        self.visible = False

    def on_click(self, event: Click) -> None:
        """A click anywhere on the dots."""
        event.stop()
        self.post_message(self.Wanted())


class MessageWidget(VirtualContainer):
    """What one speaker said. While it is chosen it takes the keys, which act through the screen."""

    FOCUS_ON_CLICK = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,ctrl+up,alt+up", "screen.choose(-1)", "Choose the message before", show=False, id="message.before"),
        Binding(
            "down,ctrl+down,alt+down",
            "screen.choose(1)",
            "Choose the message after; from the last, write",
            show=False,
            id="message.after",
        ),
        Binding("left", "screen.turn(-1)", "The version before", show=False, id="message.version_before"),
        Binding("right", "screen.turn(1)", "The version after", show=False, id="message.version_after"),
        *(
            Binding(keys, f"screen.act('{name}')", description, show=False, id=f"message.{name}")
            for name, (keys, description) in ACTS.items()
        ),
        Binding("n", "screen.walk(1)", "To the next marked hit", show=False, id="message.next_hit"),
        Binding("N", "screen.walk(-1)", "To the marked hit before", show=False, id="message.hit_before"),
        Binding("shift+left", "aside(-1)", "Wide code and tables: further left", show=False, id="message.aside_left"),
        Binding("shift+right", "aside(1)", "Wide code and tables: further right", show=False, id="message.aside_right"),
        Binding(
            "alt+e",
            "unfold",
            "Open or fold what was pasted or attached, or the calls of tools",
            show=False,
            id="message.unfold",
        ),
        Binding("escape", "screen.write", "Back to the draft", show=False, id="message.write"),
    ]

    class Left(Message):
        """The reader writes again and has typed something already."""

        def __init__(self, typed: str) -> None:
            super().__init__()
            self.typed = typed

    class Refused(Message):
        """The reader wants one of `ACTS` that cannot be done now, by a key that is no letter."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class Turned(Message):
        """The reader wants another version of a message."""

        def __init__(self, said: "MessageWidget", by: int) -> None:
            super().__init__()
            self.said = said
            self.by = by

    def __init__(self, message_id: str, classes: str = "") -> None:
        super().__init__(classes=classes)
        self.message_id = message_id
        self.choosable = False
        """Whether a click chooses it."""
        self.variants: tuple[str, ...] = (message_id,)
        """The ids of all of its versions."""
        self._wide = False
        """Whether lines of its code went on beyond the edge when it was chosen."""
        self._has_code = False
        """Whether there was code in it then."""
        self.versions = Versions()
        self.more = MenuButton()

    def hints(self, impossible: frozenset[str]) -> tuple[str, ...]:
        """The keys that do something to it, the way out last; `impossible` are names of `ACTS`."""
        possible = [name for name in WORDS if name not in impossible and (name != "wrap" or self._wide)]
        keys = {name: key_shown(self, f"message.{name}", ACTS[name][0]) for name in possible}
        hints = [f"{key if len(key) > 1 else key.lower()} {say(WORDS[name])}" for name, key in keys.items()]
        turn = ["←→"] if len(self.variants) > 1 else []
        return (*hints, *turn, key_shown(self, "message.write", "escape"))

    @property
    def has_code(self) -> bool:
        """Whether there is a block of code in it."""
        return self._has_code if self.has_focus else bool(self.query(CodeBlock))

    def wrap(self) -> None:
        """Wrap the long lines of its code, or let them go on beyond the edge again. Raises MessageNotFound."""
        if not self.has_code:
            raise MessageNotFound(say("There is no code in this message."), "")
        self.toggle_class("-wrapped")

    def action_aside(self, by: int) -> None:
        """Scroll its code and tables that are too wide."""
        for block in (*self.query(CodeBlock), *self.query(Table)):
            block.scroll_relative(x=by * ASIDE, animate=False)

    def action_unfold(self) -> None:
        """Open all that is folded in it, or fold all; there may be nothing."""

    def show_versions(self, siblings: Sequence[str]) -> None:
        """Say which of its versions this is."""
        if siblings:
            self.variants = tuple(siblings)
            self.versions.show(self.variants.index(self.message_id) + 1, len(self.variants))

    def choose(self) -> None:
        """Take the keys, at once: the next one may be waiting already."""
        self.can_focus = True
        self.screen.set_focus(self, scroll_visible=False)

    def on_focus(self) -> None:
        """What is chosen shows its dots."""
        self.more.visible = True
        self._has_code = bool(self.query(CodeBlock))
        self._wide = self.has_class("-wrapped") or any(block.max_scroll_x > 0 for block in self.query(CodeBlock))

    def on_blur(self, event: Blur) -> None:
        """Another widget has the keys; Tab does not come here."""
        if self.screen.focused is not self:
            self.can_focus = False
            self.more.visible = self.choosable and self.is_mouse_over

    def on_enter(self) -> None:
        """So does what is below the mouse."""
        self.more.visible = self.choosable

    def on_leave(self) -> None:
        """The mouse may only have moved on to another part of it."""
        self.more.visible = self.choosable and (self.has_focus or self.is_mouse_over)

    def on_click(self, event: Click) -> None:
        """A click chooses the message, unless it ends a selection of text; the right button opens the menu."""
        if self.choosable and event.button == 3:
            event.stop()
            self.open_menu()
        elif self.choosable and not self.screen.get_selected_text():
            event.stop()
            self.choose()

    def on_key(self, event: Key) -> None:
        """What is no key of a chosen message, or comes when it is chosen no more, belongs into the draft."""
        active = self.screen.active_bindings.get(event.key)
        bound = active is not None and active.node is self and self.has_focus
        if bound:
            return
        if event.is_printable and event.character:
            event.stop()
            self.post_message(self.Left(event.character))
            return
        keymap = getattr(self.app, "keymap", {})
        for name, (keys, _) in ACTS.items():
            if event.key in keymap.get(f"message.{name}", keys).split(","):
                event.stop()
                self.post_message(self.Refused(name))

    def on_menu_button_wanted(self, event: MenuButton.Wanted) -> None:
        """A click on the dots."""
        event.stop()
        self.open_menu()

    def open_menu(self) -> None:
        """Show what can be done with the message."""
        self.choose()
        self.call_later(self.run_action, "screen.act('menu')")

    def on_versions_turned(self, event: Versions.Turned) -> None:
        """A click on the switcher."""
        event.stop()
        self.post_message(self.Turned(self, event.by))
