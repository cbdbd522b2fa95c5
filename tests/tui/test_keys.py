"""Every action has a name, a key that nothing else has there, and another key when the user wants it."""

from collections import Counter

import pytest

from qwenchat.library.library import Library
from qwenchat.tui.app import QwenChat
from qwenchat.tui.keys.bindings import VIM, KeyScope, bindings_of, keymap_of
from qwenchat.tui.keys.key_names import normal
from qwenchat.tui.screens.help import HelpScreen
from qwenchat.tui.screens.search import SearchScreen
from tests.support.chat_driver import chat
from tests.support.fake_engine import Script
from tests.support.saved_conversations import put


def places() -> tuple[KeyScope, ...]:
    groups, elsewhere = QwenChat.places()
    return (*groups, *elsewhere)


def test_every_binding_has_a_name_and_a_description() -> None:
    names = set()
    for place in places():
        for binding in bindings_of(place.node).values():
            assert binding.id, binding
            assert binding.id.count(".") == 1
            assert binding.description
            names.add(binding.id)
    assert len(names) > 80


def test_no_key_does_two_things_in_one_place() -> None:
    for place in places():
        keys = Counter(key for keys in bindings_of(place.node) for key in keys.split(","))
        assert [key for key, count in keys.items() if count > 1] == [], place.title


def test_the_keys_of_vim_are_names_that_there_are_and_clash_with_nothing() -> None:
    found, problems = keymap_of({}, VIM, places())
    assert problems == ()
    assert found == VIM


async def test_an_action_gets_the_keys_that_the_user_wants() -> None:
    async with chat(keys={"chat.search": "f11, ctrl+l", "app.help": ""}) as it:
        await it.press("ctrl+f", "f1")
        await it.pilot.pause()
        assert not isinstance(it.app.screen, SearchScreen | HelpScreen)
        await it.press("f11")
        await it.until(lambda: isinstance(it.app.screen, SearchScreen), "the search")


async def test_the_help_and_the_hints_show_the_keys_that_count() -> None:
    async with chat(Script(answer="Yes.", hold_at=0), keys={"app.help": "f12", "chat.stop": "f11"}) as it:
        await it.sees("F12  ", "F12 help")
        await it.press("f12")
        await it.sees("F11 ", "chat.stop")
        await it.press("escape", *"hello", "enter")
        await it.sees("F11 stops")
        await it.press("f11")
        await it.sees("stopped")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"chat.dance": "f4"}, "keys.chat.dance: there is no such action"),
        ({"chat.search": "ctrl+nonsense"}, "keys.chat.search: ctrl+nonsense is no key"),
        ({"chat.search": "ctrl+n"}, "keys.chat.search: chat.new has that key already"),
        ({"chat.search": "ctrl+q"}, "keys.chat.search: app.quit has that key already"),
        ({"sidebar.pin": "a"}, "keys.sidebar.pin: sidebar.archive has that key already"),
        ({"chat.search": "f11", "chat.replay": "f11"}, "has that key already"),
    ],
)
async def test_what_cannot_be_is_named_and_left_out(keys: dict[str, str], problem: str) -> None:
    async with chat(keys=keys) as it:
        await it.sees(problem)
        await it.press("ctrl+f")
        if list(keys) != ["chat.search", "chat.replay"]:
            await it.until(lambda: isinstance(it.app.screen, SearchScreen), "the search")


async def test_keys_may_be_exchanged() -> None:
    async with chat(keys={"chat.search": "ctrl+n", "chat.new": "ctrl+f"}) as it:
        await it.press("ctrl+n")
        await it.until(lambda: isinstance(it.app.screen, SearchScreen), "the search")


async def test_the_keys_of_a_chosen_message_are_said_as_they_are_bound() -> None:
    async with chat(Script(answer="Yes."), keys={"message.copy": "f11", "message.retry": "q"}, vim=True) as it:
        await it.ask("One")
        await it.press("ctrl+up")
        await it.sees("m all  F11 copy  q again  i inspect  t lens")


async def test_vim_walks_through_messages_and_lists() -> None:
    library = Library.in_memory()
    for title in ("Plums", "Tides", "Sorting"):
        put(library, title, reply=f"About {title}.")
    async with chat(library=library, vim=True) as it:
        await it.press("ctrl+b", "j", "k", "j", "enter")
        await it.sees("About ")
        await it.press("ctrl+up", "k")
        await it.until(lambda: it.app._chat._transcript.chosen is not None, "a message is chosen")
        first = it.app._chat._transcript.chosen
        await it.press("j")
        await it.until(lambda: it.app._chat._transcript.chosen is not first, "the next one is chosen")


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("Ctrl+F", "ctrl+f"), ("shift+ctrl+esc", "ctrl+shift+escape"), ("shift+g", "G"), ("G", "G"),
        ("ctrl++", "ctrl+plus"), ("PgDn", "pagedown"), ("/", "slash"), ("control+left", "ctrl+left"),
        ("Alt+é", "alt+é"), ("question_mark",) * 2,
    ],
)  # fmt: skip
def test_a_key_may_be_written_as_people_write_it(written: str, key: str) -> None:
    assert normal(written) == key


@pytest.mark.parametrize(
    "written",
    ["ctrl+banana", "banana", "ctrl+snowman", "🍌", "f25", "ctrl+ctrl+a", "ctl+a", "shift+1", "ctrl", "ctrl+", "<any>",
     "ctrl-a", "ctrl+latin_small_letter_a", "alt+ab", "ctrl+\x07", "+a"],
)  # fmt: skip
def test_what_is_no_key_is_none(written: str) -> None:
    assert normal(written) == ""
    keymap, problems = keymap_of({}, {"chat.search": written}, places())
    assert keymap == {}
    assert "is no key" in problems[0]


@pytest.mark.parametrize("key", ["a", "A", "shift+x", "space", "/", "é", "1", "backspace", "left", "enter"])
@pytest.mark.parametrize("action", ["chat.search", "composer.undo", "app.help", "search.thoughts"])
def test_no_action_takes_a_key_that_one_writes_with(key: str, action: str) -> None:
    keymap, problems = keymap_of({}, {action: key}, places())
    assert keymap == {} or (action, key) == ("composer.send", "enter")
    assert len(problems) == 1


def test_a_key_that_few_terminals_send_counts_and_is_said() -> None:
    keymap, problems = keymap_of(
        {}, {"chat.search": "ctrl+i", "chat.replay": "super+r", "chat.new": "ctrl+n,hyper+n"}, places()
    )
    assert keymap == {"chat.search": "ctrl+i", "chat.replay": "super+r", "chat.new": "ctrl+n,hyper+n"}
    assert problems == (
        "keys.chat.search: most terminals send Tab for Ctrl+I.",
        "keys.chat.replay: few terminals can send Super+R.",
    )


def test_keys_that_are_spelled_differently_clash_all_the_same() -> None:
    keymap, problems = keymap_of({}, {"chat.search": "Ctrl+N"}, places())
    assert keymap == {}
    assert "chat.new has that key already" in problems[0]


def test_thousands_of_keys_that_are_none_are_counted_at_once() -> None:
    _, problems = keymap_of({}, {f"chat.nothing{n}": "f1" for n in range(3000)}, places())
    assert len(problems) < 100
