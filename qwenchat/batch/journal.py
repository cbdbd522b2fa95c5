"""The answers of a batch so far, on disk, until all of them become the output."""

import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from qwenchat.batch.prompts import BatchPrompt
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.text import safe_json, safe_line
from qwenchat.i18n.texts import listed, say

FORMAT = 2
"""Of the journal; one of another format is not gone on with."""
MODE = 0o600
"""Of the journal and the output: what was asked and said is the user's own."""
_BEGINNING = b'{"journal":'
"""Of every journal; a program that was killed at once leaves no more than a part of it."""


class Journal:
    """The answers in the order in which they came, beside the output that they will become.

    Each is on disk before the next prompt is counted as done, so a program that is killed loses only what was being
    answered. A journal whose prompts, settings or model are others is refused, and so is one that is being written.
    """

    def __init__(self, output: Path, prompts: Sequence[BatchPrompt], settings: Mapping[str, Any]) -> None:
        """`settings` are all that answers depend on beside the model. Raises ConfigInvalid and OSError."""
        self._output = output
        """Nothing stands there yet, or what this journal made of it before."""
        self.file = output.with_name(f"{output.name}.journal")
        self._keys = {prompt.number: prompt.key for prompt in prompts}
        self._lines: dict[int, bytes] = {}
        self._failed: set[int] = set()
        self._model: Any = None
        self._partial = output.with_name(f"{output.name}.partial")
        """What the output is until it is whole; nobody else's, since it is not there before the journal is."""
        if not self.file.exists():
            for place in (output, self._partial):
                if place.exists():
                    raise _taken(place)
        self._out = self._opened()
        try:
            end = self._read({"journal": FORMAT, "settings": json.loads(json.dumps(settings))})
            if not end and output.exists():
                raise _taken(output)
            self._out.truncate(end)
            self._out.seek(end)
            if not end:
                self._write({"journal": FORMAT, "settings": settings})
        except BaseException:
            self.close()
            raise

    @property
    def answered(self) -> frozenset[int]:
        """The numbers of the prompts that have an answer; those that failed are asked again."""
        return frozenset(self._lines)

    @property
    def failed(self) -> frozenset[int]:
        """The numbers of the prompts that failed when they were asked last."""
        return frozenset(self._failed)

    def accept(self, model: Mapping[str, Any]) -> None:
        """Note which model answers; raises ConfigInvalid where another one answered before."""
        model = json.loads(json.dumps(model))
        if self._model is None:
            self._model = model
            self._write({"model": model})
        elif self._model != model:
            raise self._foreign(_different(self._model, model))

    def add(self, line: dict[str, Any]) -> None:
        """Write an answer, or a failure, down."""
        number = line["number"]
        self._write({"key": self._keys[number], "line": line})
        self._lines[number] = _encoded(line)

    def finish(self, *, complete: bool) -> None:
        """Make the output of it, in the order of the prompts. Raises OSError.

        When it is complete the journal goes away; else it stays, so that the same command asks for the rest.
        """
        try:
            self._partial.unlink(missing_ok=True)
            with os.fdopen(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as out:
                for number in sorted(self._lines):
                    out.write(self._lines[number])
                out.flush()
                os.fsync(out.fileno())
            self._partial.replace(self._output)
        except BaseException:
            with suppress(OSError):
                self._partial.unlink()
            raise
        if complete:
            self.file.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave it as it is, for the next time."""
        with suppress(OSError):  # of a full disk, which was reported when it was met
            self._out.close()

    def _opened(self) -> BinaryIO:
        """The file, held against every other program."""
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, MODE)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _taken(self.file)
        out = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            out.close()
            raise ConfigInvalid(
                say("{file} is being written by another qwenchat.", file=self._name()), say("Let that one end first.")
            ) from error
        return out

    def _write(self, line: Mapping[str, Any]) -> None:
        self._out.write(_encoded(line))
        self._out.flush()
        os.fsync(self._out.fileno())

    def _read(self, heading: dict[str, Any]) -> int:
        """Take what is there, and return where the last whole line ends; 0 where nothing was answered or failed yet."""
        before: dict[str, Any] = {}
        end, rows, ours = 0, 0, 0
        for line in self._out:
            if not line.endswith(b"\n") and (end or _BEGINNING.startswith(line[: len(_BEGINNING)])):
                break
            row = _loaded(line)
            before = before if end else row
            self._model = row.get("model", self._model)
            end += len(line)
            rows += "line" in row
            ours += self._take(row)
        if not end or (not rows and before.get("journal") == FORMAT):
            self._model = None
            return 0
        if before != heading:
            raise self._foreign(_different(before.get("settings"), heading["settings"]))
        if not ours:
            raise self._foreign([say("prompts")])
        return end

    def _take(self, row: dict[str, Any]) -> bool:
        """Take what came of a prompt, and say whether it is one of these."""
        line, key = row.get("line"), row.get("key")
        number = line.get("number") if isinstance(line, dict) else None
        if not isinstance(line, dict) or not isinstance(number, int) or key != self._keys.get(number):
            return False
        if "error" in line:
            self._failed.add(number)
        else:
            self._lines[number] = _encoded(line)
            self._failed.discard(number)
        return True

    def _foreign(self, names: Sequence[str]) -> ConfigInvalid:
        what = say("{file} belongs to other prompts or settings ({names}).", file=self._name(), names=listed(names))
        return ConfigInvalid(what, say("Finish those, or remove it to begin anew."))

    def _name(self) -> str:
        return safe_line(str(self.file), 400)


def _taken(file: Path) -> ConfigInvalid:
    return ConfigInvalid(
        say("{file} is there already.", file=safe_line(str(file), 400)), say("Name another: --output FILE.")
    )


def _different(before: Any, now: Mapping[str, Any]) -> list[str]:
    """The names of what is not as it was."""
    if not isinstance(before, dict):
        return [say("the version of qwenchat")]
    return [safe_line(name, 40) for name in (*now, *before.keys() - now.keys()) if before.get(name) != now.get(name)]


def _encoded(line: Mapping[str, Any]) -> bytes:
    return safe_json(line).encode() + b"\n"


def _loaded(line: bytes) -> dict[str, Any]:
    """The object of a line; an empty one for what is none."""
    with suppress(ValueError, RecursionError):
        if isinstance(row := json.loads(line), dict):
            return row
    return {}


def unasked_first(prompts: Sequence[BatchPrompt], journal: Journal) -> Iterator[BatchPrompt]:
    """The prompts without an answer: those that failed before come last, so that no such one holds up the others."""
    left = [prompt for prompt in prompts if prompt.number not in journal.answered]
    yield from (prompt for prompt in left if prompt.number not in journal.failed)
    yield from (prompt for prompt in left if prompt.number in journal.failed)
