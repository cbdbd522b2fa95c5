"""What came of asking again: old and new side by side, or as an object for scripts."""

import shutil
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.events import Channel
from qwenchat.chat.messages import Message, Role
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.text import safe, safe_line
from qwenchat.i18n.texts import count, say
from qwenchat.replay.rerun import Divergence, RecordedQuestion, RerunResult

SIDE_BY_SIDE_FROM = 72
"""Columns from which old and new have room beside each other."""


class RerunReport:
    """Prints each reply beside its repetition as they come, and at the end how many are the same."""

    def __init__(self, total: int) -> None:
        width = shutil.get_terminal_size().columns
        self._console = Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False)
        self._beside = width >= SIDE_BY_SIDE_FROM
        self._total = total

    def show(self, number: int, question: RecordedQuestion, repeated: RerunResult) -> None:
        """One reply: that it is the same, or both, from where they part in another style."""
        asked = next((message.text for message in reversed(question.history) if message.role is Role.USER), "")
        heading = say(
            "{number} of {total}: {question}", number=number, total=self._total, question=safe_line(asked, 200)
        )
        self._console.print(Text(heading, style="bold"))
        self._console.print(Text(verdict(repeated)))
        if not repeated.identical:
            columns = (
                _column(say("then, {model}", model=_model(repeated.old)), repeated.old, repeated.parts_at),
                _column(say("now, {model}", model=_model(repeated.new)), repeated.new, repeated.parts_at),
            )
            if self._beside:
                table = Table.grid(padding=(0, 3, 0, 0), expand=True)
                table.add_column(ratio=1)
                table.add_column(ratio=1)
                table.add_row(*columns)
                self._console.print(table)
            else:
                self._console.print(Text("\n\n").join(columns))
        self._console.print()

    def conclude(self, results: Sequence[tuple[RerunResult, bool]]) -> None:
        """How many of them are the same; with each comes whether it was saved."""
        same, total = sum(repeated.identical for repeated, _ in results), len(results)
        if same == total:
            said = count("The reply is identical.", "All {number} replies are identical.", total)
        elif same:
            said = say("{same} of {total} replies are identical.", same=same, total=total)
        else:
            said = count("The reply is different.", "All {number} replies are different.", total)
        self._console.print(Text(said))
        if kept := sum(saved for _, saved in results):
            self._console.print(
                Text(
                    count(
                        "One was saved as a branch of the conversation.",
                        "{number} were saved as branches of the conversation.",
                        kept,
                    )
                )
            )


def verdict(repeated: RerunResult) -> str:
    """Whether a reply and its repetition are the same, and where they part, in words."""
    if (place := repeated.parts_at) is not None:
        at = {"token": place.token, "character": place.character}
        if place.channel is Channel.THOUGHT:
            return say("They part at token {token:,}, character {character:,} of the thought.", **at)
        return say("They part at token {token:,}, character {character:,} of the answer.", **at)
    made = repeated.new.provenance
    tokens = made.usage.thinking_tokens + made.usage.answer_tokens if made else 0
    if repeated.partial:
        return count(
            "Identical as far as the old one goes, {number:,} token.",
            "Identical as far as the old one goes, {number:,} tokens.",
            tokens,
        )
    return count("Identical, {number:,} token.", "Identical, {number:,} tokens.", tokens)


def as_dict(conversation: str, model: ModelInfo, results: Sequence[tuple[RerunResult, bool]]) -> dict[str, Any]:
    """The object for scripts; with each repetition comes whether it was saved."""
    return {
        "conversation": conversation,
        "identical": all(repeated.identical for repeated, _ in results),
        "model": {name: getattr(model, name) for name in ("name", "revision", "quantization", "device", "server")},
        "replies": [_reply(repeated, saved) for repeated, saved in results],
    }


def failure(conversation: str, error: QwenchatError) -> dict[str, Any]:
    """The object for questions that could not be asked."""
    return {"conversation": conversation, "identical": False, "replies": [], "error": str(error)}


def _reply(repeated: RerunResult, saved: bool) -> dict[str, Any]:
    place = repeated.parts_at
    at = None if place is None else {"channel": place.channel.value, "token": place.token, "character": place.character}
    return {
        "message": repeated.old.id,
        "identical": repeated.identical,
        "parts_at": at,
        "old": _said(repeated.old),
        "new": _said(repeated.new),
        "saved": repeated.new.id if saved else None,
    }


def _said(message: Message) -> dict[str, Any]:
    made = message.provenance
    return {
        "thinking": message.reasoning,
        "answer": message.text,
        "status": message.status.value,
        "model": made.model.name if made else None,
        "seed": made.sampling.seed if made else None,
    }


def _model(message: Message) -> str:
    made = message.provenance
    return safe_line(f"{made.model.name} {made.model.quantization}") if made else say("a model of unknown name")


def _column(heading: str, message: Message, place: Divergence | None) -> Text:
    """A reply under a line that says who gave it; what differs is yellow, and so is all that comes after."""
    text = Text.assemble((heading, "cyan"))
    texts = ((Channel.THOUGHT, message.reasoning, "dim"), (Channel.ANSWER, message.text, ""))
    parted = False
    for channel, raw, style in texts:
        if not raw:
            continue
        here = place is not None and place.channel is channel
        common = 0 if parted else place.character - 1 if here and place is not None else len(raw)
        parted = parted or here
        before, after = safe(raw[:common]).lstrip("\n"), safe(raw[common:]).rstrip()
        text.append("\n\n").append(before, style).append(after, f"{style} yellow".strip())
    return text
