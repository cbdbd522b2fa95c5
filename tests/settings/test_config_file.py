"""Settings are written without losing what the user wrote."""

import stat
import threading
from pathlib import Path

import pytest

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.settings.config import read
from qwenchat.settings.config_file import create, template, write
from qwenchat.settings.parameters import PARAMETERS
from qwenchat.settings.settings import Settings

MINE = """# mine
theme = "qwenchat-light"  # for the day

[sampling]
# careful
top_p = 0.9
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "config.toml"
    path.parent.mkdir()
    path.write_text(MINE)
    path.chmod(0o640)
    return path


def test_comments_order_and_mode_stay(file: Path) -> None:
    write(file, {"theme": "nord", "sampling.temperature": 0.5, "think": False})
    text = file.read_text()
    assert text.startswith('# mine\ntheme = "nord"  # for the day\n')
    assert "# careful\ntop_p = 0.9\n" in text
    assert read(file)[0].sampling.temperature == 0.5
    assert read(file)[0].think is False
    assert read(file)[1] == ()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    write(file, {"theme": None, "sampling.temperature": None, "think": None})
    assert read(file)[0].theme == Settings().theme
    assert "# careful" in file.read_text()


def test_a_new_file_is_the_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.toml"
    write(file, {"sampling.seed": 7})
    assert read(file)[0].sampling.seed == 7
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert create(tmp_path / "other.toml")
    assert stat.S_IMODE((tmp_path / "other.toml").stat().st_mode) == 0o600
    assert not create(tmp_path / "other.toml")


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    write(link, {"think": False})
    assert link.is_symlink()
    assert read(file)[0].think is False


@pytest.mark.parametrize(
    "changes", [{"sampling.top_p": 2}, {"nonsense": 1}, {"context": 5}, {"device": "tpu"}, {"sampling": 3}]
)
def test_what_cannot_be_used_is_not_written(file: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigInvalid):
        write(file, {"theme": "nord", **changes})
    assert file.read_text() == MINE


@pytest.mark.parametrize("text", ["theme = ", "sampling = 3", "a = 1\na = 2"])
def test_a_file_that_is_broken_is_left_as_it_is(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigInvalid):
        write(file, {"sampling.seed": 1})
    assert file.read_text() == text


def test_two_at_once_lose_nothing(file: Path) -> None:
    names = ["top_k", "max_tokens", "seed"]

    def many(name: str) -> None:
        for value in range(1, 15):
            write(file, {f"sampling.{name}": value})

    threads = [threading.Thread(target=many, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sampling = read(file)[0].sampling
    assert [getattr(sampling, name) for name in names] == [14, 14, 14]


def test_nothing_is_left_beside_a_file_that_cannot_be_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigInvalid, match="No space"):
        write(file, {"think": False})
    assert file.read_text() == MINE
    assert {path.name for path in file.parent.iterdir()} <= {"config.toml", ".config.toml.lock"}


def test_the_commented_file_sets_nothing_and_each_of_its_lines_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(template())
    assert read(file) == (Settings(), ())
    used = "\n".join(
        line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in template().splitlines()
    )
    file.write_text(used)
    settings, problems = read(file)
    assert problems == ()
    assert settings.servers["box"].key_env == "BOX_KEY"
    assert settings.sampling.top_p == 0.95


def test_the_schema_has_every_setting_once() -> None:
    keys = [setting.key for setting in PARAMETERS]
    names = [name for name in Settings.__slots__ if name not in ("sampling", "keys", "servers", "tools", "mcp")]
    sampling = [f"sampling.{name}" for name in type(Settings().sampling).__slots__]
    assert sorted(keys) == sorted([*names, *sampling])
    assert all(setting.about for setting in PARAMETERS)


def test_a_problem_names_its_line(file: Path) -> None:
    file.write_text('# mine\n\nthink = "yes"\n[sampling]\n\ntop_p = 3\n[servers.box]\nkey = "sk-1"\n')
    settings, problems = read(file)
    assert [problem.split(": ")[0].rpartition(", ")[2] for problem in problems] == ["line 3", "line 6", "line 7"]
    assert "sk-1" not in " ".join(problems)
    assert settings.servers == {}


def test_a_server_can_be_said_to_have_a_switch_of_thinking(file: Path) -> None:
    file.write_text(
        '[servers.box]\naddress = "box"\nthinking = "switched"\ncontext = 4096\ndialect = "mlx-lm"\n'
        '[servers.far]\naddress = "far"\nthinking = "often"\n'
        '[servers.odd]\naddress = "odd"\ndialect = "vlm"\n'
    )
    settings, (problem, another) = read(file)
    box = settings.servers["box"]
    assert (box.thinking, box.context, box.dialect) == ("switched", 4096, "mlx-lm")
    assert "servers.far cannot be used: thinking: it should be one of none, switched, always." in problem
    assert "servers.odd cannot be used: dialect: it should be one of auto, ollama, " in another


def test_an_action_gets_its_keys(file: Path) -> None:
    write(file, {"keys.chat.search": "ctrl+l"})
    assert read(file)[0].keys == {"chat.search": "ctrl+l"}
    write(file, {"keys.chat.search": None})
    assert read(file)[0].keys == {}
