"""What may always run is bound to what it was said of; names cannot be taken, and bad folders cost themselves alone."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.tools import BUILT_IN, McpServer, ToolSettings
from qwenchat.engine.base import StopSignal
from qwenchat.settings import config
from qwenchat.tools.grants import Grants
from qwenchat.tools.naming import name_for, prefix_for
from qwenchat.tools.toolbox import Toolbox

NOTES = McpServer("notes", command="notes-server", args=("--dir", "~/notes"))
LIKE = ["a", "a_", "_a", "a__b", "b__ok", "ok", "", "-", "__", "calculator", "docs.getText", "docs_getText", "а", "A",
        "x" * 31, "x" * 32, "x" * 33, "x" * 64, "x" * 65, "a-01234567", "01234567", name_for("a", "é")[3:], "é", "工具",
        name_for("a", "a b")[3:], prefix_for("x" * 33)[:-2],
        "\x1b[2J", "a\n", "\ud800", "a b", "all"]  # fmt: skip


def test_no_two_tools_of_any_servers_have_the_same_name() -> None:
    pairs = list(itertools.product(LIKE, LIKE))
    names = {pair: name_for(*pair) for pair in pairs}
    assert len({*names.values()}) == len(pairs)
    for (server, _), name in names.items():
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)
        assert name not in BUILT_IN
        assert [other for other in LIKE if name.startswith(prefix_for(other))] == [server]


@given(*[st.text("ab_-.0é", max_size=6)] * 4)
def test_names_are_the_same_only_for_the_same_tool(server: str, tool: str, other: str, another: str) -> None:
    assert (name_for(server, tool) == name_for(other, another)) == ((server, tool) == (other, another))


def granted(name: str, server: McpServer) -> Grants:
    return Grants([Grants([], {server.name: server}).entry_for(name)], {server.name: server})


@pytest.mark.parametrize("name", ["notes", "notes__read"])
@pytest.mark.parametrize(
    "change",
    [
        {"command": "other"},
        {"args": ("--dir", "/")},
        {"env": {"LD_PRELOAD": "x"}},
        {"env_from": ("SECRET",)},
        {"cwd": "/tmp"},
        {"command": None, "url": "https://tools.example/mcp"},
    ],
    ids=["command", "arguments", "variable", "passed variable", "folder", "address"],
)
def test_always_ends_when_the_server_is_another(name: str, change: dict[str, Any]) -> None:
    entries = [Grants([], {"notes": NOTES}).entry_for(name)]
    assert Grants(entries, {"notes": NOTES}).covers("notes__read")
    assert not Grants(entries, {"notes": replace(NOTES, **change)}).covers("notes__read")
    assert not Grants(entries, {}).covers("notes__read")
    assert not Grants(entries, {"other": replace(NOTES, name="other")}).covers("other__read")


def test_always_of_one_tool_is_none_of_another() -> None:
    grants = granted("notes__read", NOTES)
    assert not grants.covers("notes__write")
    assert not grants.covers("notes")
    one, two = McpServer("a", command="x"), McpServer("a__b", command="x")
    both = {"a": one, "a__b": two}
    assert not Grants([Grants([], both).entry_for(name_for("a", "b__ok"))], both).covers(name_for("a__b", "ok"))
    assert not Grants(["a__b"], both).covers(name_for("a", "b")), "that is the name of a server"


def test_a_server_cannot_take_the_name_of_a_tool_of_this_program(tmp_path: Path) -> None:
    box = Toolbox(ToolSettings(always=("calculator",)), (McpServer("calculator", command="x"),))
    assert box.names == BUILT_IN
    assert not box.always("calculator__rm")
    file = tmp_path / "config.toml"
    file.write_text('[mcp.calculator]\ncommand = "x"\n[mcp.all]\ncommand = "x"\n', "utf-8")
    settings, problems = config.read(file)
    assert (settings.mcp, len(problems)) == ({}, 2)
    assert "A tool of qwenchat has that name" in problems[0]


def test_always_is_written_down_with_what_it_was_said_of(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    box = Toolbox(ToolSettings(), (NOTES,), file)
    box.allow_always("notes__read")
    box.allow_always("calculator")
    box.allow_always("notes__read")
    tools = config.read(file)[0].tools
    assert [entry.partition("@")[0] for entry in tools.always] == ["calculator", "notes__read"]
    assert tools.allowed == ("calculator", "notes__read")
    assert Toolbox(tools, (NOTES,)).always("notes__read")
    assert not Toolbox(tools, (replace(NOTES, command="other"),)).always("notes__read")
    assert Toolbox(ToolSettings(always=("notes",)), (NOTES,)).always("notes__read"), "by hand, whatever it is"


def test_always_that_cannot_be_written_counts_until_the_program_ends(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("no toml [", "utf-8")
    box = Toolbox(ToolSettings(), (NOTES,), file)
    with pytest.raises(ConfigInvalid, match=r"config\.toml"):
        box.allow_always("notes__read")
    assert box.always("notes__read")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("~nosuchuser/x", "there is no such user"),
        ("{here}/none", "No such file or directory"),
        ("{here}/file", "it is no folder"),
        ("{here}/loop", "Too many levels of symbolic links"),
        ("{here}/\0", "it has a character that no path has"),
        ("notes", "it is not a full path"),
        (".", "it is not a full path"),
        ("", "it is not a full path"),
        ("{here}/" + "x" * 300, "File name too long"),
    ],
)
def test_a_bad_folder_is_said_and_costs_itself_alone(entry: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "a.txt").write_text("hello", "utf-8")
    (tmp_path / "file").write_text("x", "utf-8")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    bad = entry.replace("{here}", str(tmp_path))
    box = Toolbox(ToolSettings(folders=(bad, str(tmp_path / "good"))))
    listed = box.listing(("read_file", "calculator"))
    assert [tool.name for tool in listed.tools] == ["read_file", "calculator"]
    (problem,) = listed.problems
    assert why in problem
    assert "\0" not in problem
    read = box._builtins["read_file"]
    assert "hello" in read.run({"path": "a.txt"}, StopSignal())
    assert box.listing(("calculator",)).problems == (), "said where it matters"


def test_getting_ready_ends_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    box, found = Toolbox(ToolSettings()), list[Any]()
    monkeypatch.setattr(box, "listing", lambda names: 1 / 0)
    box.prepare(3, ("calculator",), found.append)
    while not found:
        pass
    assert (found[0].number, found[0].tools) == (3, ())
    assert "ZeroDivisionError" in found[0].problems[0]
