"""What is installed is tested, not only what is checked out.

`make dist` has the files that it built tested by this, in the folder that the variable DIST names.
"""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def quiet(command: list[str], **options: object) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)  # type: ignore[call-overload]
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return str(ran.stdout)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    if built := os.environ.get("DIST"):
        return ROOT / built
    out = tmp_path_factory.mktemp("dist")
    quiet([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)])
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (built,) = dist.glob("*.whl")
    return built


def sources(*folders: str) -> set[str]:
    """What a checkout has below these folders, without what Python makes of it."""
    files = [file for folder in folders for file in ROOT.glob(f"{folder}/**/*") if file.is_file()]
    return {file.relative_to(ROOT).as_posix() for file in files if "__pycache__" not in file.parts}


def test_the_wheel_has_everything_the_program_reads_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = sources("qwenchat") | {f"qwenchat/{name}" for name in sources("themes")}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert {"qwenchat/i18n/catalogue.toml", "qwenchat/themes/qwenchat-dark.toml", "qwenchat/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_has_what_building_testing_and_reading_take(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert sources("qwenchat", "themes", "tests", "docs", "benchmarks") <= names
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "Dockerfile",
        "constraints.txt",
        "pyproject.toml",
    ):
        assert name in names


def test_the_package_says_what_it_is_and_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [name for name in opened.namelist() if name.endswith("METADATA")]
        said = message_from_bytes(opened.read(name))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (said["Name"], said["Version"], said["Summary"]) == (
        project["name"], project["version"], project["description"],
    )  # fmt: skip
    assert said["Description-Content-Type"] == "text/markdown"
    needs = [need for need in said.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert len(needs) == len(project["dependencies"])
    fetched_with = "pip"  # the embedded model is, also where the environment was made without it, as uv does
    assert any(re.fullmatch(rf"{fetched_with}\b.*", need) for need in needs)


def test_the_image_runs_as_a_user_of_its_own_with_its_data_in_a_volume() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    steps = [(line.split()[0], line.split()[1:]) for line in text.splitlines() if line and not line.startswith("#")]
    last = steps[[name for name, _ in steps].index("FROM", 1) :]
    assert all(words[0].startswith("python:3") and "-slim" in words[0] for name, words in steps if name == "FROM")
    (user,) = [words[0] for name, words in last if name == "USER"]
    assert user not in ("root", "0")
    assert ("VOLUME", ["/data"]) in last
    assert any("QWENCHAT_HOME=/data" in words for name, words in last if name == "ENV")
    assert last[-1] == ("ENTRYPOINT", ['["qwenchat"]'])
    copied = [word for name, words in steps if name == "COPY" and "--from=build" not in words for word in words[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []


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


def test_no_command_installs_the_program_from_where_it_is_not_published() -> None:
    texts = [*ROOT.glob("qwenchat/**/*.py"), *ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    said = re.findall(r"(?:pip|pipx|tool) install [^\n`\"]*", "".join(file.read_text("utf-8") for file in texts))
    assert said
    assert [command for command in said if "qwenchat" in command] == []
