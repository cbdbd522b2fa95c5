"""A file of prompts, one a line, and the journal of those that are answered."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.text import safe_line
from qwenchat.texts import say


@dataclass(frozen=True, slots=True)
class Prompt:
    """One line of the file."""

    number: int
    """The line, counted from 1."""
    messages: tuple[Message, ...]
    id: str | int | None = None
    """What the file calls it."""

    @property
    def has_system(self) -> bool:
        """Whether it brings its own system prompt."""
        return self.messages[0].role is Role.SYSTEM


def read_prompts(file: Path) -> tuple[Prompt, ...]:
    """The prompts in a JSONL file: {"prompt": "..."} or {"messages": [...]}, with an "id" if wanted, or a mere string.

    Raises ConfigInvalid, which names the line, before anything is asked.
    """
    prompts = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                prompts.append(_prompt(file, number, line))
    if not prompts:
        raise ConfigInvalid(say("There is no prompt in {file}.", file=safe_line(str(file), 400)))
    return tuple(prompts)


def _prompt(file: Path, number: int, line: bytes) -> Prompt:
    where = say("{file}, line {number}", file=safe_line(str(file), 400), number=number)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigInvalid(say("{where}: this is no JSON.", where=where)) from error
    if isinstance(value, str):
        value = {"prompt": value}
    rows = value.get("messages") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(value.get("prompt"), str):
        rows = [{"role": "user", "content": value["prompt"]}]
    messages = _messages(rows)
    if not messages or messages[-1].role is not Role.USER or not messages[-1].text.strip():
        wanted = say('Write {"prompt": "..."}, or {"messages": [...]} with one of the user at the end.')
        raise ConfigInvalid(say("{where}: there is nothing to ask.", where=where), wanted)
    name = value.get("id")
    return Prompt(number, messages, name if isinstance(name, str | int) else None)


def _messages(rows: Any) -> tuple[Message, ...]:
    """Messages as the OpenAI API has them; none when there is anything else among them."""
    said = []
    for row in rows if isinstance(rows, list) else ():
        role, content = (row.get("role"), row.get("content")) if isinstance(row, dict) else (None, None)
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            return ()
        said.append(Message(Role(role), (TextPart(content),)))
    return tuple(said)


class Journal:
    """The answers so far, in the order in which they came, beside the output that they will become.

    Each is on disk before the next prompt is counted as done, so a program that is killed loses only what was being
    answered. A journal of other prompts, or asked in another way, is refused.
    """

    def __init__(self, output: Path, prompts: Sequence[Prompt], asking: str) -> None:
        """`asking` says how the prompts are asked. Raises ConfigInvalid and OSError."""
        self._output = output
        """Nothing stands there yet, or what this journal made of it before."""
        self.file = output.with_name(f"{output.name}.journal")
        self._numbers = {prompt.number for prompt in prompts}
        heading = {"journal": _digest(prompts, asking)}
        self._lines: dict[int, bytes] = {}
        end = 0
        with suppress(FileNotFoundError):
            end = self._read(heading)
        if not end and output.exists():
            raise ConfigInvalid(
                say("{file} is there already.", file=safe_line(str(output), 400)), say("Name another: --output FILE.")
            )
        self._out: BinaryIO = self.file.open("r+b" if end else "wb")
        self._out.truncate(end)
        self._out.seek(end)
        if not end:
            self._write(heading)

    @property
    def answered(self) -> frozenset[int]:
        """The numbers of the prompts that have an answer; those that failed are asked again."""
        return frozenset(self._lines)

    def add(self, line: dict[str, Any]) -> None:
        """Write an answer down."""
        self._lines[line["number"]] = self._write(line)

    def finish(self, *, complete: bool) -> None:
        """Make the output of it, in the order of the prompts. Raises OSError.

        When it is complete the journal goes away; else it stays, so that the same command asks for the rest.
        """
        partial = self._output.with_name(f"{self._output.name}.partial")
        with partial.open("wb") as out:
            for number in sorted(self._lines):
                out.write(self._lines[number])
            out.flush()
            os.fsync(out.fileno())
        partial.replace(self._output)
        self._out.close()
        if complete:
            self.file.unlink()

    def close(self) -> None:
        """Leave it as it is, for the next time."""
        self._out.close()

    def _write(self, line: dict[str, Any]) -> bytes:
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        self._out.write(data)
        self._out.flush()
        os.fsync(self._out.fileno())
        return data

    def _read(self, heading: dict[str, str]) -> int:
        """Take what is there, and return where the last whole line ends."""
        data = self.file.read_bytes()
        end = data.rfind(b"\n") + 1
        lines = data[:end].splitlines(keepends=True)
        if lines and _loaded(lines[0]) != heading:
            raise ConfigInvalid(
                say("{file} belongs to other prompts or settings.", file=safe_line(str(self.file), 400)),
                say("Finish those, or remove it to begin anew."),
            )
        for line, row in _rows(lines[1:]):
            if row.get("number") in self._numbers and "error" not in row:
                self._lines[row["number"]] = line
        return end


def _rows(lines: Sequence[bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for line in lines:
        if isinstance(row := _loaded(line), dict):
            yield line, row


def _loaded(line: bytes) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(line)
    return None


def _digest(prompts: Sequence[Prompt], asking: str) -> str:
    said = [[prompt.number, [[message.role.value, message.text] for message in prompt.messages]] for prompt in prompts]
    return hashlib.sha256(json.dumps([said, asking]).encode()).hexdigest()
