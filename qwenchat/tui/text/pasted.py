"""Long texts that are pasted: when a paste is one, and what stands for it."""

import re
from collections.abc import Iterable

from qwenchat.chat.draft import PASTED, Draft, PastedBlock, typed_parts
from qwenchat.chat.messages import Message
from qwenchat.i18n.texts import say, size
from qwenchat.tui.text.graphemes import Span

_LONG = 2_000
_LINES = 40
"""Characters and lines from which on a paste is shown as a label."""


class PastedBlocks:
    """The blocks that were pasted into one draft, also those that an undo could bring back."""

    def __init__(self) -> None:
        self._blocks: dict[str, PastedBlock] = {}

    def begin(self, draft: Draft) -> None:
        """Another draft."""
        self._blocks = {block.label: block for block in draft.blocks}

    def take(self, text: str) -> PastedBlock:
        """Make a block of what is pasted."""
        number = len(self._blocks) + 1
        while (block := block_of(text, number)).label in self._blocks:
            number += 1
        self._blocks[block.label] = block
        return block

    def draft(self, text: str) -> Draft:
        """The draft that reads `text`, with its labels."""
        return Draft.of(text, self._blocks.values())

    def block(self, label: str) -> PastedBlock | None:
        """What stands behind a label."""
        return self._blocks.get(label)

    def spans(self, line: str) -> tuple[Span, ...]:
        """Where the labels stand in a line of the draft."""
        if not self._blocks or "[" not in line:
            return ()
        found = re.finditer("|".join(map(re.escape, self._blocks)), line)
        return tuple(match.span() for match in found)


def is_long(text: str) -> bool:
    """Whether a pasted text is shown as a label in the draft."""
    return len(text) > _LONG or text.count("\n") >= _LINES


def measure(text: str) -> str:
    """How long a text is, for people: "1,204 lines, 52 kB"."""
    lines = text.count("\n") + (not text.endswith("\n"))
    bytes_ = size(len(text.encode("utf-8", errors="replace")))
    return say("{lines} lines, {size}", lines=f"{lines:,}", size=bytes_) if lines > 1 else bytes_


def block_of(text: str, number: int) -> PastedBlock:
    """The block for the paste with that number in a draft."""
    return PastedBlock(f"[{say('Pasted {measure} #{number}', measure=measure(text), number=number)}]", text)


def draft_of(message: Message) -> Draft:
    """A message as its writer had it, to be changed or sent again."""
    text = ""
    blocks: list[PastedBlock] = []
    for part in typed_parts(message):
        if part.origin == PASTED:
            blocks.append(block_of(part.text, len(blocks) + 1))
            text += blocks[-1].label
        else:
            text += part.text
    return Draft(text, tuple(blocks))


def joined(drafts: Iterable[Draft]) -> Draft:
    """Several drafts as one, with an empty line between them and a label of its own for each paste."""
    pasted = PastedBlocks()
    return pasted.draft("\n\n".join(_with_labels_of(pasted, draft) for draft in drafts if draft.text.strip()))


def _with_labels_of(pasted: PastedBlocks, draft: Draft) -> str:
    labels = {block.label: pasted.take(block.text).label for block in draft.blocks}
    pieces = re.split(f"({'|'.join(map(re.escape, labels))})", draft.text) if labels else [draft.text]
    return "".join(labels.get(piece, piece) for piece in pieces)
