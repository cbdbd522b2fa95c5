"""Another beginning of a reply: as it was up to a token, then an alternative to that."""

from collections.abc import Sequence
from dataclasses import dataclass

from qwenchat.chat.events import Channel, ScoredToken, TokenAlternative
from qwenchat.chat.messages import Part, ReasoningPart, TextPart
from qwenchat.chat.splitter import CLOSE_TAG
from qwenchat.chat.timeline import Tick


@dataclass(frozen=True, slots=True)
class ReplyPrefix:
    """What there is of a reply that is to be gone on with."""

    parts: tuple[Part, ...]
    ticks: tuple[Tick, ...]
    """One for each token, since each came at once."""


def beginning(tokens: Sequence[ScoredToken], at: int, alternative: TokenAlternative) -> ReplyPrefix | None:
    """The reply before token `at`, and `alternative`; None where the model cannot go on from that.

    That is inside of a character, and after a control token, but for the one that ends a thought.
    """
    inside = at > 0 and not tokens[at - 1].text
    closes = alternative.control and alternative.text == CLOSE_TAG and tokens[at].channel is Channel.THOUGHT
    if inside or not alternative.text or (alternative.control and not closes):
        return None
    pieces = [(token.channel, token.text) for token in tokens[:at] if not token.control]
    if not closes:
        pieces.append((tokens[at].channel, alternative.text))
    thought, answer = (_joined(pieces, channel) for channel in (Channel.THOUGHT, Channel.ANSWER))
    parts: list[Part] = []
    if thought:
        number = sum(channel is Channel.THOUGHT for channel, _ in pieces)
        parts.append(ReasoningPart(thought, number, closed=closes or bool(answer)))
    if answer:
        parts.append(TextPart(answer))
    return ReplyPrefix(tuple(parts), tuple(Tick(0, channel, len(text)) for channel, text in pieces))


def _joined(pieces: Sequence[tuple[Channel, str]], channel: Channel) -> str:
    """What was said there, without the line breaks that follow a tag."""
    return "".join(text for of, text in pieces if of is channel).lstrip("\n")
