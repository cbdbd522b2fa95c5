"""What Markdown means here beyond GitHub's: formulas in LaTeX, boxes before tasks, and line breaks that stay."""

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.linkify import linkify
from markdown_it.token import Token

from qwenchat.chat.text import safe

CLOSING = {"$$": "$$", "\\[": "\\]"}
"""The marks around a formula with lines of its own."""

_WORDS = re.compile(r"[^\W\d_]{2,} +[^\W\d_]{2,}")
_TEXT_MACRO = re.compile(r"\\[a-z]+\{[^{}]*\}|\\[A-Za-z]+")
_AMOUNT = re.compile(r"[-+]?\d")
_IN_AMOUNT = re.compile(r"[^\W\d_]{3,}|(?<!\w)[^\W\d_]{2,}|, ")
_TASK = re.compile(r"\[([ xX])\] ")
_LONGEST_SCHEME = 40
_BREAK = re.compile(r"\s*<br\s*/?>\s*", re.IGNORECASE)


def formulas(md: MarkdownIt) -> None:
    r"""Formulas: `\(x\)` and `$x$` among words, `\[x\]` and `$$x$$` with lines of their own."""
    interrupts = ["paragraph", "reference", "blockquote", "list"]
    md.block.ruler.before("fence", "formula", _block, {"alt": interrupts})
    md.inline.ruler.before("escape", "formula", _inline)
    md.add_render_rule("formula", lambda self, tokens, at, options, env: f"<pre>{escapeHtml(tokens[at].content)}</pre>")


def addresses(md: MarkdownIt) -> None:
    """Addresses in plain text, also in brackets: there the parser's own rule takes what stands before the bracket for
    the scheme of an address behind it, and fails.
    """
    md.inline.ruler.at("linkify", _address)


def tasks(md: MarkdownIt) -> None:
    """A box before what is to be done, and a ticked one before what is done."""
    md.core.ruler.after("inline", "task", _tasks)


def line_breaks(md: MarkdownIt) -> None:
    """Each line break of a text is one on the screen, as in verse; so is `<br>` in a table, which has no other."""
    md.core.ruler.push("line_breaks", _line_breaks)


def visible(md: MarkdownIt) -> None:
    """What is only spelled in a text, as in `&#x202e;` or `%E2%80%AE`, is no less visible than what stands there."""
    md.core.ruler.after("text_join", "visible", _visible)


def rule_shown(source: str, *, display: bool) -> str | None:
    """A formula as text; None for one that cannot be read."""
    from qwenchat.tui.markdown import formulas  # noqa: PLC0415  (slow, and most replies have none)

    return formulas.display(source) if display else formulas.inline(source)


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula that begins a line and ends one."""
    first = state.bMarks[start] + state.tShift[start]
    opening = state.src[first : first + 2]
    if opening not in CLOSING or state.is_code_block(start):
        return False
    lines: list[str] = []
    for line in range(start, end):
        if line > start and (state.isEmpty(line) or state.sCount[line] < state.blkIndent):
            return False
        begin = state.bMarks[line] + state.tShift[line] + (2 if line == start else 0)
        text, closing, after = state.src[begin : state.eMarks[line]].partition(CLOSING[opening])
        lines.append(text)
        if closing:
            if after.strip(" \t.,;:") or not "".join(lines).strip():
                return False
            if not silent:
                _push(state, start, line + 1, "\n".join(lines), after.strip())
            return True
    return False


def _push(state: StateBlock, start: int, stop: int, source: str, after: str) -> None:
    state.line = stop
    token: Any = state.push("formula", "", 0)
    token.map = [start, stop]
    text = rule_shown(source, display=True)
    token.content = state.getLines(start, stop, state.blkIndent, False).strip() if text is None else text + after


def _inline(state: StateInline, silent: bool) -> bool:
    """A formula in the midst of a line."""
    opening = state.src[state.pos : state.pos + 2]
    if opening[:1] == "$" and opening != "$$":
        return _dollar(state, silent)
    closing = {"\\(": "\\)", **CLOSING}.get(opening)
    if closing is None:
        return False
    stop = state.src.find(closing, state.pos + 2, state.posMax)
    if stop < 0:
        if opening == "$$":
            return False
        line = state.src.find("\n", state.pos, state.posMax)
        _say(state, line if line >= 0 else state.posMax, "", silent)
    else:
        _say(state, stop + 2, state.src[state.pos + 2 : stop], silent, display=opening in CLOSING)
    return True


def _address(state: StateInline, silent: bool) -> bool:
    before = state.pending
    if silent:  # what was passed over was not put there
        state.pending = state.src[max(0, state.pos - _LONGEST_SCHEME) : state.pos]
    found = linkify(state, silent)
    if silent:
        state.pending = before
    return found


def _dollar(state: StateInline, silent: bool) -> bool:
    """Between single dollars, unless these stand before amounts of money."""
    source, start = state.src, state.pos + 1
    if state.pos and source[state.pos - 1].isalnum():
        return False
    line = source.find("\n", start, state.posMax)
    stop = source.find("$", start, line if line >= 0 else state.posMax)
    while stop > 0 and source[stop - 1] == "\\":
        stop = source.find("$", stop + 1, line if line >= 0 else state.posMax)
    inside = source[start:stop]
    if stop < 0 or not _is_formula(inside) or source[stop + 1 : stop + 2].isdigit():
        return False
    _say(state, stop + 1, inside, silent)
    return True


def _is_formula(inside: str) -> bool:
    """Whether what stands between two dollars is one, and no words between two prices or variables."""
    if not inside or inside[0].isspace() or inside[-1].isspace() or "`" in inside or inside[-1] in ":;,/":
        return False
    plain = _TEXT_MACRO.sub("", inside)
    return not (_IN_AMOUNT if _AMOUNT.match(inside) else _WORDS).search(plain)


def _say(state: StateInline, stop: int, formula: str, silent: bool, *, display: bool = False) -> None:
    """Put a formula, or without one the source up to `stop`, among the words; a display has a line of its own."""
    if not silent:
        text = rule_shown(formula, display=False) if formula else None
        if display and (state.tokens or state.pending.strip()):
            state.push("hardbreak", "br", 0)
        token = state.push("text_special", "", 0)
        token.content = state.src[state.pos : stop] if text is None else text
        token.info = "formula"
        if display and state.src[stop : state.posMax].strip(" .,;:"):
            state.push("hardbreak", "br", 0)
            stop += len(state.src[stop : state.posMax]) - len(state.src[stop : state.posMax].lstrip(" "))
    state.pos = stop


def _tasks(state: StateCore) -> None:
    for item, paragraph, token in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        begun = (item.type, paragraph.type, token.type) == ("list_item_open", "paragraph_open", "inline")
        found = _TASK.match(token.content) if begun else None
        first = token.children[0] if token.children else None
        if found and first is not None and first.type == "text":
            first.content = ("☐ " if found[1] == " " else "☑ ") + first.content[4:]


def _visible(state: StateCore) -> None:
    left = [child for token in state.tokens for child in token.children or ()]
    while left:
        token = left.pop()
        token.content = safe(token.content)
        left += token.children or ()


def _line_breaks(state: StateCore) -> None:
    before = ""
    for token in state.tokens:
        if token.children:
            in_cell = before in ("td_open", "th_open")
            token.children = [part for child in token.children for part in _broken(child, in_cell)]
        before = token.type


def _broken(token: Token, in_cell: bool) -> list[Token]:
    """What stands in place of a piece of a line."""
    if token.type == "softbreak":
        return [Token("hardbreak", "br", 0)]
    if token.type != "text" or not in_cell:
        return [token]
    first, *others = _BREAK.split(token.content)
    texts = [Token("text", "", 0, content=text) for text in others]
    token.content = first
    return [token, *(part for text in texts for part in (Token("hardbreak", "br", 0), text))]
