"""Draws the floors of the package into architecture.md, from the imports: `python -m docs.make_architecture`.

Which floor a unit (a package right below `qwenchat`) stands on is said in pyproject.toml, where `lint-imports` holds
the code to it; what a unit owns is the first sentence of its docstring.
"""

import ast
import sys
import tomllib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "qwenchat"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- begin of the floors -->\n", "<!-- end of the floors -->"


@dataclass(frozen=True, slots=True)
class House:
    """The units of the package, the floors they stand on, from the highest down, and what each imports."""

    floors: tuple[tuple[str, ...], ...]
    arrows: dict[str, frozenset[str]]

    @property
    def units(self) -> tuple[str, ...]:
        """All units, from the highest floor down."""
        return tuple(unit for floor in self.floors for unit in floor)

    def upward(self) -> Iterator[tuple[str, str]]:
        """The imports that do not go down, which is also where every circle must pass."""
        height = {unit: len(self.floors) - at for at, floor in enumerate(self.floors) for unit in floor}
        for unit, imported in self.arrows.items():
            yield from ((unit, below) for below in sorted(imported) if height[below] >= height[unit])


def house() -> House:
    """The package as it is now. Raises KeyError for a unit that stands on no floor."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    floors = tuple(tuple(unit.strip() for unit in layer.split("|")) for layer in layers)
    arrows: dict[str, set[str]] = {unit: set() for floor in floors for unit in floor}
    for unit in arrows:
        for file in sorted((PACKAGE / unit).rglob("*.py")):
            arrows[unit] |= set(_imported(file, arrows)) - {unit}
    return House(floors, {unit: frozenset(imported) for unit, imported in arrows.items()})


def _imported(file: Path, units: Container[str]) -> Iterator[str]:
    """The units that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            whole = node.module == PACKAGE.name
            names = [f"{node.module}.{alias.name}" for alias in node.names] if whole else [str(node.module)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == PACKAGE.name and (unit := rest.partition(".")[0]) in units:
                yield unit


def owned(unit: str) -> str:
    """What a unit owns, in one sentence."""
    said = ast.get_docstring(ast.parse((PACKAGE / unit / "__init__.py").read_text("utf-8"))) or ""
    return said.split("\n", 1)[0]


def drawing(drawn: House) -> str:
    """The floors as a table, and how many of what there are."""
    arrows = sum(len(imported) for imported in drawn.arrows.values())
    lines = ["| floor | unit | what it owns | imports |", "|---|---|---|---|"]
    for at, floor in enumerate(drawn.floors):
        for unit in floor:
            below = [f"`{name}`" for name in drawn.units if name in drawn.arrows[unit]]
            lines.append(f"| {len(drawn.floors) - at} | `{unit}/` | {owned(unit)} | {', '.join(below)} |")
    counts = f"{len(drawn.units)} units, {arrows} arrows between them, {len(drawn.floors)} floors, no circle."
    return "\n".join([*lines, "", counts, ""])


def page(drawn: House) -> str:
    """The text of architecture.md with the drawing in its place."""
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    return before + BEGIN + drawing(drawn) + END + rest.split(END)[1]


def main() -> None:
    """Write the page, or say which imports go upward."""
    drawn = house()
    if upward := list(drawn.upward()):
        sys.exit("\n".join(f"{unit} imports {above}, which is not below it." for unit, above in upward))
    PAGE.write_text(page(drawn), "utf-8")


if __name__ == "__main__":
    main()
