"""A replay as text: line by line at its pace, as lines of JSON, as an asciicast."""

import time
from collections.abc import Callable, Iterator
from typing import Any, assert_never

from qwenchat.chat.events import Channel, TextProduced, ThoughtEnded, ThoughtStarted
from qwenchat.chat.messages import Message, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.scene import Happening, MessageSent, Moment, ReplyBegan, ReplyEnded, TypedText
from qwenchat.chat.text import SafeStream, safe, safe_json, safe_line
from qwenchat.console.turn_printer import DIM, RESET
from qwenchat.i18n.texts import say
from qwenchat.replay.player import INSTANT, Replay

BOLD = "\x1b[1m"
COLUMNS, ROWS = 80, 24
"""Of the terminal that a cast is played in."""


class ReplayPrinter:
    """Turns what happens into text to be printed piece by piece; `styled` dims thoughts and makes names bold."""

    def __init__(self, *, styled: bool) -> None:
        self._styled = styled
        self._name = ""
        """Of the model whose reply is being rendered."""
        self._stream = SafeStream()
        self._composing: TypedText | Channel | None = None
        """What is being written, piece by piece."""
        self._last = ""
        """The last character of all; empty before there is any."""

    def render(self, what: Happening) -> str:
        """The text that comes next; it may be empty."""
        text = "".join(self._rendered(what))
        self._last = text[-1:] or self._last
        return text

    def _rendered(self, what: Happening) -> Iterator[str]:
        match what:
            case TypedText(text):
                if self._composing is None:
                    yield self._heading(say("You:"))
                    self._composing = what
                yield self._stream.feed(text)
            case MessageSent(message):
                yield self._ended() if self._composing else self._whole(message)
            case ReplyBegan(message):
                made = message.provenance
                self._name = safe_line(made.model.name.rpartition("/")[2] if made else "") or say("Model")
            case TextProduced():
                if self._composing is not what.channel:
                    yield self._ended()
                    thinking = what.channel is Channel.THOUGHT
                    thinks, answers = say("{name} thinks:", name=self._name), say("{name} answers:", name=self._name)
                    yield self._heading(thinks if thinking else answers)
                    self._composing = what.channel
                yield self._dimmed(self._stream.feed(what.text))
            case ReplyEnded(message):
                yield self._ended()
                yield self._ending(message)
            case ThoughtStarted() | ThoughtEnded():
                pass
            case _:
                assert_never(what)

    def _whole(self, message: Message) -> str:
        """A message that nobody saw being written."""
        who = {Role.SYSTEM: say("System:"), Role.TOOL: say("Tool:")}.get(message.role, say("You:"))
        return f"{self._heading(who)}{safe(_said(message)).rstrip()}\n"

    def _ending(self, message: Message) -> str:
        calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
        notes = [say("calls {call}", call=f"{safe_line(call.name)} {safe_line(call.arguments)}") for call in calls]
        if message.status is Status.FAILED and message.note:
            notes.append(say("failed: {text}", text=safe_line(message.note, 1000)))
        elif message.status is not Status.COMPLETE:
            notes.append(message.status.in_words)
        elif not message.text.strip() and not calls:
            notes.append(say("no answer"))
        return "".join(f"[{note}]\n" for note in notes)

    def _heading(self, text: str) -> str:
        line = f"{BOLD}{text}{RESET}\n" if self._styled else f"{text}\n"
        return f"\n{line}" if self._last or self._composing else line

    def _ended(self) -> str:
        """The end of what was being written."""
        if self._composing is None:
            return ""
        text = self._dimmed(self._stream.finish())
        self._composing = None
        return f"{text}\n"

    def _dimmed(self, text: str) -> str:
        return f"{DIM}{text}{RESET}" if text and self._styled and self._composing is Channel.THOUGHT else text


def _said(message: Message) -> str:
    """What a message says, and what a tool gave."""
    return "".join(part.text for part in message.parts if isinstance(part, TextPart | ToolResultPart))


def play_as_text(
    replay: Replay, put: Callable[[str], object], *, styled: bool, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Say all of a replay at its pace."""
    printer = ReplayPrinter(styled=styled)
    while True:
        said = "".join(printer.render(moment.what) for moment in replay.due())
        if said:
            put(said)
        wait_s = replay.next_in_s()
        if wait_s is None:
            return
        sleep(wait_s)


def as_json_lines(replay: Replay) -> Iterator[str]:
    """One object for each thing that happens, with its time at normal speed; at once."""
    for scene in replay.scenes:
        for moment in scene.moments():
            about = {"at_s": round(moment.at_s, 3), "message": scene.message.id, **_happening(moment)}
            yield safe_json(about)


def _happening(moment: Moment) -> dict[str, Any]:
    match moment.what:
        case TypedText(text):
            return {"event": "typed", "text": text}
        case MessageSent(message):
            return {"event": "sent", "role": message.role.value, "text": _said(message)}
        case ReplyBegan(message):
            return {"event": "asked", "model": message.provenance.model.name if message.provenance else None}
        case TextProduced() as produced:
            return {"event": produced.channel.value, "text": produced.text, "tokens": produced.tokens}
        case ThoughtStarted():
            return {"event": "thought_started"}
        case ThoughtEnded():
            return {"event": "thought_ended"}
        case ReplyEnded(message):
            return {"event": "ended", "status": message.status.value, "note": message.note}
        case _:
            assert_never(moment.what)


def as_cast(replay: Replay, title: str, began: float) -> Iterator[str]:
    """The lines of an asciicast, version 2, of the replay at its speed (docs.asciinema.org/manual/asciicast/v2)."""
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "timestamp": int(began), "title": safe_line(title)}
    yield safe_json(header)
    printer = ReplayPrinter(styled=True)
    for scene in replay.scenes:
        for moment in scene.moments():
            if text := printer.render(moment.what):
                at_s = 0.0 if replay.speed == INSTANT else moment.at_s / replay.speed
                yield safe_json([round(at_s, 6), "o", text.replace("\n", "\r\n")])
