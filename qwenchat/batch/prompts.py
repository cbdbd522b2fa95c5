"""A file of prompts, one a line. A line that is no prompt keeps its place, with what is wrong with it."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say, sentences
from qwenchat.system.regular_file import open_stream

LONGEST_LINE = 16_000_000
"""Bytes of a line that are read; no model has a window for more."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class BatchPrompt:
    """One line of the file."""

    number: int
    """The line, counted from 1."""
    messages: tuple[Message, ...] = ()
    id: str | int | None = None
    """What the file calls it."""
    problem: str = ""
    """Why the line cannot be asked; empty for one that can."""

    @property
    def has_system(self) -> bool:
        """Whether it brings its own system prompt."""
        return self.messages[0].role is Role.SYSTEM

    @property
    def key(self) -> str:
        """A digest of what is asked, at which line, under which id."""
        said = [self.number, self.id, [[message.role.value, message.text] for message in self.messages]]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


class _NoPrompt(Exception):
    """What is wrong with a line."""


def read_prompts(file: Path) -> tuple[BatchPrompt, ...]:
    """The lines of a JSONL file: {"prompt": "..."} or {"messages": [...]}, with an "id" if wanted, or a mere string.

    Empty lines are left out. Raises ConfigInvalid where there is no other, and OSError.
    """
    prompts: list[BatchPrompt] = []
    ids: dict[str | int, int] = {}
    for number, line in _lines(file):
        prompt = _prompt(number, line)
        if prompt is None:
            continue
        if prompt.id is not None and (first := ids.setdefault(prompt.id, number)) != number:
            taken = say("line {first} has the id {id} too", first=first, id=safe_line(str(prompt.id), 80))
            prompt = _refused(number, taken, prompt.id)
        prompts.append(prompt)
    if not prompts:
        raise ConfigInvalid(say("There is no prompt in {file}.", file=safe_line(str(file), 400)))
    return tuple(prompts)


def _lines(file: Path) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number; None for one that is too long, of which no more than that is held."""
    with open_stream(file) as data:
        number = 0
        while line := data.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) <= LONGEST_LINE:
                yield number, line
                continue
            while line and not line.endswith(b"\n"):
                line = data.readline(LONGEST_LINE)
            yield number, None


def _prompt(number: int, line: bytes | None) -> BatchPrompt | None:
    """The prompt of a line, or what is wrong with it; None for an empty line."""
    id_: str | int | None = None
    try:
        value = _value(line)
        if value is None:
            return None
        id_ = _id(value)
        return BatchPrompt(number, _messages(value), id_)
    except _NoPrompt as problem:
        return _refused(number, str(problem), id_)


def _refused(number: int, problem: str, id_: str | int | None) -> BatchPrompt:
    where = say("Line {number} was not asked: {problem}.", number=number, problem=problem)
    wanted = say('Write {"prompt": "..."}, or {"messages": [...]} with one of the user at the end.')
    return BatchPrompt(number, id=id_, problem=sentences(where, wanted))


def _value(line: bytes | None) -> dict[str, Any] | None:
    """The object that a line holds; None for an empty line."""
    if line is None:
        raise _NoPrompt(say("it has more than {size:,} bytes", size=LONGEST_LINE))
    try:
        text = line.decode("utf-8-sig")
        value = json.loads(text) if text.strip() else None
    except UnicodeDecodeError as error:
        raise _NoPrompt(say("it is not UTF-8")) from error
    except (ValueError, RecursionError) as error:
        raise _NoPrompt(say("this is no JSON")) from error
    if not text.strip():
        return None
    if isinstance(value, str):
        return {"prompt": value}
    if not isinstance(value, dict):
        raise _NoPrompt(say("it is neither an object nor a text"))
    return value


def _id(value: dict[str, Any]) -> str | int | None:
    name = value.get("id")
    if name is None or (isinstance(name, str | int) and not isinstance(name, bool)):
        return name if isinstance(name, int) else _whole(name)
    raise _NoPrompt(say("its id is neither a text nor a whole number"))


def _messages(value: dict[str, Any]) -> tuple[Message, ...]:
    """What is asked, as messages in the form of the OpenAI API."""
    rows = value.get("messages")
    if "prompt" in value:
        rows = [{"role": "user", "content": value["prompt"]}]
    said = []
    for row in rows if isinstance(rows, list) else ():
        role, content = (row.get("role"), row.get("content")) if isinstance(row, dict) else (None, None)
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise _NoPrompt(say("not every message has a role and a text"))
        said.append(Message(Role(role), (TextPart(_whole(content) or ""),)))
    if not said or said[-1].role is not Role.USER or not said[-1].text.strip():
        raise _NoPrompt(say("there is nothing to ask"))
    return tuple(said)


def _whole(text: str | None) -> str | None:
    """`text`, which no encoding can write if half a character stands in it."""
    if text and _SURROGATE.search(text):
        raise _NoPrompt(say("half a character stands in it (a surrogate alone)"))
    return text
