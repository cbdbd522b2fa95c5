"""A name that does not exist is answered with the one that was probably meant, the same way everywhere."""

import pytest

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.suggest import did_you_mean, similar
from qwenchat.chat.typed_settings import retry_settings
from qwenchat.settings.presets import built_in, named
from qwenchat.tui.keys.slash_commands import command_of


@pytest.mark.parametrize(
    ("typed", "known", "suggestion"),
    [
        ("halp", ("help", "quit"), "help"),
        ("HELP", ("help", "quit"), "help"),
        ("sys", ("set", "system"), "system"),
        ("dark", ("paper", "qwenchat-dark"), "qwenchat-dark"),
        ("top-p", ("sampling.top_p", "sampling.top_k"), "sampling.top_p"),
        ("temprature", ("theme", "sampling.temperature"), "sampling.temperature"),
        ("cödre", ("coder", "brief"), "coder"),
    ],
)
def test_the_name_that_was_meant_is_found(typed: str, known: tuple[str, ...], suggestion: str) -> None:
    assert did_you_mean(typed, known) == f"Did you mean {suggestion}?"


@pytest.mark.parametrize("typed", ["", "banana", "x" * 100_000, "\ud800", "\0", "-" * 80])
def test_what_is_like_none_is_answered_with_nothing(typed: str) -> None:
    assert did_you_mean(typed, ("help", "quit")) == ""


def test_several_are_named_with_their_mark_the_most_similar_first() -> None:
    assert did_you_mean("modle", ("models", "model", "quit"), mark="/", most=3) == "Did you mean /model or /models?"


def test_no_more_than_a_bounded_number_of_names_is_compared() -> None:
    assert similar("help", (f"other-{number}" for number in range(10**12))) == []


def test_unknown_commands_presets_and_settings_of_a_reply_say_what_was_meant() -> None:
    for call, suggestion in (
        (lambda: command_of("/halp me"), "Did you mean /help? The draft was kept."),
        (lambda: named(built_in(), "codre"), "Did you mean Coder?"),
        (lambda: retry_settings("temprature=1"), "Did you mean temperature?"),
    ):
        with pytest.raises(QwenchatError) as caught:
            call()
        assert str(caught.value).endswith(suggestion)
