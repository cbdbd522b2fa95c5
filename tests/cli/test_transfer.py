"""`qwenchat export` and `qwenchat import`, as they are typed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qwenchat.chat.messages import Message, ReasoningPart, Role, TextPart
from qwenchat.cli.main import cli
from qwenchat.library.conversation import Conversation
from qwenchat.library.library import Library
from qwenchat.system.paths import Paths
from tests.support.unprivileged import unprivileged

CHATGPT = Path(__file__).parents[1] / "data" / "chatgpt" / "conversations.json"
ESCAPE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("QWENCHAT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def qwenchat(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin)


def store(*ids: str, text: str = "hello", title: str = "Greeting", **more: bool) -> None:
    library = Library.open(Paths.of_user().database)
    for id_ in ids:
        asked = Message(Role.USER, (TextPart(text),), created=1.7e9)
        replied = Message(Role.ASSISTANT, (ReasoningPart("hm"), TextPart("hi")), asked.id, created=1.7e9)
        messages = (asked, replied)
        library.import_conversation(Conversation(id_, title, 1.7e9, 1.7e9, messages, replied.id, "draft", **more))
    library.close()


def titles() -> list[str]:
    library = Library.open(Paths.of_user().database)
    rows = [*library.conversations(), *library.conversations(archived=True)]
    library.close()
    return [row.title for row in rows]


def test_a_whole_library_moves_to_another_home_and_back_byte_for_byte(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert qwenchat("import", str(CHATGPT)).exit_code == 0
    store("a" * 16, "b" * 16)
    assert qwenchat("export", "--all", "-o", "all.json").exit_code == 0
    monkeypatch.setenv("QWENCHAT_HOME", str(home.with_name("other")))
    imported = qwenchat("import", "all.json")
    assert (imported.exit_code, imported.stdout) == (0, "all.json: 4 imported\n")
    again = qwenchat("export", "--all", "--format", "json")
    assert again.stdout_bytes == Path("all.json").read_bytes()
    assert qwenchat("import", "all.json").stdout == "all.json: 4 already here\n"
    assert len(titles()) == 4


def test_what_is_written_follows_the_name_or_the_format_and_thoughts_can_be_left_out() -> None:
    store("a" * 16)
    assert qwenchat("export", "aaa").stdout.startswith("# Greeting\n")
    assert qwenchat("export", "aaa", "-o", "-").stdout == qwenchat("export", "aaa").stdout
    assert "hm" in qwenchat("export", "aaa").stdout
    assert "hm" not in qwenchat("export", "aaa", "--no-thoughts").stdout
    assert json.loads(qwenchat("export", "aaa", "--format", "jsonl").stdout)["messages"][1]["reasoning_content"] == "hm"
    qwenchat("export", "aaa", "-o", "a.jsonl")
    assert json.loads(Path("a.jsonl").read_text("utf-8"))["messages"][0] == {"role": "user", "content": "hello"}
    qwenchat("export", "aaa", "-o", "a.txt")
    assert Path("a.txt").read_text("utf-8").startswith("# Greeting")


def test_a_folder_gets_a_file_for_each_conversation_and_nothing_is_overwritten() -> None:
    store("a" * 16, "b" * 16, title="../Same / name")
    store("c" * 16, title="Other", archived=True)
    wrote = qwenchat("export", "--all", "-o", "out/")
    assert wrote.exit_code == 0
    names = sorted(path.name for path in Path("out").iterdir())
    assert names == ["other.md", f"same-name-{'a' * 16}.md", f"same-name-{'b' * 16}.md"]
    Path("out/other.md").write_text("mine")
    refused = qwenchat("export", "ccc", "-o", "out")
    assert refused.exit_code == 1
    assert "already" in refused.stderr
    assert Path("out/other.md").read_text() == "mine"
    assert qwenchat("export", "ccc", "-o", "out", "--force").exit_code == 0
    assert "hello" in Path("out/other.md").read_text()


@pytest.mark.parametrize(
    "arguments",
    [["export"], ["export", "--all", "a"], ["export", "a", "--format", "json", "--no-thoughts"], ["import"]],
)
def test_commands_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    store("a" * 16)
    assert qwenchat(*arguments).exit_code == 2


def test_a_conversation_that_cannot_be_read_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    store("a" * 16, "b" * 16)
    library = Library.open(Paths.of_user().database)
    library._connection.execute("update messages set parts = zeroblob(2000000) where conversation = ?", ("a" * 16,))
    library.close()
    monkeypatch.setattr("qwenchat.library.database._LONGEST", 1_000_000)
    result = qwenchat("export", "--all", "--format", "json")
    assert result.exit_code == 1
    assert [entry["id"] for entry in json.loads(result.stdout)["conversations"]] == ["b" * 16]
    assert "a" * 16 in result.stderr


def test_a_hostile_title_and_text_reach_the_terminal_and_the_file_system_harmless() -> None:
    store("a" * 16, text="\x1b[2J\x9b31m\u202e\x07", title="\x1b]0;gone\x07/../x\u202e")
    for format_ in ("md", "json", "jsonl"):
        assert not ESCAPE.search(qwenchat("export", "aaa", "--format", format_).stdout)
    assert not ESCAPE.search(qwenchat("export", "aaa", "-o", "out/").stderr)
    (path,) = Path("out").iterdir()
    assert not ESCAPE.search(path.name)


def test_import_says_what_is_wrong_by_position_and_takes_the_rest() -> None:
    right = {"messages": [{"role": "user", "content": "right"}]}
    half = {
        "title": "\x1b[31mhalf",
        "messages": [{"role": "user", "content": "a"}, {"role": "\x1b[2Jx", "content": "b"}],
    }
    Path("f.json").write_text(json.dumps([right, {"neither": 1}, half, 7]))
    result = qwenchat("import", "f.json", "missing.json")
    assert result.exit_code == 1
    assert result.stdout == "f.json: 2 imported, 2 not usable\nmissing.json: nothing imported\n"
    lines = result.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["f.json", "f.json", "f.json", "missing.json"]
    assert "conversation 2" in lines[0]
    assert "conversation 3, “half”, message 2" in lines[1]
    assert not ESCAPE.search(result.stderr.replace("\n", ""))
    assert sorted(titles()) == ["half", "right"]


def test_a_file_with_very_many_mistakes_names_some_and_counts_the_rest() -> None:
    result = qwenchat("import", "-", stdin=b"\n".join([b"{}"] * 200))
    assert result.stderr.count("\n") == 51
    assert "150 more" in result.stderr
    assert result.stdout == "standard input: 200 not usable\n"


def test_a_dry_run_makes_nothing(home: Path) -> None:
    result = qwenchat("import", "--dry-run", str(CHATGPT), str(CHATGPT))
    assert result.stdout.splitlines()[0].endswith("conversations.json: 2 would be imported")
    assert result.stdout.splitlines()[1].endswith("conversations.json: 2 already here")
    assert not home.exists()


def test_an_import_that_could_not_be_kept_is_refused(home: Path) -> None:
    (home / "data").mkdir(parents=True)
    (home / "data").chmod(0o555)
    command = [sys.executable, "-m", "qwenchat", "import", str(CHATGPT)]
    ran = subprocess.run(
        unprivileged(command), capture_output=True, check=False, timeout=60, cwd=Path(__file__).parents[2]
    )
    assert ran.returncode == 1
    assert b"cannot be" in ran.stderr
    assert b"imported" not in ran.stdout


def test_a_pipe_that_closes_early_is_a_good_end() -> None:
    store("a" * 16, text="long " * 100_000)
    shell = f"{sys.executable} -m qwenchat export --all | head -c 10"
    ran = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"# Greeting", b"")
