"""A turn and a load printed line by line, as they happen, on standard output and standard error."""

import os
import sys
import time
from collections.abc import Callable
from typing import TextIO, assert_never

from qwenchat.chat.events import (
    AnswerReclassified,
    BeginningTrimmed,
    CallEvent,
    CallReturned,
    CallStarted,
    Channel,
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
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    ToolCalled,
    ToolsListed,
    TurnEnded,
    TurnFailed,
    TurnFinished,
    TurnNotice,
    TurnStopped,
)
from qwenchat.chat.messages import ToolCallPart
from qwenchat.chat.provenance import FinishReason, ModelInfo
from qwenchat.chat.sentences import Sentences
from qwenchat.chat.text import SafeStream, safe_line
from qwenchat.console.notice import notify
from qwenchat.console.permission import ask_by_line, call_in_words, result_in_words
from qwenchat.console.word_wrap import WordWrap, print_wrapped, width_of
from qwenchat.i18n.texts import count, say
from qwenchat.session.session import Session
from qwenchat.session.tool_calls import Permission

DIM, RESET = "\x1b[2m", "\x1b[0m"
_CLEAR_LINE = "\r\x1b[K"
LINE_EVERY_S = 10.0


def has_cursor(stream: TextIO) -> bool:
    """Whether a stream is a terminal that moves its cursor as it is asked to."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def may_dim(stream: TextIO) -> bool:
    """Whether text on that stream may be dimmed."""
    return has_cursor(stream) and not os.environ.get("NO_COLOR")


class LoadReport:
    """What is happening while a model loads: one line that is redrawn, or, where that cannot be, lines now and then."""

    def __init__(self, *, redraw: bool = True, lines: bool = False) -> None:
        self._redraw = redraw and has_cursor(sys.stderr)
        self._lines = lines
        self._shown = False
        self._step = ""
        self._said_at = 0.0

    def show(self, event: LoadProgressed) -> None:
        """Tell how far it is."""
        text = safe_line(event.step)
        if event.total:
            text = say(
                "{step}: {done:,.0f} of {total:,.0f} MB", step=text, done=event.done / 1e6, total=event.total / 1e6
            )
        if self._redraw:
            dim, reset = (DIM, RESET) if may_dim(sys.stderr) else ("", "")
            print(f"{_CLEAR_LINE}{dim}{text}{reset}", end="", file=sys.stderr, flush=True)
            self._shown = True
        elif self._lines and (event.step != self._step or time.monotonic() - self._said_at >= LINE_EVERY_S):
            self._step, self._said_at = event.step, time.monotonic()
            notify(text)

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            print(_CLEAR_LINE, end="", file=sys.stderr, flush=True)
            self._shown = False


class Printer:
    """Prints a turn as it streams: the answer to standard output, the thought to standard error, dimmed if it can be.

    With `announced`, each part is introduced in words, comes in whole sentences, and goes to standard output, for
    readers who listen; without `thoughts` these are left out.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        announced: bool = False,
        thoughts: bool = True,
        permit: Callable[[ToolCallPart], Permission] = ask_by_line,
        notice: Callable[[str], None] = notify,
    ) -> None:
        """`permit` is asked whether a call may run; `notice` is given what concerns more than this turn."""
        self._quiet = quiet
        self._permit = permit
        self._notice = notice
        self._thought_tokens = 0
        self._announced = announced
        self._thoughts = thoughts
        self._sentences = Sentences()
        self._wrap = WordWrap(lambda: width_of(sys.stdout))
        self._streams = {Channel.ANSWER: SafeStream(), Channel.THOUGHT: SafeStream()}
        self._dim = not announced and may_dim(sys.stderr)
        self._open: Channel | None = None
        """The channel whose line is not ended yet."""
        self.report = LoadReport(redraw=not announced, lines=announced)

    @property
    def in_line(self) -> bool:
        """Whether what was printed last is a line that goes on."""
        return self._open is Channel.ANSWER or (self._open is Channel.THOUGHT and self._thoughts)

    def run(self, session: Session) -> TurnEnded:
        """Print what comes until the turn has ended, and return how it ended."""
        while True:
            for event in session.wait(0.5):
                self._take(event, session)
                if isinstance(event, TurnEnded) and not _goes_on(event):
                    return event

    def _take(self, event: Event, session: Session) -> None:
        if isinstance(event, ReplyEvent):
            self._take_reply(event, session)
        elif isinstance(event, CallEvent):
            self._take_call(event, session)
        elif isinstance(event, LoadEvent):
            self._take_load(event)
        elif isinstance(event, TurnNotice):
            self._take_notice(event)
        elif isinstance(event, TurnEnded):
            self.report.clear()
            self._end()
            self._say_how(event)
        elif isinstance(event, SaveFailed):
            self._notice(str(event.error))
        elif not isinstance(event, RequestEvent | PrefillProgressed | DraftCounted | ScoringEvent):
            assert_never(event)

    def _take_reply(self, event: ReplyEvent, session: Session) -> None:
        match event:
            case ThoughtStarted():
                self._thought_tokens = 0
                self._announce(say("thinking..."))
            case TextProduced():
                self._text(event, session)
            case ThoughtEnded():
                self._end()
                if self._announced:
                    notify(
                        count(
                            "The thought has ended: {number:,} token.", "The thought has ended: {number:,} tokens.",
                            self._thought_tokens,
                        )
                    )  # fmt: skip
            case AnswerReclassified() | ToolCalled():
                pass
            case _:
                assert_never(event)

    def _take_call(self, event: CallEvent, session: Session) -> None:
        match event:
            case ToolsListed():
                for problem in event.problems:
                    self._notice(problem)
            case PermissionAsked():
                self._end()
                session.tools.permit(event.call.id, self._permit(event.call))
            case PermissionNotSaved():
                self._notice(event.in_words)
            case CallStarted():
                self._end()
                self._report_call(call_in_words(event.call))
            case CallReturned():
                self._report_call(result_in_words(event.result))
            case _:
                assert_never(event)

    def _take_load(self, event: LoadEvent) -> None:
        match event:
            case LoadProgressed():
                self.report.show(event)
            case ModelLoaded():
                self.report.clear()
                if self._announced and not self._quiet:
                    self._notice(ready_in_words(event.model))
                if event.model.reason:
                    self._notice(event.model.reason)
            case LoadFailed():
                self.report.clear()
            case _:
                assert_never(event)

    def _take_notice(self, event: TurnNotice) -> None:
        match event:
            case HistoryTrimmed():
                notify(
                    count(
                        "The oldest message no longer fits the context and was left out.",
                        "The {number} oldest messages no longer fit the context and were left out.",
                        event.messages,
                    )
                )
            case BeginningTrimmed():
                notify(
                    say(
                        "The first {tokens:,} tokens of the reply no longer fit the context and were left out.",
                        tokens=event.tokens,
                    )
                )
            case ServerNotice():
                self._end()
                self._notice(event.text)
            case _:
                assert_never(event)

    def _text(self, event: TextProduced, session: Session) -> None:
        if event.channel is not self._open:
            self._end()
            if event.channel is Channel.ANSWER:
                name = safe_line(session.model.info.name.rpartition("/")[2]) if session.model.info else say("model")
                self._announce(say("{name} answers:", name=name))
            self._open = event.channel
        if event.channel is Channel.THOUGHT:
            self._thought_tokens += event.tokens
        self._print(event.channel, self._streams[event.channel].feed(event.text))

    def _end(self) -> None:
        """End the line of the channel that is open."""
        if self._open is not None:
            self._print(self._open, self._streams[self._open].finish() + "\n")
            self._write(self._open, self._sentences.finish(), ends=True)
            self._open = None

    def _say_how(self, event: TurnEnded) -> None:
        match event:
            case TurnFailed():
                notify(str(event.error))
            case TurnStopped() if self._announced:
                notify(say("The reply was stopped; what came is kept."))
            case TurnFinished(reason=FinishReason.LENGTH) if not self._quiet:
                notify(say("The reply was cut off at the limit of tokens (--max-tokens) or the end of the context."))
            case TurnFinished(reason=FinishReason.REPETITION) if not self._quiet:
                notify(say("The reply did nothing but repeat itself and was ended."))
            case TurnFinished() if self._announced and not _goes_on(event):
                notify(_figures(event))

    def _report_call(self, text: str) -> None:
        if not self._quiet:
            stream = sys.stdout if self._announced else sys.stderr
            print(f"{DIM}{text}{RESET}" if self._dim else text, file=stream, flush=True)

    def _announce(self, text: str) -> None:
        if self._announced and not self._quiet:
            print_wrapped(text)

    def _print(self, channel: Channel, text: str) -> None:
        if channel is Channel.ANSWER or self._thoughts:
            self._write(channel, self._sentences.feed(text) if self._announced else text)

    def _write(self, channel: Channel, text: str, *, ends: bool = False) -> None:
        if self._announced:
            text = self._wrap.feed(text) + (self._wrap.finish() if ends else "")
        if self._quiet or not text:
            return
        if channel is Channel.ANSWER or self._announced:
            print(text, end="", flush=True)
        else:
            text = f"{DIM}{text}{RESET}" if self._dim else text
            print(text, end="", file=sys.stderr, flush=True)


def ready_in_words(model: ModelInfo) -> str:
    """That a model can be asked now, and where it runs."""
    return say("{name} is ready ({place}).", name=safe_line(model.name), place=safe_line(model.place))


def _figures(event: TurnFinished) -> str:
    tokens = event.usage.thinking_tokens + event.usage.answer_tokens
    ended = count("The reply has ended: {number} token", "The reply has ended: {number} tokens", tokens)
    return say("{ended} in {seconds:.0f} s.", ended=ended, seconds=event.timing.total_s)


def _goes_on(event: TurnEnded) -> bool:
    """Whether tools were called, so that another turn follows."""
    return isinstance(event, TurnFinished) and event.reason is FinishReason.TOOL_CALLS
