"""Text given on in whole sentences and lines, for readers who listen: a word at a time is read as a stutter."""

import re

LONGEST = 240
"""Characters after which a sentence that does not end is given on to the last space."""
_ENDS = re.compile(r"\n|[.!?:;…]['\")\]*_]*\s|[。！？；]")


class Sentences:
    """Holds what is not yet a sentence."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """Take more text and give what is whole."""
        self._held += text
        whole = max((found.end() for found in _ENDS.finditer(self._held)), default=0)
        if not whole and len(self._held) > LONGEST:
            whole = self._held.rfind(" ") + 1
        said, self._held = self._held[:whole], self._held[whole:]
        return said

    def finish(self) -> str:
        """What is left at the end."""
        said, self._held = self._held, ""
        return said
