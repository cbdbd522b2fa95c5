"""Tells a reply's thought from its answer while it streams."""

from dataclasses import dataclass
from enum import Enum, auto

from qwenchat.chat.events import Channel

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"


class SplitMark(Enum):
    """A boundary in the stream."""

    OPENED = auto()
    """A thought that has text begins."""
    CLOSED = auto()
    """That thought has ended."""
    RECLASSIFIED = auto()
    """All text so far was thought, though nothing opened it, and it has ended."""


@dataclass(frozen=True, slots=True)
class SplitText:
    """A piece of text and where it belongs."""

    channel: Channel
    text: str


Split = SplitMark | SplitText


class Splitter:
    """The state machine: boundaries and text in, marks and pieces out.

    Local models call it with what their token ids say; `TagSplitter` finds the boundaries in text. An empty thought
    leaves no trace, blank text around thought and answer is dropped, a thought opened twice counts once.
    `thinking` says whether the prompt itself opened the thought, `expected` whether a closing boundary without an
    opening one is to be believed.
    """

    def __init__(self, thinking: bool = False, expected: bool = True) -> None:
        self.channel = Channel.THOUGHT if thinking else Channel.ANSWER
        self._expected = expected
        self._thought_seen = thinking
        self._began = False
        self._blank = ""

    def text(self, text: str) -> list[Split]:
        """Take in text between boundaries."""
        if not self._began:
            text = text.lstrip("\n") if self.channel is Channel.ANSWER else text.lstrip()
        text = self._blank + text
        kept = text.rstrip()
        self._blank = text[len(kept) :] if self._began or kept else ""
        if not kept:
            return []
        first, self._began = not self._began, True
        opened: list[Split] = [SplitMark.OPENED] if first and self.channel is Channel.THOUGHT else []
        return [*opened, SplitText(self.channel, kept)]

    def open(self) -> list[Split]:
        """A thought begins here."""
        if self.channel is Channel.ANSWER:
            self._switch(Channel.THOUGHT)
            self._thought_seen = True
        return []

    def close(self) -> list[Split]:
        """The thought ends here."""
        began = self._began
        if self.channel is Channel.THOUGHT:
            self._switch(Channel.ANSWER)
            return [SplitMark.CLOSED] if began else []
        if self._thought_seen or not self._expected:
            return []
        self._thought_seen = True
        self._switch(Channel.ANSWER)
        return [SplitMark.RECLASSIFIED] if began else []

    def interrupted(self) -> list[Split]:
        """The blank text that was held back, for a reply that ends here but may go on from its last character."""
        blank, self._blank = self._blank, ""
        return [SplitText(self.channel, blank)] if self._began and blank else []

    def _switch(self, channel: Channel) -> None:
        self.channel, self._began, self._blank = channel, False, ""


class TagSplitter:
    """Splits text in which the boundaries are the tags `<think>` and `</think>`, cut into chunks anywhere.

    Tags count only where a model puts them: the opening one before any answer, the closing one once. Later ones are
    text, so that an answer may talk about them.
    """

    def __init__(self, thinking: bool = False, expected: bool = True) -> None:
        self._splitter = Splitter(thinking, expected)
        self._held = ""
        self._answering = False
        self._closed = False
        self._expected = expected

    def feed(self, chunk: str) -> list[Split]:
        """Take in a chunk and return what is now certain."""
        self._held += chunk
        splits: list[Split] = []
        while True:
            found = min(((at, tag) for tag in self._awaited() if (at := self._held.find(tag)) >= 0), default=None)
            if found is None:
                break
            at, tag = found
            splits += self._say(self._held[:at])
            self._held = self._held[at:]
            if tag not in self._awaited():
                continue
            self._held = self._held[len(tag) :]
            if tag == OPEN_TAG:
                splits += self._splitter.open()
            else:
                splits += self._splitter.close()
                self._closed = True
        keep = max((_overlap(self._held, tag) for tag in self._awaited()), default=0)
        splits += self._say(self._held[: len(self._held) - keep])
        self._held = self._held[len(self._held) - keep :]
        return splits

    def finish(self) -> list[Split]:
        """The stream has ended: what was held back is text."""
        held, self._held = self._held, ""
        return self._say(held)

    def _say(self, text: str) -> list[Split]:
        if text.strip() and self._splitter.channel is Channel.ANSWER:
            self._answering = True
        return self._splitter.text(text) if text else []

    def _awaited(self) -> tuple[str, ...]:
        if self._closed:
            return ()
        if self._splitter.channel is Channel.THOUGHT:
            return (CLOSE_TAG, OPEN_TAG)
        if not self._answering:
            return (OPEN_TAG, CLOSE_TAG)
        return (CLOSE_TAG,) if self._expected else ()


def _overlap(text: str, tag: str) -> int:
    """The length of the longest end of `text` that begins `tag`."""
    return next((n for n in range(min(len(text), len(tag) - 1), 0, -1) if text.endswith(tag[:n])), 0)
