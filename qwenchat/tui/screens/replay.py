"""A conversation played back: it looks like the chat, and every key moves the clock."""

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen

from qwenchat.chat.messages import Message, Status
from qwenchat.chat.scene import MessageSent, Moment, ReplyBegan, ReplyEnded, TypedText
from qwenchat.i18n.texts import say
from qwenchat.replay.player import Replay
from qwenchat.tui.transcript.message import AssistantMessage
from qwenchat.tui.transcript.transcript import Transcript
from qwenchat.tui.widgets.player import Player, ReplayedDraft

DRAWS_PER_S = 30


class ReplayScreen(Screen[None]):
    """Plays from where the replay stands; leaving it changes nothing."""

    CSS_PATH = "replay.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]  # noqa: RUF012  (Textual declares them so)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-middle"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause, or go on; at the end, play again", id="replay.pause"),
        Binding("right", "step(1)", "Next message", id="replay.next"),
        Binding("left", "step(-1)", "Beginning of this message, then the one before", id="replay.before"),
        Binding("up,plus", "speed(1)", "Faster, up to 16 times", id="replay.faster"),
        Binding("down,minus", "speed(-1)", "Slower, down to a quarter", id="replay.slower"),
        Binding("home,0", "seek(0)", "Beginning; the digits 1 to 9 go to tenths of the whole", id="replay.beginning"),
        *(Binding(str(tenth), f"seek({tenth})", show=False, id=f"replay.tenth_{tenth}") for tenth in range(1, 10)),
        Binding("i,end", "end", "All at once, to the end", id="replay.end"),
        Binding("pageup", "page('up')", "Read further up", id="replay.page_up"),
        Binding("pagedown", "page('down')", "Read further down", id="replay.page_down"),
        Binding("ctrl+o", "reasoning", "Open or fold the latest reasoning", id="replay.reasoning"),
        Binding("escape,q,f6,ctrl+c", "leave", "Leave", id="replay.leave"),
    ]

    def __init__(self, replay: Replay) -> None:
        super().__init__()
        self._replay = replay
        self._path = [scene.message for scene in replay.scenes]
        self._transcript = Transcript()
        self._transcript.can_focus_children = False
        self._draft = ReplayedDraft()
        self._player = Player()
        self._live: AssistantMessage | None = None
        """The reply that is being played."""
        self._now_s = 0.0
        """The time of what is being shown, for the seconds of a thought."""
        replay.pause()

    def compose(self) -> ComposeResult:
        """As in the chat, with the draft where the composer is and the player where the status is."""
        with Vertical(id="main"):
            yield self._transcript
            with Vertical(id="foot"):
                yield self._draft
                yield self._player

    def on_mount(self) -> None:
        """Begin once the first frame is on the screen, so that nothing is missed."""
        self._replay.seek(self._replay.position_s)
        self._show_anew()
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._replay.pause(False)
        self.set_interval(1 / DRAWS_PER_S, self._draw)

    def action_pause(self) -> None:
        """Hold the clock, or let it run; from the end, begin again."""
        if self._replay.over:
            self._replay.seek(0)
            self._replay.pause(False)
            self._show_anew()
        else:
            self._replay.pause(not self._replay.paused)

    def action_step(self, by: int) -> None:
        """To another message."""
        self._replay.step(by)
        self._show_anew()

    def action_speed(self, by: int) -> None:
        """Faster or slower."""
        self._replay.change_speed(by)

    def action_seek(self, tenth: int) -> None:
        """To so many tenths of the whole."""
        self._replay.seek(self._replay.length_s * tenth / 10)
        self._show_anew()

    def action_end(self) -> None:
        """All at once."""
        self._replay.seek(self._replay.length_s)
        self._show_anew()

    def action_page(self, way: str) -> None:
        """Read what has been said; the end is followed again from there."""
        if way == "up":
            self._transcript.scroll_page_up()
        else:
            self._transcript.scroll_page_down()

    def action_reasoning(self) -> None:
        """Open or fold the latest thought there is."""
        thoughts = [reply.reasoning for reply in self._transcript.replies if reply.reasoning.display]
        if thoughts:
            thoughts[-1].toggle()

    def action_leave(self) -> None:
        """Back to where one came from."""
        self.dismiss()

    def _draw(self) -> None:
        """Show what has happened since the last time."""
        for moment in self._replay.due():
            self._take(moment)
        self._now_s = self._replay.position_s
        if self._live is not None:
            self._live.flush()
        self._player.show(self._replay)

    def _show_anew(self) -> None:
        """Show what stands there where the clock was turned to."""
        whole, partly = self._replay.so_far()
        if self._live is not None and (ended := self._with_id(whole, self._live.message_id)):
            self._live.finish(ended)
        self._live = None
        self._draft.clear()
        self._transcript.show(whole)
        for moment in partly:
            self._take(moment)
        self._transcript.follow()
        self._draw()

    def _take(self, moment: Moment) -> None:
        self._now_s = moment.at_s
        match moment.what:
            case TypedText(text):
                self._draft.add(text)
            case MessageSent():
                self._draft.clear()
                self._transcript.show(self._path[: moment.number + 1])
            case ReplyBegan(message):
                growing = replace(message, parts=(), status=Status.STREAMING)
                self._transcript.show([*self._path[: moment.number], growing])
                self._live = self._transcript.reply(message.id)
                if self._live is not None:
                    self._live.reasoning.clock = lambda: self._now_s
                    self._live.wait(say("reading the prompt"))
            case ReplyEnded(message):
                if self._live is not None:
                    self._live.finish(message)
                self._live = None
            case event:
                if self._live is not None:
                    self._live.take(event, fold=self._transcript.following)

    @staticmethod
    def _with_id(messages: tuple[Message, ...], message_id: str) -> Message | None:
        return next((message for message in messages if message.id == message_id), None)
