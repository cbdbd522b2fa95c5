"""The tour in pictures: each picture is shown and is there, and the script that draws them works."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGEST = 60_000


def test_every_picture_of_the_tour_is_shown_with_words_in_its_place_and_is_small():
    shown = re.findall(r"!\[(.+?)\]\(tour/(.+?)\)", (ROOT / "docs" / "tour.md").read_text("utf-8"))
    files = sorted((ROOT / "docs" / "tour").iterdir())
    assert sorted(name for _, name in shown) == [file.name for file in files]
    assert [file.name for file in files if file.stat().st_size > LARGEST] == []


async def test_the_script_draws_the_program_as_it_answers(
    tiny_qwen3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(ROOT)
    script = importlib.import_module("docs.make_tour")
    (tmp_path / script.MODEL).symlink_to(tiny_qwen3)
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    monkeypatch.setattr(script, "DOCS", tmp_path)
    monkeypatch.chdir(tmp_path)
    async with script.Tour(tmp_path).program((60, 20)) as it:
        await it.types("Hello!")
        await it.press("enter")
        await it.sees("How can I help?")
        await it.picture("hello")
    drawn = (tmp_path / "hello.svg").read_text("utf-8")
    assert "help?" in drawn
    assert "http" not in drawn.partition("</style>")[0].partition("<style>")[2]
