"""The README is short, and what it claims is what tests and benchmarks show."""

import re
import tomllib
from pathlib import Path

import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from qwenchat.chat.server_profile import Dialect
from qwenchat.engine.local.catalog import KNOWN
from qwenchat.engine.local.footprint import QUANTIZATIONS
from qwenchat.engine.remote.servers.registry import KINDS
from tests.support.pages import ROOT, names, page, rows, section

README = (ROOT / "README.md").read_text("utf-8")
LONGEST = 700
"""Words, as `wc -w` counts them, with the tables and the comments."""


def claims() -> dict[str, str]:
    """Each point of "Why" by its bold words."""
    points = re.findall(r"^- \*\*(.+?)\.\*\* (.+)$", section(README, "Why"), re.MULTILINE)
    assert len(points) == section(README, "Why").count("\n- ")
    return dict(points)


def test_it_can_be_read_in_a_minute() -> None:
    assert len(README.split()) <= LONGEST


def test_it_begins_with_what_the_package_says_of_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert README.startswith(f"# {project['name']}\n\n{project['description']}\n\n![")


def test_every_claim_names_tests_or_a_benchmark_that_are_there() -> None:
    assert 5 <= len(claims()) <= 7
    for point in claims().values():
        comment = re.search(r"<!-- (.+?) -->$", point)
        assert comment, point
        for place in comment[1].split():
            assert "def " in (ROOT / place).read_text("utf-8")
            assert place.startswith(("tests/", "benchmarks/"))
            assert place.startswith("benchmarks/") or "def test_" in (ROOT / place).read_text("utf-8")


def test_the_counts_of_what_is_lost_nowhere_are_those_of_the_tests() -> None:
    kills, damaged = (
        (ROOT / "tests/library" / name).read_text("utf-8") for name in ("test_kills.py", "test_damage.py")
    )
    many = re.search(r"kills\(folder, (\d+), 2\)", kills)
    each, times = re.search(r"damaged\(folder, (\d+), 100", damaged), re.search(r"range\((\d+)\)\)\ndef", damaged)
    assert many and each and times
    libraries = int(each[1]) * int(times[1])
    for text in (claims()["Nothing lost"], page("saved.md")):
        assert re.search(rf"kill the\sprogram {many[1]} times", text)
        assert f"damage {libraries:,} libraries" in text


def test_the_ratios_to_other_programs_are_those_of_the_measured_table() -> None:
    measured = {row[0]: [float(cell) if cell else None for cell in row[1:]] for row in rows(page("speed.md"))}
    ours, llama, openvino = (measured[name] for name in ("qwenchat int4", "llama.cpp Q4_K_M", "OpenVINO GenAI int4"))
    prefill, decode = 0, 3
    said = claims()["Its own CPU engine"]
    assert f"writes {ours[decode] / llama[decode]:.1f} times as fast as a prebuilt llama.cpp" in said
    assert f"and {ours[decode] / openvino[decode]:.1f} times as fast as OpenVINO" in said
    assert f"reads prompts at {ours[prefill] / openvino[prefill]:.2f} of OpenVINO's speed" in said


def test_the_kinds_of_server_are_those_that_are_described_and_known() -> None:
    described = [row[0].strip("`") for row in rows(section(page("servers.md"), "Starting one"))]
    (title,) = [title for title in claims() if title.endswith("kinds of server")]
    assert title == "One window for eight kinds of server"
    assert len(described) == len({*KINDS} - {Dialect.OPENAI}) == 8
    assert [name for name in described if name not in claims()[title]] == []


def test_both_commands_are_there_and_do_what_is_said() -> None:
    blocks = re.findall(r"```sh\n(.+?)\n```", README)
    assert blocks == ["make chat", "make test"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(f"\n{block.removeprefix('make ')}:" in makefile for block in blocks)


def test_what_the_first_start_fetches_is_the_size_of_the_model() -> None:
    (model,) = [model for model in KNOWN if model.name == "qwen3-0.6b"]
    assert f"fetches Qwen3-0.6B ({model.download_bytes(QUANTIZATIONS['bf16']) / 1e9:.1f} GB)" in README


@pytest.mark.parametrize("text", [section(README, "Six keys"), page("talking.md")], ids=["README", "talking"])
def test_every_key_is_one_of_the_reference(text: str) -> None:
    known = {key for row in rows(page("keys.md")) for key in re.split(r", ", row[0])}
    keys = [key for row in rows(text) for key in row[0].split(", ")]
    assert keys
    assert [key for key in keys if key not in known] == []


def test_the_table_of_others_is_dated_has_a_source_for_each_and_leaves_no_cell_empty() -> None:
    text = section(README, "Beside others")
    heading, _, *table = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    programs = [re.sub(r"[`\[]|\].*", "", cell).split()[0] for cell in heading[1:]]
    sources = re.findall(r"^([\w-]+): ", text.split("<!--")[1].split("-->")[0], re.MULTILINE)
    assert ["qwenchat", *sources] == programs
    assert re.search(r"\b20\d\d\b", text)
    assert all(len(row) == len(heading) and all(row) for row in table)
    assert {row[1] for row in table} == {"✓"}


def test_the_folders_are_where_the_program_keeps_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = str(Path.home())
    expected = []
    for folders in (Unix("qwenchat", appauthor=False), MacOS("qwenchat", appauthor=False)):
        places = (folders.user_data_dir, folders.user_config_dir, folders.user_cache_dir, folders.user_log_dir)
        expected.append([place.replace(home, "~") for place in places])
    described = rows(section(page("saved.md"), "Where it lies"))
    assert [names(row[1])[0] for row in described] == expected[0]
    assert [names(row[2])[0] for row in described] == expected[1]
    said = names(section(README, "Your data"))
    assert [place for place in expected[0] if not any(place.startswith(folder) for folder in said)] == []
