"""The one conversation of a file of the program's own."""

from io import BytesIO

from qwenchat.chat.errors import ImportFailed
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange.native import Timelines
from qwenchat.library.exchange.parsed import ParsedConversation, UnusableEntry
from qwenchat.library.exchange.reading import conversations_in


def read_own_json(data: bytes) -> tuple[Conversation, Timelines]:
    """The one conversation of a file of the program's own; raises ImportFailed for anything else."""
    found = list(conversations_in(BytesIO(data)))
    usable = [entry for entry in found if isinstance(entry, ParsedConversation)]
    if len(usable) != 1:
        unusable = [entry.why for entry in found if isinstance(entry, UnusableEntry)]
        raise ImportFailed(unusable[0] if unusable else f"The file holds {len(usable)} conversations, not one.")
    return usable[0].conversation, usable[0].timelines
