"""`qwenchat config` shows, checks and edits the settings."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qwenchat.cli.main import cli


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    return Path(run("path").stdout.strip())


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["config", *words])


def test_show_says_what_counts_and_where_it_comes_from(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('# mine\nthink = false\n[sampling]\nseed = 7\n[servers.box]\naddress = "http://box"\n')
    monkeypatch.setenv("QWENCHAT_TOP_P", "0.5")
    monkeypatch.setenv("QWENCHAT_KEYMAP", "vim")
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in run("show").stdout.splitlines()}
    assert lines["think"].split() == ["false", "line", "2"]
    assert lines["sampling.seed"].split() == ["7", "line", "4"]
    assert lines["sampling.top_p"].split() == ["0.5", "QWENCHAT_TOP_P"]
    assert lines["keymap"].split() == ["default", "default"]
    assert lines["context"].startswith("(the model's own)")
    assert lines["servers.box"].split() == ["http://box", "line", "5"]


def test_check_names_the_line_and_fails(file: Path) -> None:
    assert run("check").exit_code == 0
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\ncontext = 5\n")
    checked = run("check")
    assert checked.exit_code == 1
    assert "line 2: context cannot be used" in checked.stderr


def test_check_sees_folders_and_names_of_tools_that_are_none(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('[tools]\non = ["calculater", "all"]\nfolders = ["~nosuchuser/x", "notes"]\n')
    checked = run("check")
    assert checked.exit_code == 1
    assert "There is no tool calculater. Did you mean calculator?" in checked.stderr
    assert "'~nosuchuser/x' that [tools] allows cannot be used: there is no such user" in checked.stderr
    assert "'notes' that [tools] allows cannot be used: it is not a full path" in checked.stderr


def test_edit_makes_the_file_and_opens_it(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\ntest "$1" = -x && echo \'think = 3\' >> "$2"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", f"{editor} -x")
    edited = run("edit")
    assert edited.exit_code == 1
    assert "think cannot be used" in edited.stderr
    assert "#think = true" in file.read_text()


def test_edit_without_an_editor_says_where_the_file_is(file: Path) -> None:
    edited = run("edit")
    assert edited.exit_code == 1
    assert str(file) in edited.stderr
    assert file.exists()


def test_an_editor_that_fails_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "false")
    edited = run("edit")
    assert edited.exit_code == 1
    assert "ended with code 1" in edited.stderr


def test_the_preset_at_the_start_is_shown_and_one_that_is_wrong_is_named(file: Path) -> None:
    (file.parent / "presets").mkdir(parents=True)
    file.write_text('preset = "creative"\nthink = true\n[sampling]\ntop_k = 7\n')
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in run("show").stdout.splitlines()}
    assert lines["think"].split() == ["false", "preset", "Creative"]
    assert lines["sampling.temperature"].split() == ["1.0", "preset", "Creative"]
    assert lines["sampling.top_k"].split() == ["7", "line", "4"]
    file.write_text('preset = "nix"\n')
    (file.parent / "presets" / "bad.toml").write_text("heat = 1")
    checked = run("check")
    assert checked.exit_code == 1
    assert "There is no preset nix." in checked.stderr
    assert "bad.toml: there is no setting heat" in checked.stderr
    assert run("show").exit_code == 0


def test_what_cannot_be_used_is_said_in_words_and_shown_as_the_default(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        'theme = "nope"\nthinking_budget = "many"\ntemprature = 1\ndevice = "tpu"\n[sampling]\nmax_tokens = 0\n'
    )
    checked = run("check")
    assert checked.exit_code == 1
    for said in (
        "There is no theme nope.", "thinking_budget cannot be used: it should be a whole number and is text in quotes.",
        "there is no setting temprature. It is ignored. Did you mean sampling.temperature?",
        "device cannot be used: it should be one of auto, cpu, cuda, mps.", "between 1 and 10,000,000",
    ):  # fmt: skip
        assert said in checked.stderr
    lines = {line.split()[0]: line for line in run("show").stdout.splitlines()}
    assert lines["thinking_budget"].endswith("default; line 2 cannot be used")
    assert lines["sampling.max_tokens"].endswith("default; line 6 cannot be used")
    assert lines["theme"].endswith("line 1")


def test_check_sees_whatever_a_start_would_see(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        'theme = "papre"\npreset = "precice"\nlanguage = "zz"\n'
        '[keys]\n"chat.search" = "ctrl+banana"\n"chat.serch" = "f1"\n"chat.replay" = "f1"\n"chat.new" = "n"\n'
        '[servers.box]\naddress = "ftp://box"\n[servers.far]\naddress = "http://far"\nkey_env = "NO_SUCH_KEY"\n'
        '[mcp.none]\ncommand = "no-such-program"\n[tools]\non = ["calculater"]\n'
    )
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    checked = run("check")
    assert checked.exit_code == 1
    for said in (
        "There is no theme papre. Did you mean paper?", "There is no preset precice. Did you mean Precise?", "language",
        "keys.chat.search: ctrl+banana is no key.", "keys.chat.serch: there is no such action",
        "Did you mean chat.search?", "keys.chat.replay: app.help has that key already.",
        "keys.chat.new: N is a key that one writes with.", "servers.box: ", "servers.far: ", "NO_SUCH_KEY",
        "mcp.none: There is no program no-such-program.", "There is no tool calculater.",
    ):  # fmt: skip
        assert said in checked.stderr.replace("\n", " "), said


def test_check_sees_a_variable_that_makes_no_sense(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWENCHAT_TEMPERATURE", "hot")
    checked = run("check")
    assert checked.exit_code == 1
    assert "hot" in checked.stderr


@pytest.mark.parametrize(
    "text",
    [
        "[tools]\non = [{}]".format(", ".join(f'"t{number}"' for number in range(3000))),
        "[tools]\nfolders = [{}]".format(", ".join(f'"~nobody{number}/x"' for number in range(3000))),
        "\n".join(f'[mcp.s{number}]\ncommand = "no-such-{number}"' for number in range(3000)),
        "\n".join(f'[servers.s{number}]\naddress = "ftp://x"' for number in range(3000)),
        "\n".join(f"k{number} = 1" for number in range(3000)),
        "[keys]\n" + "\n".join(f'"chat.k{number}" = "f9"' for number in range(3000)),
    ],
    ids=["tools", "folders", "mcp", "servers", "settings", "keys"],
)
def test_of_very_many_problems_the_first_are_said_and_the_others_counted(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    said = run("check").stderr.splitlines()
    assert len(said) <= 22
    assert any("2,980 other problems" in line for line in said)
