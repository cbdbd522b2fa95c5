import math
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import Sampling, SamplingOverrides
from qwenchat.chat.tools import McpServer, ToolSettings
from qwenchat.cli.main import cli
from qwenchat.settings.config import read
from qwenchat.settings.config_file import write
from qwenchat.settings.settings import Device, Quantization, Settings
from tests.support.examples import examples


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "config.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_no_file_and_an_empty_file_are_the_defaults(tmp_path: Path) -> None:
    assert read(tmp_path / "config.toml") == (Settings(), ())
    assert read(written(tmp_path, b"")) == (Settings(), ())


def test_every_setting_can_be_set(tmp_path: Path) -> None:
    text = """
model = "qwen3-4b"
device = "cpu"
quantization = "float32"
context = 4096
system = "Be brief."
think = false
thinking_budget = 500
theme = "mine"
[sampling]
temperature = 1
top_p = 0.5
seed = 7
"""
    expected = Settings(
        "qwen3-4b", "cpu", "float32", 4096, "Be brief.", False, 500, theme="mine",
        sampling=SamplingOverrides(temperature=1.0, top_p=0.5, seed=7),
    )  # fmt: skip
    assert read(written(tmp_path, text)) == (expected, ())


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("model = 3", "model"),
        ('think = "yes"', "think"),
        ('device = "tpu"', "device"),
        ("context = 5", "context"),
        ("context = 2.5", "context"),
        ("thinking = true", "thinking"),
        ("theme = [1]", "theme"),
        ("sampling = 3", "sampling"),
        ("[sampling]\ntemperature = 99", "sampling.temperature"),
        ("[sampling]\ntemperature = nan", "sampling.temperature"),
        ("[sampling]\ntop_p = -1", "sampling.top_p"),
        ("[sampling]\nseed = 1000000000000000000000000", "sampling.seed"),
        ("[sampling]\nheat = 1", "sampling.heat"),
    ],
)
def test_a_wrong_key_has_its_default_the_others_count_and_the_message_names_file_and_key(
    tmp_path: Path, line: str, key: str
) -> None:
    lines = f"[sampling]\ntop_k = 5\n{line.removeprefix('[sampling]')}" if "[sampling]" in line else line
    file = written(tmp_path, f'system = "s"\n{lines}\n')
    found, (problem,) = read(file)
    assert found == Settings(system="s", sampling=SamplingOverrides(top_k=5 if "[sampling]" in line else None))
    assert str(file) in problem
    assert re.search(rf"(?<![\w.]){re.escape(key)}\b", problem)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"model = ", b"[" * 10_000, b"a = 1\na = 2", b"\0"])
def test_what_is_no_toml_gives_the_defaults_and_names_the_file(tmp_path: Path, data: bytes) -> None:
    file = written(tmp_path, data)
    found, (problem,) = read(file)
    assert found == Settings()
    assert str(file) in problem


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    found, (problem,) = read(tmp_path)
    assert found == Settings()
    assert str(tmp_path) in problem


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(200))
@given(
    st.one_of(st.binary(max_size=80), st.text(alphabet='[]{}"=.#\n -01nafieptrusmodlkc', max_size=80).map(str.encode))
)
def test_no_file_whatever_keeps_the_program_from_starting(tmp_path: Path, data: bytes) -> None:
    found, problems = read(written(tmp_path, data))
    found.sampling.applied(thinking=True)
    assert all(str(tmp_path) in problem for problem in problems)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(200))
@given(
    st.dictionaries(
        st.sampled_from(["model", "device", "context", "think", "theme", "sampling", "system", "temperature", "x-y"]),
        st.one_of(
            st.integers(), st.booleans(), st.floats(), st.just("[]"), st.just("{temperature = -5}"),
            st.just("{top_k = true}"), st.just('"text"'), st.just("2020-01-01"),
        ).map(lambda value: str(value).lower()),
    )
)  # fmt: skip
def test_any_value_of_any_type_leaves_settings_that_can_be_used(tmp_path: Path, table: dict[str, str]) -> None:
    found, _ = read(written(tmp_path, "\n".join(f"{name} = {value}" for name, value in table.items())))
    found.sampling.applied(thinking=True)
    assert found.device in get_args(Device)
    assert found.context is None or found.context >= 256


def test_the_command_line_offers_what_the_file_allows() -> None:
    choices = {parameter.name: getattr(parameter.type, "choices", None) for parameter in cli.params}
    assert set(choices["device"] or ()) == set(get_args(Device))
    assert set(choices["quantization"] or ()) == set(get_args(Quantization))


@pytest.mark.parametrize("value", [10**400, 10**4200, math.inf, math.nan, -1])
def test_a_number_out_of_range_is_refused_however_large(value: float) -> None:
    with pytest.raises(ConfigInvalid, match="must lie between 0 and 10"):
        Sampling(temperature=value)


class TestWriting:
    def test_what_is_set_is_read_again_and_the_rest_stays(self, tmp_path: Path) -> None:
        text = "# mine\nthink = true  # yes\n\n[sampling]\n# warm\ntemperature = 0.9\ntop_k = 3\n"
        file = written(tmp_path, text)
        write(file, {"think": False, "sampling.temperature": 0.5, "sampling.top_k": None, "sampling.seed": 7})
        assert file.read_text() == ("# mine\nthink = false  # yes\n\n[sampling]\n# warm\ntemperature = 0.5\nseed = 7\n")
        assert {path for path in tmp_path.iterdir() if not path.name.endswith(".lock")} == {file}

    @pytest.mark.parametrize(
        "text", ["", "[sampling]\ntop_p = 1.0\n", "sampling.top_p = 1.0\n", "sampling = {top_p = 1.0}"]
    )
    def test_a_key_that_is_new_counts_in_every_kind_of_file(self, tmp_path: Path, text: str) -> None:
        file = written(tmp_path, text)
        before = read(file)[0]
        write(file, {"system": 'a "b"\nc', "sampling.top_k": 3})
        found, problems = read(file)
        assert problems == ()
        assert found == replace(before, system='a "b"\nc', sampling=replace(before.sampling, top_k=3))

    def test_without_a_file_one_is_made_with_its_folder(self, tmp_path: Path) -> None:
        write(tmp_path / "a" / "config.toml", {"seed": None, "think": False})
        assert (tmp_path / "a" / "config.toml").read_text() == "think = false\n"

    def test_a_link_stays_one(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        target = written(tmp_path / "real", "think = true\n")
        link = tmp_path / "config.toml"
        link.symlink_to(target)
        write(link, {"think": False})
        assert link.is_symlink()
        assert target.read_text() == "think = false\n"

    @pytest.mark.parametrize("text", ["think = ", "sampling = 3", "\x00"])
    def test_a_file_that_cannot_be_changed_stays_as_it_was(self, tmp_path: Path, text: str) -> None:
        file = written(tmp_path, text)
        with pytest.raises(ConfigInvalid, match=re.escape(str(file))):
            write(file, {"sampling.top_k": 3})
        assert file.read_text() == text
        assert {path for path in tmp_path.iterdir() if not path.name.endswith(".lock")} == {file}


def test_tools_and_their_servers_can_be_set(tmp_path: Path) -> None:
    text = """
[tools]
on = ["read_file"]
always = ["calculator"]
folders = ["~/notes"]
private_addresses = true
[mcp.time]
command = "uvx"
args = ["mcp-server-time"]
env = { TZ = "UTC" }
env_from = ["TOKEN"]
[mcp.far]
url = "https://tools.example/mcp"
key_env = "FAR_KEY"
"""
    found, problems = read(written(tmp_path, text))
    assert problems == ()
    assert found.tools == ToolSettings(("read_file",), ("calculator",), ("~/notes",), True)
    assert found.tools.allowed == ("read_file", "calculator")
    assert found.mcp["time"] == McpServer("time", "uvx", ("mcp-server-time",), {"TZ": "UTC"}, ("TOKEN",))
    assert found.mcp["far"] == McpServer("far", url="https://tools.example/mcp", key_env="FAR_KEY")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[tools]\nalways = "all"', "line 2: tools.always cannot be used: it should be a list and is text in quotes"),
        ("[tools]\nsometimes = 1", "line 2: there is no setting tools.sometimes"),
        ("tools = 3", "tools cannot be used"),
        ("[mcp.time]", "line 1: mcp.time cannot be used: It has to have a command or a url"),
        ('[mcp.time]\ncommand = "a"\nurl = "b"', "mcp.time cannot be used: It has to have a command or a url"),
        ('[mcp.time]\ncommand = "a"\nsecret = "b"', "line 3: there is no setting mcp.time.secret"),
        ("mcp = 3", "mcp cannot be used"),
        ('[mcp.a__b]\ncommand = "a"', "mcp.a__b cannot be used: The name may have letters, digits, - and single _"),
        ('[mcp."a b"]\ncommand = "a"', "cannot be used: The name may have letters"),
    ],
)
def test_what_is_wrong_with_tools_is_said(tmp_path: Path, text: str, problem: str) -> None:
    found, problems = read(written(tmp_path, text))
    assert problem in problems[0]
    assert found.tools == ToolSettings()


def test_a_number_that_python_refuses_to_read_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("context = " + "9" * 10_000)
    _, (problem,) = read(tmp_path / "config.toml")
    assert "too many digits" in problem
    assert "sys." not in problem
