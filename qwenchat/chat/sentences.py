"""Text given on in whole sentences and lines, for readers who listen: a word at a time is read as a stutter."""

import re

LONGEST = 240
"""Characters after which a sentence that does not end is given on to the last space."""
_LOOKED_BACK = 12
"""Characters of an end of a sentence that tell whether it is one."""
_GOES_ON = re.compile(
    r"(?:^|\n)\W*\d{1,3}\.\s?\Z"
    r"|(?<!\w)(?:e\.g|i\.e|a\.k\.a|cf|vs|approx|no|fig|dr|mr|mrs|ms|prof|st|sr|jr|z\.\s?b|d\.\s?h|u\.\s?a|bzw|nr|ca)\.\s?\Z",
    re.IGNORECASE,
)
"""What ends like a sentence and is none: the number of an item of a list, an abbreviation."""
_ENDS = re.compile(r"\n|[.!?:;…]['\")\]*_]*\s|[。！？；]")


class Sentences:
    """Holds what is not yet a sentence."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """Take more text and give what is whole."""
        self._held += text
        ends = (found.end() for found in _ENDS.finditer(self._held))
        whole = max((end for end in ends if self._is_end(end)), default=0)
        if not whole and len(self._held) > LONGEST:
            whole = self._held.rfind(" ") + 1
        said, self._held = self._held[:whole], self._held[whole:]
        return said

    def _is_end(self, end: int) -> bool:
        return not _GOES_ON.search(self._held, max(0, end - _LOOKED_BACK), end)

    def finish(self) -> str:
        """What is left at the end."""
        said, self._held = self._held, ""
        return said
