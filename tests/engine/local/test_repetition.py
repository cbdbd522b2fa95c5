import random
from itertools import cycle, islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenchat.engine.local import repetition
from qwenchat.engine.local.repetition import LONGEST_SPAN, TIMES, WORDS, RepetitionGuard
from qwenchat.engine.local.tokenizer import ChatTokenizer

SOURCES = sorted((Path(__file__).parents[3] / "qwenchat").rglob("*.py"))
PARAGRAPH = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo."
)
WAIT = "Wait, no, that is not right. Let me check the sum of the digits again. "
GOOD = {
    "numbers counted up": " ".join(str(number) for number in range(1500)),
    "a numbered list": "\n".join(f"{number}. Check the value and go on." for number in range(1, 300)),
    "a list of one word": "- apple\n" * 60,
    "a table": "| n | n² | even |\n|---|---|---|\n" + "".join(f"| {n} | {n * n} | {n % 2} |\n" for n in range(200)),
    "a table of zeros": "| a | b | c |\n|---|---|---|\n" + "| 0 | 0 | 0 |\n" * 100,
    "a board of zeros": "board = [\n" + f"    [{', '.join(['0'] * 16)}],\n" * 16 + "]\n",
    "a board in HTML": ("<tr>" + '<td class="cell"></td>' * 10 + "</tr>\n") * 10,
    "a rule": ("-" * 78 + "\n") * 20,
    "a paragraph to fill a page": f"<p>{PARAGRAPH}</p>\n" * 4,
    "a chorus": "Na na na nananana, nananana, hey Jude.\n" * 18,
    "a punishment": "I must not talk in class.\n" * 50,
    "steps that differ by a number": "".join(f"Step {n}: {WAIT}\n" for n in range(1, 100)),
    "assertions": "".join(f"    assert add({n}, {n}) == {2 * n}\n" for n in range(200)),
    "JSON": "[" + ",\n".join(f'{{"id": {n}, "name": "user{n}", "tags": []}}' for n in range(150)) + "]",
    "base64": "A" * 1200,
}


@pytest.fixture(scope="module")
def tokenizer(qwen3_tokenizer_folder: Path) -> ChatTokenizer:
    return ChatTokenizer.from_folder(qwen3_tokenizer_folder)


def found_at(ids: list[int], tokenizer: ChatTokenizer) -> int | None:
    """After how many tokens the guard speaks up."""
    guard = RepetitionGuard(lambda token: tokenizer.decode([token]))
    return next((at for at, token in enumerate(ids, 1) if guard.add(token)), None)


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_texts_that_only_resemble_themselves_go_on(tokenizer: ChatTokenizer, text: str) -> None:
    assert found_at(tokenizer.encode(text), tokenizer) is None


def test_code_goes_on(tokenizer: ChatTokenizer) -> None:
    assert len(SOURCES[::5]) > 30
    code = "\n".join(file.read_text("utf-8") for file in SOURCES[::5])
    assert found_at(tokenizer.encode(code), tokenizer) is None


@pytest.mark.parametrize(
    "passage",
    [
        "the ",
        "Yes. I am sure. ",
        WAIT,
        f"{PARAGRAPH}\n\n",
        "等等，让我再检查一遍。",
        "\n".join(f"{n}. {WAIT}" for n in range(20)) + "\n",
    ],
    ids=lambda passage: passage[:12],
)
@pytest.mark.parametrize(
    "before", ["", f"{PARAGRAPH} " + " ".join(str(number) for number in range(3000))], ids=["at once", "late"]
)
def test_a_passage_of_words_that_never_ends_is_found(tokenizer: ChatTokenizer, before: str, passage: str) -> None:
    opening, span = tokenizer.encode(before), len(tokenizer.encode(passage))
    ids = opening + tokenizer.encode(passage * (2000 // span + 2 * TIMES))
    found = found_at(ids, tokenizer)
    assert found is not None
    # A word or two at the seams may be spelled differently.
    assert abs(found - len(opening) - max(WORDS, TIMES * span)) <= span + 4


@pytest.mark.parametrize("passage", ["0, ", "- [ ] \n", "! ", '<td class="cell"></td>'], ids=repr)
def test_figures_and_marks_are_given_longer_but_not_for_ever(tokenizer: ChatTokenizer, passage: str) -> None:
    found = found_at(tokenizer.encode(passage * 3000), tokenizer)
    assert found is not None
    assert repetition.FIGURES - 8 <= found <= repetition.FIGURES + 8


def test_the_longest_passage_is_found_and_a_longer_one_is_not() -> None:
    for span, expected in ((LONGEST_SPAN, TIMES * LONGEST_SPAN), (LONGEST_SPAN + 1, None)):
        guard = RepetitionGuard(lambda token: "a")
        tokens = islice(cycle(range(span)), (TIMES + 3) * span)
        assert next((at for at, token in enumerate(tokens, 1) if guard.add(token)), None) == expected


def test_a_passage_that_stops_in_time_is_forgotten() -> None:
    guard = RepetitionGuard(lambda token: "a")
    chance = random.Random(0)
    for _ in range(20):
        assert not any(guard.add(token) for token in [1, 2, 3] * (WORDS // 3 - 1))
        assert not any(guard.add(chance.randrange(10_000)) for _ in range(chance.randrange(1, 2000)))


def repeats_itself(tokens: list[int], words: int, figures: int, longest: int, times: int, mostly: float) -> bool:
    """What the guard is to find, said plainly; odd tokens are words."""
    for span in range(1, longest + 1):
        wordy = sum(token % 2 for token in tokens[-span:]) >= mostly * span
        needed = max(times * span, words if wordy else figures)
        last = tokens[-needed:]
        if len(last) == needed and all(last[at] == last[at - span] for at in range(span, needed)):
            return True
    return False


@given(
    pieces=st.lists(st.tuples(st.lists(st.integers(0, 2), min_size=1, max_size=7), st.integers(1, 8)), max_size=12),
    times=st.integers(2, 4),
)
def test_it_finds_what_it_says_and_nothing_else(pieces: list[tuple[list[int], int]], times: int) -> None:
    tokens = [token for passage, count in pieces for token in passage * count]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("LONGEST_SPAN", 5), ("TIMES", times), ("WORDS", 9), ("FIGURES", 14)):
            patch.setattr(repetition, name, value)
        guard = RepetitionGuard(lambda token: "a" if token % 2 else "0")
        for at, token in enumerate(tokens, 1):
            assert guard.add(token) == repeats_itself(tokens[:at], 9, 14, 5, times, repetition.MOSTLY)
