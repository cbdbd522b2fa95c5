"""Hostile text, the places where text enters, and those where it leaves."""

import io
import json
import logging
import random
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import openai

from qwenchat.chat.calls import call_of
from qwenchat.chat.characters import CharacterJoiner, well_formed_values
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.events import TextProduced, ToolCalled, TurnEvent
from qwenchat.chat.messages import Message, Part, ReasoningPart, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.redaction import Redaction
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.text import SafeStream, decode_input, safe_json, safe_line
from qwenchat.console.editor import edited
from qwenchat.console.notice import notify
from qwenchat.console.permission import call_in_words, result_in_words
from qwenchat.console.turn_printer import ready_in_words
from qwenchat.engine.remote.failure import typed
from qwenchat.engine.remote.offer import listed_in
from qwenchat.engine.remote.reply import StreamedReply
from qwenchat.engine.text_gate import gated
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange.export import ExportFormat, written
from qwenchat.library.exchange.parsed import ParsedConversation
from qwenchat.library.exchange.reading import conversations_in
from qwenchat.library.library import Library
from qwenchat.plain.transcript import as_text
from qwenchat.replay.player import Replay
from qwenchat.replay.render import as_cast, as_json_lines, play_as_text
from qwenchat.reports.message_details import details_as_text as details_in_words
from qwenchat.reports.message_details import details_of
from qwenchat.session import attachments
from qwenchat.settings import config
from qwenchat.tui.base.terminal_input import TerminalParser
from qwenchat.tui.markdown.plain_text import code_in, plain

KEY = "sk-Sentinel-5d1f0c77"
_SEQUENCES = (
    "\x1b[201~", "\x1b[200~", "\x1b]0;title\x07", "\x1b]52;c;aGk=\x07", "\x1b[2J", "\x1b[?1049h", "\x1b[31m", "\x1b[0m",
    "\x1b]8;;file:///etc/passwd\x1b\\", "\x1bP1$r\x1b\\", "\x9b2J", "\x9d0;x\x9c", "\x1bc", "\x1b(0", "\x1b", "\x1b[",
    "\x1b]", "\x90", "\x98", "\x9b", "\x9c", "\r", "\x08", "\x00", "\x07", "\x7f", "\x85", "\x0b", "\x0c", "\x05",
    "\x0e",
)  # fmt: skip
_HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2061\u2066"
    "\u2069\u206f\u3164\ufe00\ufe0e\ufe0f\ufeff\uffa0\ufff9\ufffb\ufffe\ufdd0\U0001d173\U000e0001\U000e0041\U000e007f\U000e0100"
    "\U0010ffff\u00a0\u2003\u3000\ue000"
)
_OWN = re.compile("\x1b\\[[012]m")
"""What the program itself makes bold and dim."""
_HALVES = "\ud83d\ude00\udcff\udc00\ud800\udfff"
_WORDS = (
    "a", "the ", "x = 1", "**b**", "`c`", "```sh\n", "\n```\n", "| a | b |\n|---|---|\n", "$x^2$", "[l](http://x)",
    "# t\n", "- i\n", "<think>", "</think>", "<tool_call>", "中文", "é", "👩", "❤", "🏴", "می", "क्", "1", "\t", "  ",
    "\\", '"', "{", "}", "%73", "⟨", "@a ", "https://a.b/c", "\n\n", KEY, KEY[:9], KEY[9:], KEY.upper(), "\\ud83d",
    "&#x202e;", "&#xE0041;", "&#27;[2J", "&zwj;", "&shy;", "https://a.b/%E2%80%AE",
)  # fmt: skip


def hostile(random_: random.Random, length: int) -> str:
    """Text of about that length; half of it is made to be obeyed, hidden or broken."""
    pools = (_SEQUENCES, _HIDDEN, _HALVES, _WORDS, _WORDS, _WORDS)
    pieces: list[str] = []
    size = 0
    while size < length:
        pool = random_.choice(pools)
        piece = chr(random_.randrange(0x110000)) if random_.random() < 0.1 else random_.choice(pool)
        pieces.append(piece)
        size += len(piece)
    return "".join(pieces)


def _cut(text: str, random_: random.Random) -> list[str]:
    pieces = []
    while text:
        at = random_.choice((1, 1, 2, 5, 20, 200))
        pieces.append(text[:at])
        text = text[at:]
    return pieces


def _reply(parts: tuple[Part, ...], note: str = "", **more: object) -> Message:
    status = Status.FAILED if note else Status.COMPLETE
    return Message(Role.ASSISTANT, parts, status=status, note=note, **more)  # type: ignore[arg-type]


class Entrances:
    """Each takes a text in, as from that place, and gives the messages that it became."""

    def __init__(self, random_: random.Random, folder: Path) -> None:
        self._random, self._folder = random_, folder

    @property
    def all(self) -> Mapping[str, Callable[[str], list[Message]]]:
        """By name."""
        return {
            name.removeprefix("by_"): getattr(self, name) for name in sorted(vars(type(self))) if name.startswith("by_")
        }

    def by_stream(self, text: str) -> list[Message]:
        """Answer, thought and a call, in the chunks of a server."""
        reply = StreamedReply(1, thinks=self._random.random() < 0.5)

        def chunks() -> Iterator[TurnEvent]:
            for number, piece in enumerate(_cut(text, self._random)):
                kind = number * 3 // max(1, len(text) // 20)
                field = ("reasoning_content", "content", "arguments")[min(kind, 2)]
                function = SimpleNamespace(name=text[:40] if number % 7 else None, arguments=piece)
                call = SimpleNamespace(index=0, id=text[:9], function=function)
                delta = {"tool_calls": [call]} if field == "arguments" else {field: piece}
                yield from reply.take(SimpleNamespace(choices=[SimpleNamespace(delta=SimpleNamespace(**delta))]))
            yield from reply.end(stopped=False)

        growing = GrowingReply()
        for event in gated(gated(chunks(), Redaction(KEY).stream), CharacterJoiner):
            if isinstance(event, TextProduced | ToolCalled):
                growing.add(event)
        return [_reply(growing.parts())]

    def by_engine(self, text: str) -> list[Message]:
        """A model on this machine: text, and a call that it wrote."""
        call = call_of(json.dumps({"name": text[:50], "arguments": {text[:9]: text[9:200]}}))
        return [_reply((ReasoningPart(text), TextPart(text), call, ToolCallPart("i" + text[:5], text[:30], text)))]

    def by_error(self, text: str) -> list[Message]:
        """The words of a server, about a mistake and about its models."""
        masked = Redaction(KEY).masked
        error = typed(openai.APIError(text, request=None, body=None), "h", "m", "http://h", masked)  # type: ignore[arg-type]
        said = {"data": [{"id": text, "owned_by": text}]}
        offers = listed_in(Redaction(KEY).values(well_formed_values(said))).offers
        model = ModelInfo(offers[0].title, "", "", "cpu", server=offers[0].name)
        return [_reply((TextPart("x"),), note=str(error)), _reply((TextPart(ready_in_words(model)),))]

    def by_tool(self, text: str) -> list[Message]:
        """What a tool, or a server of tools, gives back."""
        call = ToolCallPart("c", text[:60], json.dumps({"path": text, text[:9]: [text, 1, None]}))
        result = ToolResultPart("c", text[:60], text, failed=len(text) % 2 == 0)
        asked = _reply((call,))
        return [asked, Message(Role.TOOL, (result,), parent=asked.id)]

    def by_file(self, text: str) -> list[Message]:
        """An attached file, and standard input."""
        file = self._folder / "a.txt"
        data = text.encode("utf-8", "surrogatepass")
        file.write_bytes(data)
        said = [TextPart(decode_input(data)[0], text[:20])]
        try:
            if (attached := attachments.read(f"@{file}")) is not None:
                said.append(attached.part())
        except QwenchatError as error:
            said.append(TextPart(str(error)))
        return [Message(Role.USER, tuple(said))]

    def by_import(self, text: str) -> list[Message]:
        """A conversation of another program."""
        call = {"id": text[:5], "function": {"name": text[:30], "arguments": text}}
        entries = [{"role": "user", "content": text}, {"role": "assistant", "content": text, "tool_calls": [call]}]
        data = json.dumps({"messages": entries, "model": text[:40], "title": text}).encode()
        (found,) = conversations_in(io.BytesIO(data))
        if not isinstance(found, ParsedConversation):
            return [Message(Role.USER, (TextPart(str(found)),))]
        return list(found.conversation.messages)

    def by_row(self, text: str) -> list[Message]:
        """A library that another program, or an older version, wrote into."""
        library = Library.in_memory()
        library.save("c", Message(Role.USER, (TextPart(text),)))
        connection: sqlite3.Connection = library._connection
        raw = text.encode("utf-8", "surrogatepass")
        connection.execute("update messages set parts = ?, note = cast(? as text)", (json.dumps([text]).encode(), raw))
        try:
            return list(library.read("c").messages)
        except QwenchatError as error:
            return [Message(Role.USER, (TextPart(str(error)),))]
        finally:
            library.close()

    def by_config(self, text: str) -> list[Message]:
        """Settings that make no sense, in words."""
        file = self._folder / "config.toml"
        quoted = json.dumps(text.encode("utf-8", "replace").decode()[:200])
        file.write_text(f"model = {quoted}\n{quoted} = 1\n[keys]\n{quoted} = {quoted}\n", "utf-8")
        settings, problems = config.read(file)
        return [Message(Role.USER, (TextPart("\n".join((str(settings.model), *problems))),))]

    def by_terminal(self, text: str) -> list[Message]:
        """What is pasted, and typed."""
        data = f"\x1b[200~{text}\x1b[201~{text[:50]}"
        parser = TerminalParser()
        events = [event for piece in _cut(data, self._random) for event in parser.feed(piece)]
        said = [getattr(event, "text", None) or getattr(event, "character", None) or "" for event in events]
        return [Message(Role.USER, (TextPart("".join(said)),))]

    def by_argument(self, text: str) -> list[Message]:
        """What stands in the command line, as the system gives it."""
        given = text.encode("utf-8", "surrogatepass").replace(b"\0", b"").decode("utf-8", "surrogateescape")
        return [Message(Role.SYSTEM, (TextPart(given),)), Message(Role.USER, (TextPart(given),))]


class Exits:
    """What leaves there: it is `seen`, `approved` or `asked`, in which nothing at all may hide, or it is JSON."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        self._logger = logging.getLogger("qwenchat.tests.terminal_bytes")

    def of(self, stored: Conversation, raw: str) -> Iterator[tuple[str, str, str]]:
        """The kind of each text that leaves, the place where it does, and the text."""
        messages = stored.messages
        yield "seen", "show", as_text(messages)
        yield "seen", "title", safe_line(stored.title)
        for message in messages:
            yield from self._message(message)
        whole = [(stored, {})]
        yield "seen", "Markdown", "".join(written(whole, ExportFormat.MARKDOWN))
        yield "json", "JSON", "".join(written(whole, ExportFormat.JSON))
        yield "jsonl", "JSONL", "".join(written(whole, ExportFormat.JSONL)).strip("\n") or "{}"
        replay = Replay(messages, {}, speed=1e9)
        lines, cast = list(as_json_lines(replay)), list(as_cast(replay, stored.title, 0.0))
        yield "jsonl", "replay --json", "\n".join((*lines, *cast))
        played = "".join(json.loads(line)[2] for line in cast[1:]).replace("\r\n", "\n")
        yield "seen", "cast", _OWN.sub("", played)
        reported: list[str] = []
        play_as_text(Replay(messages, {}, speed=1e9), reported.append, styled=False)
        yield "seen", "replay", "".join(reported)
        yield from self._notices(raw)

    def _message(self, message: Message) -> Iterator[tuple[str, str, str]]:
        said = message.text
        yield "seen", "plain text", plain(said)
        for code in code_in(said):
            yield "seen", "code", code.text
        yield "seen", "details", details_in_words(details_of(message, 1, 1))
        stream = SafeStream()
        yield "seen", "stream", "".join(map(stream.feed, (said[at : at + 3] for at in range(0, len(said), 3))))
        yield "json", "--json", safe_json({"answer": said, "thinking": message.reasoning, "note": message.note})
        given: list[str] = []
        yield (
            "seen",
            "back from an editor",
            edited(said + "x", lambda command: _seen(command, given), {"EDITOR": "cat"}),
        )
        yield "seen", "an editor", given[0]
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                yield "approved", "permission", call_in_words(part)
            if isinstance(part, ToolResultPart):
                yield "seen", "result", result_in_words(part, 1000)

    def _notices(self, raw: str) -> Iterator[tuple[str, str, str]]:
        """What is told of a text that passed no gate where it entered."""
        error, out = io.StringIO(), io.StringIO()
        with redirect_stderr(error), redirect_stdout(out):
            notify(raw)
        yield "notice", "a notice", error.getvalue() + out.getvalue()
        yield "log", "log", self._logged(raw)
        yield "asked", "permission", call_in_words(ToolCallPart("1", raw[:99], raw))

    def _logged(self, raw: str) -> str:
        from qwenchat.system.log import keep_log

        keep_log(self._log)
        self._logger.warning("%s failed", raw)
        keep_log(None)
        lines = self._log.read_text("utf-8")
        self._log.unlink()
        assert lines.count("\n") == 1
        return lines


def _seen(command: list[str], given: list[str]) -> int:
    file = Path(command[-1])
    given.append(file.read_text("utf-8"))
    file.write_bytes(file.read_bytes() + b"\x1b[2J\x9b1m\xff\x00 end")
    return 0
