import pytest

from qwenchat.chat.errors import MessageNotFound
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.tree import MessageTree


def say(text: str, parent: Message | None = None, role: Role = Role.USER) -> Message:
    return Message(role, (TextPart(text),), parent=parent.id if parent else None)


def test_edit_and_retry_become_branches_and_nothing_is_overwritten() -> None:
    tree = MessageTree()
    asked = say("a")
    first, second = say("one", asked, Role.ASSISTANT), say("two", asked, Role.ASSISTANT)
    edited = say("b")
    for message in (asked, first, second, edited):
        tree.add(message)
    assert [m.text for m in tree.path()] == ["b"]
    tree.select(first.id)
    assert [m.text for m in tree.path()] == ["a", "one"]
    tree.select(asked.id)
    assert [m.text for m in tree.path()] == ["a", "two"]
    assert tree.siblings(first.id) == (first.id, second.id)
    assert tree.siblings(asked.id) == (asked.id, edited.id)
    assert len(tree) == 4


def test_message_without_its_parent_is_refused() -> None:
    with pytest.raises(MessageNotFound):
        MessageTree().add(say("a", say("lost")))
