"""What comes from the session, handed to the widgets it concerns."""

import time
from collections.abc import Callable
from typing import assert_never

from qwenchat.chat.errors import LibraryError
from qwenchat.chat.events import (
    BeginningTrimmed,
    CallEvent,
    CallReturned,
    CallStarted,
    DraftCounted,
    Event,
    HistoryTrimmed,
    LoadEvent,
    LoadFailed,
    LoadProgressed,
    ModelLoaded,
    PermissionAsked,
    PermissionNotSaved,
    PrefillProgressed,
    ReplyEvent,
    RequestEvent,
    SaveFailed,
    ScoringEvent,
    ServerNotice,
    ToolsListed,
    TurnEnded,
    TurnFailed,
    TurnNotice,
)
from qwenchat.chat.messages import ToolCallPart
from qwenchat.i18n.texts import count, say
from qwenchat.session.turn import Phase
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.keys.bindings import key_shown
from qwenchat.tui.transcript.endings import step_in_words
from qwenchat.tui.transcript.message import AssistantMessage

SHARE = 0.25
"""Of one core: what the interface takes at most to draw a growing reply."""
SHARE_BESIDE_MODEL = 0.12
"""The same while the model runs on this processor: it needs the core, and the interpreter."""

LOOK_S = 0.5
"""Between two looks at whether another window wrote in the conversation."""
LONGEST_WAIT_S = 0.5
"""Whatever drawing costs, the text goes on after so many seconds."""


class DrawPace:
    """Says when a growing reply may be drawn again: what costs more to draw is drawn less often."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock = clock
        self._spent = spent
        """The processor time of this thread."""
        self._since = clock(), spent()

    def allows(self, share: float = SHARE) -> bool:
        """Whether the thread kept to its share since this was last so, or has waited long enough."""
        now, spent = self._clock(), self._spent()
        passed = now - self._since[0]
        if spent - self._since[1] > share * passed and passed < LONGEST_WAIT_S:
            return False
        self._since = now, spent
        return True


class EventFeed:
    """Drains the session's events into transcript, notices and status line; `draw` is called many times a second."""

    def __init__(self, context: ChatContext, ask: Callable[[ToolCallPart], object]) -> None:
        """`ask` lets the user say whether a call may run."""
        self._session, self._answer_settings = context.session, context.answer_settings
        self._ask = ask
        self._transcript, self._notices, self._status = context.transcript, context.notices, context.status
        self._pace = DrawPace()
        self._prefill: PrefillProgressed | None = None
        """How far the prompt of the running turn was read."""
        self._looked = 0.0
        """When it was looked whether another window wrote something."""
        self._shown: str | None = None
        """The id of the growing reply that the transcript knows of."""
        self.live: AssistantMessage | None = None
        """The reply that is being written."""
        self._offering: AssistantMessage | None = None
        """The reply below which something is offered."""

    def draw(self) -> None:
        """Show what has happened since the last time."""
        for event in self._session.poll():
            self._take(event)
        if self._session.model.turn.reply_id not in (None, self._shown):
            self.show_path()  # the model goes on from what its tools gave
        if not self._session.conversation.unsaved:
            self._notices.say("save", "")
        if self.live is not None:
            self.live.wait(self._why_waiting())
            model = self._session.model.info
            beside = model is not None and model.device == "cpu"
            if self._pace.allows(SHARE_BESIDE_MODEL if beside else SHARE):
                self.live.flush()
        self._look_elsewhere()
        self._make_offer()
        if self._transcript.welcome.display:
            self._transcript.welcome.show(self._answer_settings.in_brief)
        self._status.show(self._session, self._prefill.total if self._prefill else 0, self._answer_settings.label)

    def hint(self) -> str:
        """The key that matters just now."""
        if not self._transcript.following:
            return say("{key} follows", key=self._key("chat.follow", "ctrl+end"))
        if self._session.phase is Phase.THINKING:
            answer, stop = self._key("chat.answer", "ctrl+s"), self._key("chat.stop", "escape")
            return say("{answer} answers now, {stop} stops", answer=answer, stop=stop)
        if self._session.busy:
            return say("{key} stops", key=self._key("chat.stop", "escape"))
        return say("{key} help", key=self._key("app.help", "f1"))

    def _key(self, id_: str, default: str) -> str:
        return key_shown(self._transcript, id_, default)

    def show_path(self) -> None:
        """Bring the transcript in line with the conversation, and follow its running turn."""
        before = self._transcript.reply(self._session.model.turn.reply_id)
        self._transcript.show(self._session.conversation.path, self._session.conversation.tree.siblings)
        self._shown = self._session.model.turn.reply_id
        self.live = self._transcript.reply(self._session.model.turn.reply_id)
        growing = self._session.model.turn.growing
        if self.live is not None and growing is not None and growing.parts():
            if self.live is before:
                self.live.go_on()
            else:
                self.live.catch_up(growing.parts())
        self._prefill = None

    def _look_elsewhere(self) -> None:
        """Once a second, while nothing runs, show what another window wrote in this conversation."""
        now = time.monotonic()
        if self._session.busy or now - self._looked < LOOK_S:
            return
        self._looked = now
        try:
            if self._session.conversation.catch_up():
                self.show_path()
        except LibraryError:
            return  # it is said where something cannot be saved
        deleted = say("This conversation was deleted in another window. What you write brings it back.")
        self._notices.say("elsewhere", deleted if self._session.conversation.gone else "")

    def _take(self, event: Event) -> None:
        if isinstance(event, ReplyEvent):
            if self.live is not None:
                self.live.take(event, fold=self._transcript.following)
        elif isinstance(event, TurnEnded):
            self._take_end(event)
        elif isinstance(event, LoadEvent):
            self._take_load(event)
        elif isinstance(event, TurnNotice):
            self._take_notice(event)
        elif isinstance(event, CallEvent):
            self._take_call(event)
        elif isinstance(event, PrefillProgressed):
            self._prefill = event
        elif isinstance(event, SaveFailed):
            said = say("The reply is not saved yet, only kept on the screen. {error}", error=event.error)
            self._notices.say("save", said)
        elif isinstance(event, RequestEvent | ScoringEvent | DraftCounted):
            pass  # the session keeps what these say
        else:
            assert_never(event)

    def _take_end(self, event: TurnEnded) -> None:
        if self.live is not None:
            self._notices.say("model", "")
            self.live.finish(self._session.conversation.tree[self.live.message_id])
            self.live = None
        elif isinstance(event, TurnFailed):
            self._notices.say("tools", str(event.error))

    def _take_load(self, event: LoadEvent) -> None:
        match event:
            case ModelLoaded():
                if self._session.model.error is None:
                    self._notices.say("load", "")
                self._notices.say("model", event.model.reason)
                self._notices.say("server", "")
            case LoadFailed():
                if self._session.model.progress is not None:
                    remedy = say("The model before it goes on.")
                else:
                    remedy = say("/model tries again, /model NAME loads another; Ctrl+R then asks again.")
                self._notices.say("load", f"{event.error} {remedy}")
            case LoadProgressed():
                pass  # the status line asks the session
            case _:
                assert_never(event)

    def _take_notice(self, event: TurnNotice) -> None:
        match event:
            case ServerNotice():
                self._notices.say("server", event.text)
            case HistoryTrimmed():
                said = count(
                    "The model no longer reads the oldest message: the context is full.",
                    "The model no longer reads the oldest {number} messages: the context is full.",
                    event.messages,
                )
                self._notices.say("trimmed", said)
            case BeginningTrimmed():
                said = say(
                    "The model no longer reads the first {tokens:,} tokens of the reply: the context is full.",
                    tokens=event.tokens,
                )
                self._notices.say("trimmed", said)
            case _:
                assert_never(event)

    def _take_call(self, event: CallEvent) -> None:
        """What happens to the calls of tools after the reply that asks for them."""
        match event:
            case ToolsListed():
                self._notices.say("tools", " ".join(event.problems))
            case PermissionAsked():
                self._say_of_call(event.call.id, say("waits for your permission"))
                self._ask(event.call)
            case PermissionNotSaved():
                self._notices.say("permission", event.in_words)
            case CallStarted():
                self._say_of_call(event.call.id, say("runs"))
            case CallReturned():
                if (block := self._transcript.call(event.result.call_id)) is not None:
                    block.settle(event.result)
                self._transcript.show(self._session.conversation.path)
            case _:
                assert_never(event)

    def _say_of_call(self, call_id: str, state: str) -> None:
        if (block := self._transcript.call(call_id)) is not None:
            block.say(state)

    def _make_offer(self) -> None:
        """Say below the latest reply what can be done about it, and below no other."""
        unanswered = self._session.replies.lacks_results
        latest = self._transcript.reply(self._session.conversation.tree.leaf)
        if latest is None and unanswered and self._transcript.replies:
            latest = self._transcript.replies[-1]
        if self._offering is not None and self._offering is not latest:
            self._offering.offer("")
        self._offering = latest
        if latest is not None and latest is not self.live:
            steps = self._session.replies.next_steps
            latest.offer(" · ".join(step_in_words(step, latest) for step in steps))

    def _why_waiting(self) -> str:
        """What to say in place of a reply of which nothing has come; empty once something has."""
        if self._session.phase is not Phase.WAITING:
            return ""
        if self._session.model.progress is not None:
            return say("waiting for the model to load")
        if not self._session.tools.ready:
            return say("waiting for the tools")
        read = self._prefill
        if read is None or read.done >= read.total:
            return say("reading the prompt")
        return say("reading the prompt, {percent} %", percent=100 * read.done // read.total)
