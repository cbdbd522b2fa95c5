"""LaTeX formulas as text that a terminal can show."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

from pylatexenc.latex2text import fmt_math_text_style, get_default_latex_context_db
from pylatexenc.latexwalker import (
    LatexCharsNode,
    LatexEnvironmentNode,
    LatexGroupNode,
    LatexMacroNode,
    LatexMathNode,
    LatexSpecialsNode,
    LatexWalker,
    LatexWalkerError,
)
from pylatexenc.latexwalker import get_default_latex_context_db as walker_context
from pylatexenc.macrospec import EnvironmentSpec, MacroSpec, MacroStandardArgsParser, SpecialsSpec

from qwenchat.tui.markdown.formula_layout import (
    GLUE,
    SEPARATOR,
    beside,
    framed,
    grid,
    literal,
    over,
    spaced,
    subscript,
    superscript,
)
from qwenchat.tui.markdown.formula_names import (
    ACCENTS,
    ALIGNED,
    ARGUMENTS,
    FENCED,
    FUNCTIONS,
    SILENT,
    STYLES,
    SYMBOLS,
    UPRIGHT,
    WORDS,
)

LONGEST = 4000
"""Characters of a formula that is converted; a longer one is shown as it was written."""


class FormulaUnreadable(ValueError):
    """A formula that has no place for something, or is written wrongly."""


@lru_cache(maxsize=512)
def inline(source: str) -> str | None:
    """A formula as one line; None for one that cannot be read."""
    lines = _lines(source, display=False)
    return lines[0] if lines else None


@lru_cache(maxsize=512)
def display(source: str) -> str | None:
    """A formula as one or more lines; None for one that cannot be read."""
    lines = _lines(source, display=True)
    return "\n".join(lines) if lines else None


def _lines(source: str, *, display: bool) -> list[str] | None:
    if len(source) > LONGEST or not source.strip():
        return None
    source = re.sub(r"(?<!\\)%", r"\\%", source)
    try:
        nodes, _, _ = LatexWalker(source, latex_context=_context(), tolerant_parsing=False).get_latex_nodes()
        lines = _Writer().lines(nodes) if display else [spaced(_Writer().line(nodes))]
    except (LatexWalkerError, FormulaUnreadable, RecursionError, IndexError):
        return None
    return lines if any(line.strip() for line in lines) else None


@cache
def _context() -> Any:
    """What the parser knows of macros."""
    context = walker_context()
    one = {name: "{" for name in (*ACCENTS, *WORDS, *UPRIGHT, *STYLES)}
    context.add_context_category(
        "formulas",
        macros=[MacroSpec(name, args_parser=MacroStandardArgsParser(args)) for name, args in (one | ARGUMENTS).items()],
        environments=[EnvironmentSpec("array", "{"), EnvironmentSpec("alignedat", "{")],
        specials=[SpecialsSpec(mark, args_parser=MacroStandardArgsParser("{")) for mark in "^_"],
        prepend=True,
    )
    return context


@cache
def _symbol(name: str) -> str | None:
    """The sign that a macro without arguments stands for."""
    spec = get_default_latex_context_db().get_macro_spec(name)
    text = spec.simplify_repl if spec is not None else None
    return text if isinstance(text, str) and text.isprintable() and "%" not in text else None


class _Writer:
    """Writes the nodes of one formula as text, in which what is to be spaced is not spaced yet."""

    def lines(self, nodes: Sequence[Any]) -> list[str]:
        """A whole display: its rows below one another, with what takes several lines beside what stands around it."""
        rows = self._cells(nodes)
        if len(rows) > 1 or len(rows[0]) > 1:
            return _equations([[self._spaced(cell) for cell in row] for row in rows])
        parts: list[list[str]] = []
        flat: list[Any] = []
        for node in nodes:
            if block := self._block(node):
                parts += [[self._spaced(flat)], block]
                flat = []
            else:
                flat.append(node)
        parts.append([self._spaced(flat)])
        return beside([part for part in parts if part != [""]])

    def line(self, nodes: Iterable[Any]) -> str:
        """Nodes one after another."""
        return "".join(self._text(node) for node in nodes if node is not None)

    def _spaced(self, nodes: Sequence[Any]) -> str:
        return spaced(self.line(nodes))

    def _block(self, node: Any) -> list[str]:
        """The lines of what takes several of them in a display."""
        if isinstance(node, LatexEnvironmentNode):
            rows = [[self._spaced(cell) for cell in row] for row in self._cells(node.nodelist)]
            name = node.environmentname
            if name in ALIGNED:
                return _equations(rows)
            if name in FENCED:
                return grid(rows, fences=FENCED[name], sides="l" if "cases" in name else "c")
            raise FormulaUnreadable(name)
        if isinstance(node, LatexMacroNode) and node.macroname in ("boxed", "fbox") and node.nodeargd:
            inside = node.nodeargd.argnlist[-1]
            return framed(self.lines(inside.nodelist if isinstance(inside, LatexGroupNode) else [inside]))
        return []

    def _cells(self, nodes: Iterable[Any]) -> list[list[list[Any]]]:
        """The rows and cells of a table, each as its nodes."""
        rows: list[list[list[Any]]] = [[[]]]
        for node in nodes:
            if isinstance(node, LatexMacroNode) and node.macroname in ("\\", "cr", "newline"):
                rows.append([[]])
            elif isinstance(node, LatexSpecialsNode) and node.specials_chars == "&":
                rows[-1].append([])
            else:
                rows[-1][-1].append(node)
        blank = len(rows) > 1 and not self.line(n for cell in rows[-1] for n in cell).strip()
        return rows[:-1] if blank else rows

    def _text(self, node: Any) -> str:
        match node:
            case LatexCharsNode():
                return str(node.chars).replace("\n", " ").replace("'", "′")
            case LatexGroupNode() | LatexMathNode():
                return self.line(node.nodelist)
            case LatexMacroNode():
                return self._macro(node)
            case LatexEnvironmentNode():
                return self._environment(node)
            case LatexSpecialsNode():
                return self._special(node)
        raise FormulaUnreadable(str(node))

    def _special(self, node: Any) -> str:
        mark = node.specials_chars
        if mark in ("^", "_"):
            if node.nodeargd is None:
                raise FormulaUnreadable("a script without text")
            inside = spaced(self.line(node.nodeargd.argnlist))
            return superscript(inside) if mark == "^" else subscript(inside)
        return {"~": literal(" "), "''": "″", "&": " "}.get(mark, str(mark))

    def _environment(self, node: Any) -> str:
        """An environment in the midst of a line."""
        rows = self._cells(node.nodelist)
        name = node.environmentname
        if name not in FENCED and name not in ALIGNED:
            raise FormulaUnreadable(name)
        left, right = tuple(FENCED.get(name, "  "))
        between = ", " if "cases" in name else " "
        text = "; ".join(between.join(self._spaced(cell) for cell in row).strip() for row in rows)
        return literal(f"{left}{text}{right}".strip())

    def _macro(self, node: Any) -> str:
        name = node.macroname
        if name in SILENT:
            return ""
        if name in SYMBOLS:
            return SYMBOLS[name]
        if name in FUNCTIONS:
            return f"{SEPARATOR}{name}{SEPARATOR}"
        arguments = list((node.nodeargd and node.nodeargd.argnlist) or ())
        texts = [self.line([arg]) if arg is not None else "" for arg in arguments]
        if name in ACCENTS and texts:
            return "".join(character + ACCENTS[name] for character in texts[-1].strip())
        if name in WORDS and texts:
            return re.sub(r"\S(?:.*\S)?", lambda found: literal(found[0]), texts[-1])
        if name in UPRIGHT and texts:
            return texts[-1]
        if name in STYLES and texts:
            return str(fmt_math_text_style(texts[-1], STYLES[name]))
        if name in _BUILT and texts:
            return _BUILT[name](*texts)
        if (sign := _symbol(name)) is not None and not any(texts):
            return sign
        raise FormulaUnreadable(name)


def _equations(rows: list[list[str]]) -> list[str]:
    """Equations with their relations below one another."""
    return grid(rows, sides="rl" if max(map(len, rows)) > 1 else "l", gap=" ")


def _over(*texts: str) -> str:
    return over(spaced(texts[-2]), spaced(texts[-1]))


def _root(degree: str, inside: str) -> str:
    inside = spaced(inside)
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree.strip()) or superscript(degree) + "√"
    return SEPARATOR + sign + (inside if re.fullmatch(r"\w|\d+", inside) else f"({inside})") + SEPARATOR


def _delimiter(sign: str) -> str:
    return "" if sign.strip() == "." else sign.strip()


def _arrow(sign: str) -> Callable[..., str]:
    def labelled(below: str, above: str) -> str:
        return f" {literal(sign)}{superscript(spaced(above))}{subscript(spaced(below)) if below else ''} "

    return labelled


def _reaction(inside: str) -> str:
    """A chemical formula: digits after an element count its atoms."""
    counted = re.sub(r"(?<=[A-Za-z)\]])\d+", lambda found: subscript(found[0]), inside.replace("->", "→"))
    return spaced(counted)


_BUILT: dict[str, Callable[..., str]] = {
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), _over),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), lambda upper, lower: f"C({spaced(upper)}, {spaced(lower)})"),
    **dict.fromkeys(("boxed", "fbox"), lambda inside: f"⟦ {spaced(inside)} ⟧"),
    "left": lambda sign: _delimiter(sign) + GLUE,
    "right": lambda sign: GLUE + _delimiter(sign),
    "middle": _delimiter,
    "sqrt": _root,
    "pmod": lambda inside: " " + literal(f"(mod {spaced(inside)})"),
    "operatorname": lambda star, name: f"{SEPARATOR}{name}{SEPARATOR}",
    "overset": lambda above, base: base + superscript(spaced(above)),
    "stackrel": lambda above, base: base + superscript(spaced(above)),
    "underset": lambda below, base: base + subscript(spaced(below)),
    "xrightarrow": _arrow("→"),
    "xleftarrow": _arrow("←"),
    "textcolor": lambda colour, inside: inside,
    "ce": _reaction,
}
