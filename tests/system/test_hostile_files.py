"""Files and variables of the user's that are not what they should be: a sentence, never a traceback or a hang."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.server_profile import Server
from qwenchat.cli.process import system_error_text
from qwenchat.console.editor import EditorFailed, command, edited
from qwenchat.engine.remote.key import key_of
from qwenchat.session import attachments
from qwenchat.settings import config, config_file, presets
from qwenchat.system.paths import Paths
from qwenchat.system.regular_file import expanded, read_regular
from qwenchat.tui.base.themes import read_themes

BOM = b"\xef\xbb\xbf"


def placed(folder: Path, kind: str) -> Path:
    """Something in `folder` that is no plain file."""
    file = folder / "odd.toml"
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "device":
            file.symlink_to("/dev/zero")
        case "loop":
            file.symlink_to(file)
        case "huge":
            with file.open("wb") as out:
                out.truncate(10**10)
    return file


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop", "huge", "missing"])
def test_what_is_no_plain_file_is_refused_at_once_wherever_a_file_is_named(tmp_path: Path, kind: str) -> None:
    file = placed(tmp_path, kind)
    with pytest.raises(OSError):
        read_regular(file, 1_000)
    if kind != "missing":
        settings, problems = config.read(file)
        assert settings == config.Settings() and len(problems) == 1
        with pytest.raises(ConfigInvalid):
            config_file.write(file, {"think": False})
        assert "odd.toml" in presets.read(tmp_path)[1][0]
        assert any("odd.toml" in problem for problem in read_themes((tmp_path,))[1])
    if kind != "huge":
        with pytest.raises(ConfigInvalid):
            key_of(Server("http://a", key_file=str(file)))
    config.language(file, {})
    config.refused_in(file)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_text("secret")
    file.chmod(mode)
    with pytest.raises(ConfigInvalid, match="Others can read the key"):
        key_of(Server("http://a", key_file=str(file)))


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"a b", b"\xff\xfe", b"two\nlines", b"nul\0", b"x" * 20_000, "ключ".encode()]
)
def test_a_file_that_holds_no_key_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigInvalid) as caught:
        key_of(Server("http://a", key_file=str(file)))
    assert "lines" not in str(caught.value)
    file.write_bytes(BOM + b"sk-123\r\n")
    assert key_of(Server("http://a", key_file=str(file))) == "sk-123"


def test_a_config_with_a_byte_order_mark_is_read_and_stays_readable(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(BOM + b'think = false\r\n# mine\r\ntheme = "paper"\r\n')
    assert (config.read(file)[0].think, config.read(file)[1]) == (False, ())
    config_file.write(file, {"think": True})
    assert (config.read(file)[0].think, b"# mine\r\n" in file.read_bytes()) == (True, True)
    (tmp_path / "mine.toml").write_bytes(BOM + b'system = "Be brief."\n')
    assert presets.read_file(tmp_path / "mine.toml").system == "Be brief."


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"key{number} = {number}\n" for number in range(50_000)),
        "[keys]\n" + "".join(f'"action{number}" = "f1"\n' for number in range(50_000)),
        "".join(f'[servers.s{number}]\naddress = "http://a"\nodd = 1\n' for number in range(20_000)),
        "[sampling]\n" + "".join(f"key{number} = {number}\n" for number in range(50_000)),
        "a" + ".a" * 200_000 + " = 1\n",
        "[a" + ".a" * 200_000 + "]\n",
        "x = {a" + ".a" * 200_000 + " = 1}\n",
        "[" * 100_000,
        "a = " + "[" * 100_000,
        'system = """\n' + "a.a" * 300_000 + '\n"""\n',
        'system = """\n[' + " " * 500_000 + '\n"""\n',
        "# " + "x" * 3_000_000 + "\n",
        "k" * 3_000_000 + " = 1\n",
    ],
    ids=range(13),
)
def test_a_huge_or_deep_config_is_read_in_time_and_said_in_few_words(tmp_path: Path, text: str) -> None:
    for name in ("config.toml", "theme.toml"):
        (tmp_path / name).write_text(text)
    began = time.process_time()
    _, problems = config.read(tmp_path / "config.toml")
    config.refused_in(tmp_path / "config.toml")
    presets.read(tmp_path)
    read_themes((tmp_path,))
    assert time.process_time() - began < 10  # it took minutes
    assert len(problems) <= config.MOST_SAID + 1
    assert all(len(problem) < 1_000 for problem in problems)


@pytest.mark.parametrize(
    ("home", "said"),
    [
        ("~nosuchuser/x", "there is no such user"),
        ("/dev/null", "it is no folder"),
        ("FILE", "it is no folder"),
        ("$HOME/x", "the shell put nothing"),
        ("${HOME}", "the shell put nothing"),
        ("/" + "x" * 5_000, "File name too long"),
    ],
)
def test_a_home_that_is_none_is_named_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, said: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "file") if home == "FILE" else home)
    with pytest.raises(OSError) as caught:
        Paths.of_user()
    assert said in system_error_text(caught.value)
    assert system_error_text(caught.value).startswith("QWENCHAT_HOME=")


def test_a_relative_home_counts_from_here_and_an_empty_one_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QWENCHAT_HOME", "here")
    assert Paths.of_user().data == tmp_path / "here" / "data"
    monkeypatch.setenv("QWENCHAT_HOME", " ")
    assert Paths.of_user().data.is_absolute()
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # neither HOME nor an entry of the user
    with pytest.raises(OSError, match="nothing says where your home folder is"):
        Paths.of_user()


def test_a_home_of_nobody_stays_as_it_is_written() -> None:
    assert expanded("~nosuchuser/x") == Path("~nosuchuser/x")
    assert attachments.read("@~nosuchuser/x") is None
    assert attachments.begun("@~nosuchuser/x") == []


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("", "No editor is set."),
        ("   ", "No editor is set."),
        ('vim "', "The editor cannot be read"),
        ("vim 'a", "The editor cannot be read"),
        ("vim \\", "The editor cannot be read"),
        ("no-such-editor -w", "There is no editor no-such-editor."),
        ("/dev/null", "There is no editor /dev/null."),
        ("/tmp", "There is no editor /tmp."),
        ('""', 'There is no editor ""'),
        ("# comment", "There is no editor #."),
    ],
)
def test_an_editor_that_is_none_is_said_with_its_variable(editor: str, said: str) -> None:
    with pytest.raises(EditorFailed) as caught:
        command({"EDITOR": editor})
    assert said in str(caught.value)
    assert "EDITOR" in str(caught.value)


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ('printf "better\\n" > "$1"', "better"),
        ('printf "a\\377b\\000" > "$1"', "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
        (': > "$1"', ""),
        ('rm "$1"', EditorFailed),
        ('rm "$1"; mkdir "$1"', EditorFailed),
        ('rm "$1"; mkfifo "$1"', EditorFailed),
        ('rm "$1"; ln -s /dev/zero "$1"', EditorFailed),
        ('rm -r "$(dirname "$1")"', EditorFailed),
        ("exit 3", EditorFailed),
        ("kill -9 $$", EditorFailed),
    ],
)
def test_an_editor_may_leave_anything(tmp_path: Path, script: str, result: str | type[Exception]) -> None:
    file = tmp_path / "my editor"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o700)

    def run(words: list[str]) -> int:
        return subprocess.run(words, check=False).returncode

    if isinstance(result, str):
        assert edited("draft", run, {"VISUAL": f"'{file}'"}) == result
    else:
        with pytest.raises(result, match="Nothing was changed"):
            edited("draft", run, {"EDITOR": f"'{file}'"})
