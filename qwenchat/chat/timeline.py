"""When each piece of a reply came, for replay."""

from dataclasses import dataclass

from qwenchat.chat.events import Channel


@dataclass(frozen=True, slots=True)
class Tick:
    """The next `characters` of a channel arrived `at_ms` milliseconds after the turn was taken up."""

    at_ms: int
    channel: Channel
    characters: int
