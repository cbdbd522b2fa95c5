"""Conversations of given titles and ages, put into a library."""

from datetime import datetime, timedelta

from qwenchat.chat.messages import Message, ReasoningPart, Role, TextPart, new_id
from qwenchat.library.library import Conversation, Library

NOW = datetime.now()
YESTERDAY = NOW.replace(hour=12, minute=0) - timedelta(days=1)
LONG_AGO = datetime(2023, 3, 5, 12)


def put(
    library: Library,
    title: str,
    *,
    when: datetime = NOW,
    said: str = "",
    reply: str = "An answer.",
    thought: str = "",
    pinned: bool = False,
    archived: bool = False,
) -> str:
    """Put a conversation of a question and an answer into `library` and return its id."""
    at = when.timestamp()
    asked = Message(Role.USER, (TextPart(said or title),), created=at)
    parts = (ReasoningPart(thought), TextPart(reply)) if thought else (TextPart(reply),)
    answered = Message(Role.ASSISTANT, parts, parent=asked.id, created=at)
    conversation = Conversation(
        new_id(), title, at, at, (asked, answered), answered.id, "", pinned=pinned, archived=archived
    )
    return library.import_conversation(conversation)


def bare(title: str, number: int) -> Conversation:
    """A conversation of one message, later than those of smaller numbers."""
    at = LONG_AGO.timestamp() + number
    asked = Message(Role.USER, (TextPart(title),), created=at)
    return Conversation(new_id(), title, at, at, (asked,), asked.id, "")


def long(library: Library, title: str, turns: int) -> str:
    """Put a conversation of many turns into `library`, the second version of the last question its end."""
    messages: list[Message] = []
    for turn in range(turns):
        parent = messages[-1].id if messages else None
        messages.append(Message(Role.USER, (TextPart(f"Question number{turn:02}"),), parent))
        messages.append(Message(Role.ASSISTANT, (TextPart(f"Answer number{turn:02}"),), messages[-1].id))
    other = Message(Role.USER, (TextPart("Another ending"),), messages[-2].parent)
    at = NOW.timestamp()
    return library.import_conversation(Conversation(new_id(), title, at, at, (*messages, other), other.id, ""))


def long_library(turns: int, reply: str = "Yes.") -> Library:
    """One conversation, "long", of so many questions and answers."""
    library = Library.in_memory()
    parent = None
    for n in range(turns):
        asked = Message(Role.USER, (TextPart(f"Question {n}"),), parent=parent)
        answer = Message(Role.ASSISTANT, (TextPart(f"{reply} {n}"),), parent=asked.id)
        for message in (asked, answer):
            library.save("long", message)
        parent = answer.id
    return library
