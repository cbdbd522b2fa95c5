import pytest

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.thinking import CLOSING, soft_switch, thinks
from qwenchat.chat.thinking_budget import budget_of


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Hello", None),
        ("Hello /think", True),
        ("/no_think Hello", False),
        ("Hello /nothink.", False),
        ("/think no, /no_think", False),
        ("/no_think, or rather /think!", True),
        ("look at /think/tank.py and a/think", None),
        ("/thinking /no_thinking", None),
    ],
)
def test_soft_switch(text: str, asked: bool | None) -> None:
    assert soft_switch(text) is asked


def said(*pairs: tuple[Role, str]) -> list[Message]:
    return [Message(role, (TextPart(text),)) for role, text in pairs]


def test_most_recent_soft_switch_wins_across_turns() -> None:
    history = said((Role.SYSTEM, "/no_think"), (Role.USER, "a /think"), (Role.ASSISTANT, "/no_think"), (Role.USER, "b"))
    assert thinks(ThinkingSupport.SWITCHED, True, history)
    assert not thinks(ThinkingSupport.SWITCHED, True, history[:1])


def test_hard_switch_off_makes_soft_ones_void() -> None:
    assert not thinks(ThinkingSupport.SWITCHED, False, said((Role.USER, "/think")))


def test_model_without_switches_does_what_it_does() -> None:
    assert not thinks(ThinkingSupport.NONE, True, said((Role.USER, "/think")))
    assert thinks(ThinkingSupport.ALWAYS, False, said((Role.USER, "/no_think")))


def test_a_thought_is_closed_with_the_words_of_qwen() -> None:
    assert CLOSING == (
        "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly "
        "now.\n"
    )


@pytest.mark.parametrize(("typed", "budget"), [("1", 1), ("2,000", 2000), ("off", None), ("None", None)])
def test_a_budget_is_typed_as_a_number_or_off(typed: str, budget: int | None) -> None:
    assert budget_of(typed) == budget


@pytest.mark.parametrize("typed", ["0", "-1", "1.5", "much", "²", "9" * 5000])
def test_what_is_no_budget_is_refused(typed: str) -> None:
    with pytest.raises(ConfigInvalid, match="number of tokens"):
        budget_of(typed)
