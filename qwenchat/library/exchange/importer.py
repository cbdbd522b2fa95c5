"""What was read, into the library: what is there already is left as it is."""

from dataclasses import replace
from enum import StrEnum

from qwenchat.chat.errors import ConversationNotFound, ConversationPresent, LibraryError
from qwenchat.chat.messages import Part
from qwenchat.chat.text import safe_json
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange.native import record_of
from qwenchat.library.exchange.parsed import ParsedConversation
from qwenchat.library.exchange.repair import derived_id
from qwenchat.library.library import Library


class ImportOutcome(StrEnum):
    """What became of a conversation."""

    IMPORTED = "imported"
    PRESENT = "already here"


class Importer:
    """Takes conversations into a library, one at a time; with `dry_run` it only says what it would do."""

    def __init__(self, library: Library, *, dry_run: bool = False) -> None:
        self._library = library
        self._dry_run = dry_run
        self._taken: set[str] = set()

    def take(self, found: ParsedConversation) -> ImportOutcome:
        """Take in a conversation, unless all of it is here. Raises LibraryUnwritable."""
        given = found.conversation
        there = self._there(given.id)
        if there is not None or given.id in self._taken:
            if there is None or _said(given) <= _said(there):
                return ImportOutcome.PRESENT
            given = replace(given, id=derived_id(given.id, safe_json(record_of(given, {}))))
            if given.id in self._taken or self._there(given.id) is not None:
                return ImportOutcome.PRESENT
        if self._dry_run:
            self._taken.add(given.id)
            return ImportOutcome.IMPORTED
        try:
            self._library.import_conversation(given, found.timelines)
        except ConversationPresent:
            return ImportOutcome.PRESENT
        return ImportOutcome.IMPORTED

    def _there(self, id_: str) -> Conversation | None:
        """The conversation of that id; empty when it is there and cannot be read."""
        try:
            return self._library.read(id_)
        except ConversationNotFound:
            return None
        except LibraryError:
            return Conversation(id_, "", 0.0, 0.0, (), None, "")


def _said(conversation: Conversation) -> set[tuple[str, tuple[Part, ...]]]:
    """What was said in it; dates and titles may differ, and more may have been said since."""
    return {(message.id, message.parts) for message in conversation.messages}
