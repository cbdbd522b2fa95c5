import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "tokenizers", "huggingface_hub")
SEE = """
import sys
before = set(sys.modules)
{what}
print(" ".join(name for name in {names!r} if name in sys.modules))
"""
HELP = """
import click
from qwenchat.cli.main import cli
try:
    cli.main(["--help"], prog_name="qwenchat", standalone_mode=False)
except SystemExit:
    pass
"""


def loaded(what: str, *names: str) -> str:
    """Which of `names` are imported once `what` has run in a fresh interpreter."""
    code = SEE.format(what=what, names=names)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return ran.stdout.splitlines()[-1]


def test_help_loads_neither_the_engine_nor_the_interface() -> None:
    assert loaded(HELP, *HEAVY, "textual", "rich", "msgspec", "sqlite3") == ""


@pytest.mark.parametrize("module", ["qwenchat.engine.local.offers", "qwenchat.tui.models.screen"])
def test_what_lists_the_models_waits_for_no_torch(module: str) -> None:
    assert loaded(f"import {module}", "torch", "transformers") == ""


@pytest.mark.parametrize(
    "module", ["qwenchat.tui.app", "qwenchat.plain", "qwenchat.console.ask", "qwenchat.reports.doctor"]
)
def test_what_is_shown_first_waits_for_no_torch(module: str) -> None:
    assert loaded(f"import {module}", *HEAVY) == ""


def test_the_first_frame_waits_for_nothing_that_is_seldom_wanted() -> None:
    assert loaded("import qwenchat.tui.app", "qwenchat.library.exchange", "qwenchat.replay.rerun") == ""


def test_the_engine_itself_waits_for_no_torch() -> None:
    assert loaded("import qwenchat.engine.local.engine", "torch", "transformers", "accelerate") == ""


def test_what_computes_with_torch_loads_no_compiler_of_it() -> None:
    assert loaded("import qwenchat.engine.local.torch_loader", "torch._dynamo", "torch") == "torch"


def test_the_look_at_loaded_modules_would_see_one() -> None:
    assert loaded("import msgspec", "msgspec", "torch") == "msgspec"


def test_importing_makes_no_files(tmp_path: str) -> None:
    modules = "qwenchat.cli.main, qwenchat.session.session, qwenchat.library.library, qwenchat.tui.app"
    code = f"import {modules}, os; print(os.listdir())"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"QWENCHAT_HOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ran.stdout.strip() == "[]"


def test_an_import_below_the_top_of_a_file_has_its_reason_beside_it() -> None:
    root = Path(__file__).parents[2]
    waived = [
        (file.name, line)
        for file in (root / "qwenchat").rglob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if "PLC0415" in line
    ]
    assert waived
    assert [where for where in waived if not re.search(r"# noqa: [A-Z0-9, ]*PLC0415  \(\S.+\)$", where[1])] == []
    ignores = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]["per-file-ignores"]
    assert [file for file, rules in ignores.items() if "PLC0415" in rules and file.startswith("qwenchat/")] == []


def test_what_reads_the_settings_does_not_load_what_writes_them() -> None:
    assert loaded("import qwenchat.settings.config, qwenchat.settings.presets", "tomlkit", "textual") == ""
