"""A line that begins with a slash and is heeded by the program."""

from collections.abc import Callable
from dataclasses import dataclass

from qwenchat.i18n.texts import say


@dataclass(frozen=True, slots=True)
class Command:
    """What the program does at a line."""

    heed: Callable[[str], None]
    """Is given what stands behind the name."""
    meaning: str
    argument: str = ""
    """What may stand behind the name, for the reader."""

    def in_words(self, name: str) -> str:
        """How it is written and what it does, on one line."""
        written = f"/{name} {self.argument}" if self.argument else f"/{name}"
        return say("{written}: {meaning}", written=written, meaning=self.meaning)
