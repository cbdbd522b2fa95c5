"""`qwenchat completion install` puts the script where the shell looks, and can be said again without harm."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qwenchat.cli.main import cli
from qwenchat.system import shell_completion


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR", "BASH_COMPLETION_USER_DIR"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "a home with 'quotes'"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(shell_completion, "BASH_COMPLETION", ())
    return home


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["completion", *words])


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("shell", "script", "startup"),
    [
        ("bash", ".local/share/bash-completion/completions/qwenchat", ".bashrc"),
        ("zsh", ".local/share/zsh/site-functions/_qwenchat", ".zshrc"),
        ("fish", ".config/fish/completions/qwenchat.fish", None),
    ],
)
def test_each_shell_gets_its_script_at_its_place_once(
    home: Path, shell: str, script: str, startup: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", f"/somewhere/bin/{shell}")
    if startup:
        (home / startup).write_bytes(b"alias caf\xe9=ls")
    said = run("install")
    assert said.exit_code == 0, said.output
    there = files(home)
    assert {*there} == {script, startup} - {None}
    assert there[script].decode() == run(shell).stdout
    assert str(home / script) in said.stdout
    if startup:
        own, line, *rest = there[startup].splitlines()
        assert own == b"alias caf\xe9=ls"
        assert line.endswith(b"# qwenchat completion")
        assert not rest
        assert str(home / startup) in said.stdout
    assert "It was there already." in run("install", shell).stdout
    assert files(home) == there


def test_the_variables_of_the_shells_move_the_places(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.setenv(name, str(home / name))
    monkeypatch.setenv("BASH_COMPLETION_USER_DIR", f"{home}/own:/elsewhere")
    for shell in shell_completion.SHELLS:
        assert run("install", shell).exit_code == 0
    assert {*files(home)} == {
        "own/completions/qwenchat", ".bashrc", "XDG_DATA_HOME/zsh/site-functions/_qwenchat", "ZDOTDIR/.zshrc",
        "XDG_CONFIG_HOME/fish/completions/qwenchat.fish",
    }  # fmt: skip
    monkeypatch.setenv("XDG_CONFIG_HOME", "not/a/full/path")
    run("install", "fish")
    assert (home / ".config/fish/completions/qwenchat.fish").exists()


def test_where_bash_finds_scripts_itself_its_startup_file_is_left_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_completion, "BASH_COMPLETION", (home / "absent", home))
    assert run("install", "bash").exit_code == 0
    assert {*files(home)} == {".local/share/bash-completion/completions/qwenchat"}


def test_an_old_script_is_replaced_and_a_file_of_the_users_own_is_not(home: Path) -> None:
    script = home / ".config/fish/completions/qwenchat.fish"
    script.parent.mkdir(parents=True)
    script.write_text("# what an earlier release wrote: _QWENCHAT_COMPLETE\n")
    assert run("install", "fish").exit_code == 0
    assert "complete --no-files" in script.read_text()
    script.write_text("# mine\n")
    refused = run("install", "fish")
    assert refused.exit_code != 0
    assert isinstance(refused.exception, OSError)
    assert refused.exception.filename == str(script)
    assert script.read_text() == "# mine\n"


def test_a_shell_that_is_not_known_is_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for shell in ("/bin/tcsh", ""):
        monkeypatch.setenv("SHELL", shell)
        refused = run("install")
        assert refused.exit_code == 2
        assert "qwenchat completion install bash" in refused.stderr
    assert "qwenchat completion install zsh" in run("bash", "zsh").stderr
    assert "Did you mean fish?" in run("install", "fihs").stderr
    assert files(home) == {}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_reads_what_was_installed(home: Path) -> None:
    assert run("install", "bash").exit_code == 0
    shell = ["bash", "--norc", "-c", '. "$HOME/.bashrc" && complete -p qwenchat']
    ran = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=True)
    assert "_qwenchat_completion qwenchat" in ran.stdout
    assert ran.stderr == ""
