"""The shape of the package: few units on few floors, imports that only go down, files that can be read in a sitting."""

import statistics
from pathlib import Path

from docs import make_architecture

PACKAGE = Path(__file__).parents[2] / "qwenchat"


def test_imports_go_down_and_the_house_stays_small() -> None:
    house = make_architecture.house()
    assert not list(house.upward())
    assert set(house.units) == {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists()}
    assert len(house.units) <= 18
    assert len(house.floors) <= 10
    assert sum(map(len, house.arrows.values())) <= 85


def test_the_page_shows_the_floors_as_they_are() -> None:
    """Renew it with `python -m docs.make_architecture`."""
    assert make_architecture.page(make_architecture.house()) == make_architecture.PAGE.read_text("utf-8")


def test_every_module_has_a_package() -> None:
    assert {file.name for file in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_files_can_be_read_in_one_sitting() -> None:
    lines = {file: len(file.read_text("utf-8").splitlines()) for file in PACKAGE.rglob("*.py")}
    assert statistics.median(lines.values()) <= 130
    assert not {str(file.relative_to(PACKAGE)): count for file, count in lines.items() if count > 350}
