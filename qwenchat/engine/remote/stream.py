"""The chunks of a reply, read from whatever way a server sends them."""

import codecs
import json
from collections.abc import AsyncIterator
from typing import Any

from openai.types.chat import ChatCompletionChunk

LONGEST_EVENT = 32_000_000
"""Characters that one event may have."""


class ErrorReported(Exception):
    """The server reports an error where a reply was to come."""

    def __init__(self, body: Any) -> None:
        super().__init__(str(body))
        self.body = body

    @property
    def status(self) -> int:
        """The HTTP status that it stands for; 0 where it does not say."""
        code = self.body.get("code", self.body.get("status")) if isinstance(self.body, dict) else None
        digits = str(code)
        return int(digits) if digits.isdecimal() and len(digits) == 3 and digits[0] in "45" else 0


class NotAReply(ValueError):
    """What came is no chat completion."""


class ReplyStream:
    """Reads the events of a stream (`text/event-stream`), or a completion that comes as one JSON object.

    Comments, empty events, lines without a blank after the colon, every kind of line end and a byte order mark are
    read as the standard has them.
    """

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self.done = False
        """Whether the server said that this was all."""

    async def chunks(self) -> AsyncIterator[Any]:
        """The chunks, with the attributes of OpenAI's. Raises ErrorReported and NotAReply."""
        began = False
        data: list[str] = []
        strays: list[str] = []
        async for line in self._lines():
            if line:
                name, value = _field(line)
                if name == "data":
                    data.append(value)
                elif _ends(line):
                    for chunk in _chunks("\n".join(data).strip()):
                        yield chunk
                    self.done = True
                    return
                elif name == "error":
                    raise ErrorReported(_json(value))
                elif name not in ("", "event", "id", "retry") and sum(map(len, strays)) < LONGEST_EVENT:
                    strays.append(line)
                continue
            text, data = "\n".join(data).strip(), []
            if _ends(text):
                self.done = True
                return
            for chunk in _chunks(text):
                began = True
                yield chunk
        rest = "\n".join(data).strip()  # a stream that ends without an empty line
        if _ends(rest):
            self.done = True
        elif rest:
            for chunk in _chunks(rest):
                yield chunk
        elif strays and not began:
            try:
                objects = [_json("\n".join(strays))]
            except NotAReply:  # one to a line
                objects = [_json(line) for line in strays]
            self.done = True
            for each in objects:
                yield _chunk(each)

    async def _lines(self) -> AsyncIterator[str]:
        """The lines, and an empty one where an event ends."""
        decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        held = ""
        async for piece in self._pieces:
            held += decoder.decode(piece)
            if len(held) > LONGEST_EVENT:
                raise NotAReply
            # A line may end in CR, LF or both, and a piece between the two.
            kept = "\r" if held.endswith("\r") else ""
            *lines, held = _split(held.removesuffix(kept))
            held += kept
            for line in lines:
                yield line
        for line in _split(held + decoder.decode(b"", True)):
            yield line


def _split(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAReply from error


def _ends(text: str) -> bool:
    """Whether a line, or the data of an event, says that this was all."""
    return text.lstrip('" ')[:6].upper() == "[DONE]"


def _chunks(text: str) -> list[Any]:
    """The chunks in the data of an event; none in a word that keeps the connection open."""
    if not text.startswith(("{", "[")):
        return []
    value = _json(text)
    return [_chunk(each) for each in (value if isinstance(value, list) else [value])]


def _chunk(value: Any) -> Any:
    """One chunk; a whole completion is one chunk with all that is said."""
    if not isinstance(value, dict):
        raise NotAReply
    if error := value.get("error"):
        raise ErrorReported(error)
    if value.get("object") == "error" or ("message" in value and "choices" not in value):
        raise ErrorReported(value)
    choices = value.get("choices")
    if choices is None and any(name in value for name in ("errors", "detail")):
        raise ErrorReported(value)
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("error"):
            raise ErrorReported(choice["error"])
    whole = [_choice(choice) for choice in (choices if isinstance(choices, list) else ()) if isinstance(choice, dict)]
    fields = {name: field for name, field in value.items() if not name.startswith("_")}
    return ChatCompletionChunk.construct(**{**fields, "choices": whole})


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice with what it says as its delta, wherever the server put that."""
    delta, message, text = choice.get("delta"), choice.get("message"), choice.get("text")
    if isinstance(delta, dict) and any(delta.values()):
        return choice
    if isinstance(message, dict):
        return {**choice, "delta": message}
    return {**choice, "delta": {"content": text}} if isinstance(text, str) else choice
