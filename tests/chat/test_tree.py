"""A conversation's branches: what is read, what is kept, and what comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenchat.chat.errors import MessageNotFound
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.tree import MessageTree


def say(text: str, parent: Message | None = None, role: Role = Role.USER) -> Message:
    return Message(role, (TextPart(text),), parent=parent.id if parent else None)


def texts(tree: MessageTree) -> list[str]:
    return [message.text for message in tree.path()]


def test_edit_and_retry_become_branches_and_nothing_is_overwritten() -> None:
    tree = MessageTree()
    asked = say("a")
    first, second = say("one", asked, Role.ASSISTANT), say("two", asked, Role.ASSISTANT)
    edited = say("b")
    for message in (asked, first, second, edited):
        tree.add(message)
    assert texts(tree) == ["b"]
    tree.select(asked.id)
    assert texts(tree) == ["a", "two"]
    tree.select(first.id)
    assert texts(tree) == ["a", "one"]
    assert tree.siblings(first.id) == (first.id, second.id)
    assert tree.siblings(asked.id) == (asked.id, edited.id)
    assert len(tree) == 4


def test_message_without_its_parent_is_refused() -> None:
    with pytest.raises(MessageNotFound):
        MessageTree().add(say("a", say("lost")))


def test_walking_back_to_a_version_comes_to_where_it_was_read_last() -> None:
    asked, edited = say("a"), say("b")
    first, second = say("one", asked), say("two", asked)
    tree = MessageTree((asked, first, second, edited), first.id)
    assert texts(tree) == ["a", "one"]
    tree.select(edited.id)
    tree.select(asked.id)
    assert texts(tree) == ["a", "one"]


def test_a_deleted_message_leaves_what_came_after_it() -> None:
    one = say("one")
    two = say("two", one)
    three = say("three", two)
    tree = MessageTree((one, two, three))
    tree.hide([two.id])
    assert texts(tree) == ["one", "three"]
    assert tree.parent(three.id) == one.id
    assert tree.siblings(three.id) == (three.id,)
    tree.unhide([two.id])
    assert texts(tree) == ["one", "two", "three"]


def test_what_came_after_a_deleted_version_is_a_version_of_what_came_after_the_others() -> None:
    one = say("one")
    first, second = say("first", one), say("second", one)
    after = say("after", first)
    tree = MessageTree((one, first, second, after), after.id)
    tree.hide([first.id])
    assert texts(tree) == ["one", "after"]
    assert tree.siblings(after.id) == (second.id, after.id)


def test_deleting_the_branch_that_is_read_shows_another_version_of_it() -> None:
    one = say("one")
    first, second = say("first", one), say("second", one)
    after = say("after", second)
    tree = MessageTree((one, first, second, after))
    assert tree.below(second.id) == (second.id, after.id)
    tree.hide(tree.below(second.id))
    assert texts(tree) == ["one", "first"]
    tree.hide(tree.below(one.id))
    assert texts(tree) == []
    assert tree.leaf is None


def test_a_hidden_message_cannot_be_read() -> None:
    one = say("one")
    tree = MessageTree((one,), hidden=[one.id])
    with pytest.raises(MessageNotFound, match="deleted"):
        tree.select(one.id)


def test_a_leaf_that_is_gone_or_hidden_is_replaced_by_what_is_near() -> None:
    one = say("one")
    two = say("two", one)
    assert texts(MessageTree((one, two), "gone")) == ["one", "two"]
    assert texts(MessageTree((one, two), two.id, [two.id])) == ["one"]


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=9), st.data())
def test_purging_what_is_hidden_and_giving_its_children_to_the_message_before_it_changes_nothing_that_is_seen(
    shape: list[tuple[int, bool]], data: st.DataObject
) -> None:
    messages: list[Message] = []
    for number, (parent, _) in enumerate(shape):
        messages.append(say(str(number), messages[parent % number] if number and parent else None))
    hidden = [message.id for message, (_, hide) in zip(messages, shape, strict=True) if hide]
    tree = MessageTree(messages, hidden=hidden)
    shown = [message for message in messages if message.id not in hidden]
    purged = MessageTree(
        [Message(m.role, m.parts, tree.parent(m.id), m.id) for m in shown], tree.leaf if shown else None
    )
    assert texts(purged) == texts(tree)
    for message in shown:
        assert purged.siblings(message.id) == tree.siblings(message.id)
    if shown:
        chosen = data.draw(st.sampled_from(shown))
        for each in (tree, purged):
            each.select(chosen.id)
        assert chosen.id in [message.id for message in tree.path()]
