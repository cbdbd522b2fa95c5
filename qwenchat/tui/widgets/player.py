"""How far a replay is and how fast it goes, and the draft as it was written."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from qwenchat.chat.text import SafeStream
from qwenchat.i18n.texts import later, say
from qwenchat.replay.player import Replay
from qwenchat.tui.widgets.status import GAP, bar

LONGEST_SHOWN = 4000
"""Characters of a draft that are drawn, the latest ones."""
NARROWEST_BAR = 8
_KEYS = (
    ("←→", later("message")),
    ("↑↓", later("speed")),
    ("0-9", later("seek")),
    ("I", later("to the end")),
    ("Esc", later("leaves")),
)
"""What matters most first, the way out last."""


def clock_time(seconds: float) -> str:
    """Seconds as a player shows them: "0:07", "12:30", "1:02:03"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Player(Widget):
    """Two lines: state, speed, times and a bar between them; and the keys."""

    def __init__(self) -> None:
        super().__init__(id="player")
        self._pieces: tuple[str, str, str, float, str, str] = ("", "", "", 0.0, "", "")

    def show(self, replay: Replay) -> None:
        """Read the replay; drawn when something that is seen has changed."""
        if replay.over:
            state, space = say("■ ended"), say("plays again")
        elif replay.paused:
            state, space = say("‖ paused"), say("plays")
        else:
            state, space = say("▸ playing"), say("pauses")
        at_s, length_s = replay.position_s, replay.length_s
        share = at_s / length_s if length_s else 1.0
        number = say("message {number} of {all}", number=replay.number + 1, all=len(replay.scenes))
        speed = f"{state} {replay.speed:g}×"
        pieces = (speed, clock_time(at_s), clock_time(length_s), round(share, 3), number, space)
        if pieces != self._pieces:
            self._pieces = pieces
            self.refresh()

    def render(self) -> Content:
        """As much as there is room for; the bar takes what the words leave."""
        speed, at, length, share, number, space = self._pieces
        width = self.size.width
        number = number if width >= 60 else ""
        words = Content.assemble((speed, "$primary"), f"  {at} "), Content(f" {length}"), Content(f"  {number}")
        room = width - sum(piece.cell_length for piece in words)
        first = Content.assemble(words[0], bar(share, max(NARROWEST_BAR, room)), words[1], words[2])
        reported = ((say("Space"), space), *((key, say(what)) for key, what in _KEYS))
        keys = [Content.assemble((key, "$primary"), (f" {what}", "$quiet")) for key, what in reported]
        while len(keys) > 1 and sum(key.cell_length + GAP for key in keys) - GAP > width:
            del keys[-2]
        lines = (first, Content(" " * GAP).join(keys))
        return Content("\n").join([line.truncate(max(1, width), ellipsis=True) for line in lines])


class ReplayedDraft(VerticalScroll, can_focus=False):
    """The user's message while it was written, where the composer stands in the chat."""

    def __init__(self) -> None:
        super().__init__(id="draft")
        self._text = Static()
        self._stream = SafeStream()
        self._typed = ""

    def compose(self) -> ComposeResult:
        """The text."""
        yield self._text

    def on_mount(self) -> None:
        """Stay at the end, where the text grows."""
        self.anchor()
        self.clear()

    def add(self, text: str) -> None:
        """The next characters were typed."""
        self._typed = (self._typed + self._stream.feed(text))[-LONGEST_SHOWN:]
        self._text.update(Content.assemble(self._typed, ("▏", "$primary")))

    def clear(self) -> None:
        """The message was sent."""
        self._typed, self._stream = "", SafeStream()
        self._text.update(Content(""))
