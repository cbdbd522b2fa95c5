"""Files of conversations, the one who wrote them: what kind they are is seen from what they hold."""

import codecs
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BufferedReader
from typing import IO, Any, Protocol

from qwenchat.chat.calls import identified
from qwenchat.chat.errors import ImportFailed
from qwenchat.i18n.texts import say
from qwenchat.library.conversation import in_order
from qwenchat.library.exchange import chatgpt, native, openai
from qwenchat.library.exchange.parsed import ParsedConversation, UnusableEntry, ValueUnreadable
from qwenchat.library.exchange.scanner import Scanner
from qwenchat.library.exchange.stream import ReplayedStream
from qwenchat.library.exchange.values import MOST_MESSAGES, by_line, is_lines, values


class Reader(Protocol):
    """A format of conversations; each is a module of this package."""

    def recognizes(self, value: Mapping[str, Any]) -> bool:
        """Whether an object of a file looks like a conversation of this format."""

    def conversation_of(self, value: Mapping[str, Any], now: float) -> ParsedConversation:
        """The conversation; without dates it is of `now`, in Unix seconds. Raises ValueUnreadable."""


READERS: tuple[Reader, ...] = (native, chatgpt, openai)
"""The formats that are understood; the first that recognizes an object reads it."""
_MOST_UNUSABLE = 100_000
"""What has more than this that is none is no file of conversations."""
_START = 2**20
"""How far into a file is looked for what kind it is."""


def conversations_in(file: IO[bytes]) -> Iterator[ParsedConversation | UnusableEntry]:
    """The conversations of a file, one at a time, and what in it is none; raises ImportFailed for other files."""
    start, now = file.read(_START), time.time()
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ImportFailed(say("It is written in UTF-16."), say("Save it as UTF-8."))
    start = start.removeprefix(codecs.BOM_UTF8)
    if start.lstrip()[:1] not in (b"{", b"["):
        raise ImportFailed(say("It is empty.") if not start.strip() else say("It is not JSON."))
    whole: IO[bytes] = BufferedReader(ReplayedStream(start, file), _START)
    unusable = 0
    for where, value in by_line(whole) if is_lines(start) else values(Scanner(whole)):
        try:
            found = _conversation(value, now)
            messages = tuple(identified(in_order(found.conversation.messages)))
            yield replace(found, where=where, conversation=replace(found.conversation, messages=messages))
        except ValueUnreadable as error:
            unusable += 1
            yield UnusableEntry(where, str(error))
            if unusable == _MOST_UNUSABLE:
                what = say("More than {number:,} things in it are no conversations.", number=unusable)
                raise ImportFailed(what, say("What follows was not looked at.")) from error


def _conversation(value: Any, now: float) -> ParsedConversation:
    if isinstance(value, ValueUnreadable):
        raise value
    if not isinstance(value, dict):
        raise ValueUnreadable(say("it is no object"))
    for name in ("mapping", "messages"):
        if isinstance(value.get(name), dict | list) and len(value[name]) > MOST_MESSAGES:
            raise ValueUnreadable(say("it has more than {number:,} messages", number=MOST_MESSAGES))
    for reader in READERS:
        if reader.recognizes(value):
            return reader.conversation_of(value, now)
    raise ValueUnreadable(say("it has neither `messages` nor ChatGPT's `mapping`"))
