"""Lists: pinned first, archived apart, names that stay."""

from pathlib import Path

import pytest

from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.library.library import Library


def user(text: str) -> Message:
    return Message(Role.USER, (TextPart(text),))


def listed(library: Library, archived: bool = False) -> list[str]:
    return [row.id for row in library.conversations(archived=archived)]


def test_pinned_conversations_come_first_each_group_newest_first(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "c.sqlite3")
    for name in "abcd":
        library.save(name, user(name))
    library.pin("a", True)
    library.pin("c", True)
    assert listed(library) == ["c", "a", "d", "b"]
    assert [row.pinned for row in library.conversations()] == [True, True, False, False]
    assert [row.id for row in library.conversations(limit=2, offset=1)] == ["a", "d"]
    library.pin("c", False)
    library.close()
    assert listed(Library.open(tmp_path / "c.sqlite3")) == ["a", "d", "c", "b"]


def test_the_latest_conversation_is_the_one_that_changed_last_pinned_or_not() -> None:
    library = Library.in_memory()
    for name in "abc":
        library.save(name, user(name))
    library.pin("a", True)
    library.archive("c", True)
    assert library.latest() == "b"


def test_archived_conversations_stand_in_a_list_of_their_own_and_can_be_read() -> None:
    library = Library.in_memory()
    for name in "ab":
        library.save(name, user(name))
    library.archive("a", True)
    assert listed(library) == ["b"]
    assert listed(library, archived=True) == ["a"]
    assert library.conversations(archived=True)[0].archived
    assert library.read("a").archived
    assert library.resolve("a") == "a"
    library.archive("a", False)
    assert listed(library) == ["b", "a"]


def test_a_title_comes_from_the_first_message_and_a_greeting_makes_way_for_more() -> None:
    library = Library.in_memory()
    library.save("a", user("Hello!"))
    library.save("a", user("Why is the sky blue?"))
    library.save("a", user("And the sea?"))
    assert library.conversations()[0].title == "Why is the sky blue?"


@pytest.mark.parametrize("title", ["Hello", "Taxes 2026", "  two\n lines "])
def test_a_title_that_a_person_chose_is_never_replaced(title: str) -> None:
    library = Library.in_memory()
    library.save("a", user("Hello!"))
    library.rename("a", title)
    library.save("a", user("Why is the sky blue?"))
    assert library.conversations()[0].title == " ".join(title.split())


def test_a_blank_title_gives_the_naming_back() -> None:
    library = Library.in_memory()
    library.save("a", user("Hi"))
    library.save("a", user("Why is the sky blue?"))
    library.rename("a", "Mine")
    library.rename("a", " ")
    assert library.read("a").title == "Why is the sky blue?"


def test_an_id_in_full_is_found_though_others_begin_with_it() -> None:
    library = Library.in_memory()
    for name in ("a1", "a1b"):
        library.save(name, user(name))
    assert library.resolve("a1") == "a1"
