"""What is being written: typed text, in which labels stand for what was pasted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from qwenchat.chat.messages import Message, TextPart
from qwenchat.chat.timeline import Tick

PASTED = "pasted"
"""The origin of a text that was pasted; a file's is the word that names it, as in `@notes.md`."""


@dataclass(frozen=True, slots=True)
class PastedBlock:
    """A long text that is pasted into a draft."""

    label: str
    """What stands for it in the draft; no other block of the draft has the same."""
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is being written."""

    text: str = ""
    """What is typed, with the labels of the blocks."""
    blocks: tuple[PastedBlock, ...] = ()
    """Those whose labels stand in the text."""

    @classmethod
    def of(cls, text: str, blocks: Iterable[PastedBlock]) -> "Draft":
        """A draft with those of the blocks that stand in it."""
        return cls(text, tuple(block for block in blocks if block.label in text))

    def parts(self) -> tuple[TextPart, ...]:
        """What is typed and what is pasted, in order; nothing for an empty draft."""
        if not self.blocks:
            return (TextPart(self.text),) if self.text else ()
        texts = {block.label: block.text for block in self.blocks}
        pieces = re.split(f"({'|'.join(map(re.escape, texts))})", self.text)
        return tuple(
            TextPart(texts[piece], PASTED) if at % 2 else TextPart(piece) for at, piece in enumerate(pieces) if piece
        )

    @property
    def whole(self) -> str:
        """All that is written, with the blocks in place of their labels."""
        return "".join(part.text for part in self.parts())


NOTHING = Draft()


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message that was sent while a reply comes, and waits for the end of that."""

    draft: Draft
    parts: tuple[TextPart, ...]
    """With the files that it names, as they were then."""
    typed: tuple[Tick, ...]


def typed_parts(message: Message) -> tuple[TextPart, ...]:
    """What its writer typed and pasted; files that were attached are named in it."""
    parts = (part for part in message.parts if isinstance(part, TextPart))
    return tuple(part for part in parts if part.origin in ("", PASTED))
