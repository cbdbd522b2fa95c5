"""What is installed is tested, not only what is checked out."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def quiet(command: list[str], **options: object) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)  # type: ignore[call-overload]
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return str(ran.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    quiet([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)])
    (built,) = out.glob("*.whl")
    return built


def test_everything_the_program_reads_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for file in (*ROOT.glob("qwenchat/**/*"), *ROOT.glob("themes/*")):
        if file.suffix in (".py", ".tcss", ".toml") or file.name == "py.typed":
            place = file.relative_to(ROOT)
            expected = place if place.parts[0] == "qwenchat" else "qwenchat" / place
            assert expected.as_posix() in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "benchmarks/", "docs/")) for name in names)


def test_the_installed_program_runs_and_finds_its_themes(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    quiet([*install, str(wheel)])
    environment = os.environ | {"PYTHONPATH": str(target), "QWENCHAT_HOME": str(tmp_path / "home")}
    script = [sys.executable, str(target / "bin" / "qwenchat"), "--version"]
    assert quiet(script, env=environment, cwd=tmp_path).startswith("qwenchat, version ")
    show = "print(p.__file__); print(*sorted(f.name for f in p.shipped_themes().iterdir()))"
    code = f"import qwenchat.system.paths as p; {show}"
    place, themes = quiet([sys.executable, "-c", code], env=environment, cwd=tmp_path).splitlines()
    assert Path(place).is_relative_to(target)
    assert {"qwenchat-dark.toml", "qwenchat-light.toml"} <= set(themes.split())
