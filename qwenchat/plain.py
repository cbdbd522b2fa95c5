"""The chat without screen control: line by line, and one question from a script."""

import json
import sys
from typing import TextIO

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.events import (
    Channel,
    HistoryTrimmed,
    LoadFailed,
    LoadProgressed,
    ModelLoaded,
    SaveFailed,
    TextProduced,
    ThoughtEnded,
    TurnEnded,
    TurnFailed,
)
from qwenchat.chat.messages import Message, Role, Status
from qwenchat.chat.text import SafeStream, safe, safe_line
from qwenchat.chat.tree import MessageTree
from qwenchat.library.library import Conversation
from qwenchat.session import Session

_DIM, _RESET = "\x1b[2m", "\x1b[0m"


class LoadReport:
    """What is happening while a model loads, on one line of standard error, if that is a terminal."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = False

    def show(self, event: LoadProgressed) -> None:
        """Replace the line."""
        if self._terminal:
            amount = f" {event.done / 1e6:,.0f} of {event.total / 1e6:,.0f} MB" if event.total else ""
            print(f"\r\x1b[K{_DIM}{safe_line(event.step)}{amount}{_RESET}", end="", file=sys.stderr, flush=True)
            self._shown = True

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False


class _Printer:
    """Prints a turn as it streams: the answer to standard output, the thought to standard error."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._streams = {Channel.ANSWER: SafeStream(), Channel.THOUGHT: SafeStream()}
        self._dim = sys.stderr.isatty()

    def text(self, event: TextProduced) -> None:
        self._print(event.channel, self._streams[event.channel].feed(event.text))

    def end(self, channel: Channel) -> None:
        self._print(channel, self._streams[channel].finish() + ("" if self._quiet else "\n"))

    def _print(self, channel: Channel, text: str) -> None:
        if self._quiet or not text:
            return
        if channel is Channel.ANSWER:
            print(text, end="", flush=True)
        else:
            text = f"{_DIM}{text}{_RESET}" if self._dim else text
            print(text, end="", file=sys.stderr, flush=True)


def _run_turn(session: Session, quiet: bool = False) -> TurnEnded:
    """Print what comes until the turn has ended."""
    printer, report = _Printer(quiet), LoadReport()
    while True:
        for event in session.wait(0.5):
            match event:
                case LoadProgressed():
                    report.show(event)
                case ModelLoaded():
                    report.clear()
                    if event.model.reason:
                        _say(event.model.reason)
                case TextProduced():
                    printer.text(event)
                case ThoughtEnded():
                    printer.end(Channel.THOUGHT)
                case HistoryTrimmed():
                    _say(f"The {event.messages} oldest messages no longer fit the context and were left out.")
                case LoadFailed() | TurnFailed() | SaveFailed():
                    report.clear()
                    _say(str(event.error))
            if isinstance(event, TurnEnded):
                printer.end(Channel.ANSWER)
                return event


def _say(text: str, to: TextIO | None = None) -> None:
    print(f"qwenchat: {safe_line(text, 1000)}", file=to or sys.stderr, flush=True)


def answer(session: Session, load: LoadModel, prompt: str, *, as_json: bool, saved: bool) -> int:
    """Ask once and print the reply; the exit code."""
    if session.library.notice and saved:
        _say(session.library.notice)
    session.load(load)
    session.send(prompt)
    try:
        ended = _run_turn(session, quiet=as_json)
    except KeyboardInterrupt:
        session.stop()
        return 130
    if as_json:
        print(json.dumps(_report(session, saved), ensure_ascii=False))
    return 1 if isinstance(ended, TurnFailed) else 0


def _report(session: Session, saved: bool) -> dict[str, object]:
    reply = session.path[-1]
    made = reply.provenance
    if made is None:
        return {"answer": "", "thinking": "", "finish_reason": "error", "error": reply.note}
    return {
        "answer": reply.text,
        "thinking": reply.reasoning,
        "finish_reason": made.finish_reason,
        "model": {name: getattr(made.model, name) for name in ("name", "revision", "quantization", "device")},
        "usage": {
            name: getattr(made.usage, name)
            for name in ("prompt_tokens", "cached_tokens", "thinking_tokens", "answer_tokens")
        },
        "timing": {
            "load_s": round(made.model.load_s, 3),
            "first_token_s": round(made.timing.first_token_s, 3),
            "tokens_per_s": round(made.timing.tokens_per_s, 2),
        },
        "seed": made.sampling.seed,
        "conversation": session.conversation if saved else None,
    }


def chat(session: Session, load: LoadModel) -> int:
    """Read messages line by line until the input ends; the exit code."""
    prompting = sys.stdin.isatty()
    session.load(load)
    if session.library.notice:
        _say(session.library.notice)
    try:
        while True:
            if prompting:
                print("> ", end="", file=sys.stderr, flush=True)
            line = sys.stdin.readline()
            if not line or line.strip() in ("/quit", "/exit"):
                return 0
            if line.strip() == "/new":
                session.new()
            elif line.strip():
                _one(session, line.rstrip("\n"))
    except KeyboardInterrupt:
        return 130
    finally:
        session.close()


def _one(session: Session, text: str) -> None:
    try:
        session.send(text)
        _run_turn(session)
    except QwenchatError as error:
        _say(str(error))
    except KeyboardInterrupt:
        session.stop()
        _run_turn(session, quiet=True)


def as_text(conversation: Conversation) -> str:
    """A conversation to read; partial replies say so."""
    path = MessageTree(conversation.messages, conversation.leaf).path()
    return "\n\n".join(_message(message) for message in path)


def _message(message: Message) -> str:
    who = {Role.USER: "You", Role.ASSISTANT: "Model", Role.SYSTEM: "System", Role.TOOL: "Tool"}[message.role]
    if message.provenance is not None:
        who = safe_line(message.provenance.model.name)
    mark = "" if message.status is Status.COMPLETE else f" [{message.status}]"
    thought = f"<think>\n{safe(message.reasoning)}\n</think>\n\n" if message.reasoning else ""
    return f"{who}{mark}:\n{thought}{safe(message.text)}"
