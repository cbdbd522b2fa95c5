"""Presets: those that come with the program, and files of the user's."""

from pathlib import Path

import pytest

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.settings.presets import Preset, built_in, check, named, read, read_file, write


def written(folder: Path, text: str, name: str = "mine") -> Path:
    file = folder / f"{name}.toml"
    file.write_text(text, "utf-8")
    return file


def test_every_preset_that_comes_along_is_in_range_and_says_what_it_does() -> None:
    assert len({preset.name.lower() for preset in built_in()}) == len(built_in())
    for preset in built_in():
        check(preset)
        assert preset.description


def test_a_file_is_a_preset_called_like_it(tmp_path: Path) -> None:
    text = 'description = "d"\nmodel = "qwen3-4b"\nsystem = "s"\nthink = false\nthinking_budget = "off"\n'
    preset = read_file(written(tmp_path, f"{text}[sampling]\ntop_k = 5"))
    assert preset == Preset("mine", "d", "qwen3-4b", "s", False, "off", SamplingOverrides(top_k=5))
    assert preset.values == {"model": "qwen3-4b", "system": "s", "think": False, "thinking_budget": None, "top_k": 5}


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    for preset in (*built_in(), Preset("a b-1.2", system='"""\n\\ ü', think=False), Preset("empty", system="")):
        assert read_file(write(preset, tmp_path / "presets")) == preset


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("heat = 1", "heat"),
        ('think = "yes"', "think"),
        ("thinking_budget = 0", "thinking_budget"),
        ('thinking_budget = "often"', "thinking_budget"),
        ("sampling = 3", "sampling"),
        ("[sampling]\ntop_p = 7", "top-p"),
        ("[sampling]\nheat = 7", "sampling.heat"),
        ('name = "other"', "name"),
        ("a = ", "cannot be read"),
    ],
)
def test_a_wrong_file_is_named_with_its_key_and_left_out(tmp_path: Path, text: str, key: str) -> None:
    file = written(tmp_path, text)
    presets, (problem,) = read(tmp_path)
    assert presets == built_in()
    assert str(file) in problem
    assert key in problem


def test_no_folder_is_no_presets_of_ones_own(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere") == (built_in(), ())


def test_a_file_goes_before_a_built_in_preset_of_its_name(tmp_path: Path) -> None:
    written(tmp_path, "think = false", "coder")
    presets, _ = read(tmp_path)
    assert len(presets) == len(built_in())
    assert named(presets, "CODER") == Preset("coder", think=False)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 41, "a\n"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigInvalid):
        write(Preset(name), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "presets").write_text("a file")
    with pytest.raises(ConfigInvalid, match="presets"):
        write(Preset("mine"), tmp_path / "presets")


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(ConfigInvalid, match=r"no preset heavy.*Precise"):
        named(built_in(), "heavy")


def test_a_preset_that_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = write(Preset("mine", system="secret"), tmp_path / "new")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    file.chmod(0o644)
    write(Preset("mine", system="shared"), tmp_path / "new")
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in file.parent.iterdir()] == ["mine.toml"]
