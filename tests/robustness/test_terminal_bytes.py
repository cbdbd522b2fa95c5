"""No byte of anybody else's reaches a terminal, and nothing hides in what one approves: 10 million characters of it."""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import regex

from qwenchat.chat.characters import well_formed
from qwenchat.chat.messages import Message
from qwenchat.chat.text import safe
from qwenchat.library.conversation import Conversation
from qwenchat.library.library import Library
from tests.support.terminal_bytes import KEY, Entrances, Exits, hostile

LENGTH = 2_000
"""Characters of one text."""
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
HIDES = regex.compile(
    r"[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Co}\p{Noncharacter_Code_Point}\p{Zl}\p{Zp}\u00a0\u2000-\u200a\u3000]"
)
"""What nobody sees, or takes for something else."""


RAW = "notice", "log", "asked"
"""What is made of a text that came through no gate."""


def wrong_with(kind: str, text: str) -> str:
    """What a text that leaves must not hold; empty where it is as it should be."""
    if found := OBEYED.search(text):
        return f"{found[0]!r} is obeyed"
    if kind == "json":
        json.loads(text)
        return ""
    if kind == "jsonl":
        for line in text.split("\n"):
            json.loads(line)
        return ""
    if kind in ("approved", "asked") and (hidden := HIDES.search(text)):
        return f"{hidden[0]!r} hides"
    return "" if kind == "log" or safe(text) == text else "something hides"


def through_everything(characters: int, seed: int, folder: Path) -> Counter[str]:
    """Send so many characters in at every place in turn, and out at all; says how many left where."""
    random_ = random.Random(seed)
    entrances, exits = Entrances(random_, folder).all, Exits(folder)
    counted: Counter[str] = Counter()
    while sum(counted[f"in: {name}"] for name in entrances) < characters:
        for name, take in entrances.items():
            text = hostile(random_, LENGTH)
            counted[f"in: {name}"] += len(text)
            from_server = name in ("stream", "error")
            stored = kept(take(text), title="x" if from_server else well_formed(text))
            for kind, place, left in exits.of(stored, text):
                counted[f"out: {place}"] += len(left)
                wrong = wrong_with(kind, left)
                if from_server and kind not in RAW and KEY.lower() in left.lower():
                    wrong = "the key is in it"
                assert not wrong, (seed, name, place, wrong, ascii(text))
    return counted


def kept(messages: Sequence[Message], title: str) -> Conversation:
    """The messages as a library gives them back."""
    library, parent = Library.in_memory(), None
    for message in messages:
        library.save("c", replace(message, parent=parent))
        parent = message.id
    library.rename("c", title)
    stored = library.read("c")
    library.close()
    return stored


def test_a_sample_of_hostile_text_through_every_place_where_text_enters_and_leaves(tmp_path: Path) -> None:
    counted = through_everything(20_000, seed=1, folder=tmp_path)
    assert len(counted) >= 25


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_ten_million_characters_of_it(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    counted = through_everything(1_000_000, seed, tmp_path)
    came = sum(count for place, count in counted.items() if place.startswith("in"))
    left = sum(count for place, count in counted.items() if place.startswith("out"))
    with capsys.disabled():
        places = ", ".join(f"{place} {count:,}" for place, count in sorted(counted.items()))
        print(f"\nseed {seed}: {came:,} characters in, {left:,} out in {time.monotonic() - began:.0f} s ({places})")
    assert came >= 1_000_000
