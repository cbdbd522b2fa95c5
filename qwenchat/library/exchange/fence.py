"""Markdown that stays within its bounds: fences around code, and texts that swallow nothing that comes after them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BACKTICKS = re.compile("`+")
_LANGUAGE = re.compile(r"[\w.+#-]{1,40}")
_FENCE = re.compile(r"(`{3,})[^`]*$|(~{3,})")
_ITEM = re.compile(r"(?:[-+*]|\d{1,9}[.)])(?: {1,4}(?=\S)| *$| )")
_BLOCK = re.compile(r"<(?=/?[a-z][a-z0-9-]*(?:[\s/>]|$)|[!?])", re.IGNORECASE)
"""HTML that, at the beginning of a line, takes in lines after it."""
_FOLD = re.compile(r"<(?=/?(?:details|summary)\b)", re.IGNORECASE)


def fenced(code: str, language: str = "") -> str:
    """`code` between fences longer than any row of backticks in it."""
    longest = max((len(row) for row in _BACKTICKS.findall(code)), default=0)
    fence = "`" * max(3, longest + 1)
    code = code.rstrip("\n")
    return f"{fence}{language if _LANGUAGE.fullmatch(language) else ''}\n{code}\n{fence}"


def contained(text: str) -> str:
    """A Markdown text after which the document goes on as before: an open fence is closed, HTML is spelled out."""
    fence: _Fence | None = None
    unsure = False
    items: list[int] = []
    lines = []
    for line in text.split("\n"):
        bare = line.expandtabs(4)
        indent = len(bare) - len(bare.lstrip(" "))
        if bare.strip():
            if fence is not None and indent < fence.inside:
                fence, unsure = None, True
            if fence is None:
                while items and indent < items[-1]:
                    items.pop()
        if fence is not None:
            fence = None if fence.ends_with(bare) else fence
            lines.append(line)
            continue
        begun, indent = _past_items(bare, indent, items)
        if found := _fence_at(begun, indent, items[-1] if items else 0):
            fence = found
            lines.append(line)
        else:
            at = len(line) - len(line.lstrip(" \t"))
            lines.append(line[:at] + _FOLD.sub(r"\\<", _spelled_out(line[at:])))
    if unsure or (fence is not None and not fence.at_margin):
        lines += _closed_in_any_case(text)
    elif fence is not None:
        lines.append(fence.mark)
    return "\n".join(lines)


def _closed_in_any_case(text: str) -> Iterator[str]:
    """Lines after which no fence is open, whether one was or not.

    A fence with a word after it cannot end another: it is text inside that, or else begins one, and the next line ends
    either.
    """
    for kind in "`~":
        longest = max((len(row) for row in re.findall(f"{kind}{{3,}}", text)), default=0)
        if longest:
            yield f"{kind * longest} text"
            yield kind * longest


@dataclass(frozen=True, slots=True)
class _Fence:
    mark: str
    inside: int
    """How far the list item that it stands in is indented; a line that is less so ends both."""
    at_margin: bool
    """Whether it stands at the very beginning of its line, where it is one beyond doubt."""

    def ends_with(self, line: str) -> bool:
        indent = len(line) - len(line.lstrip(" "))
        row = line.strip()
        return indent - self.inside < 4 and len(row) >= len(self.mark) and set(row) == {self.mark[0]}


def _past_items(line: str, indent: int, items: list[int]) -> tuple[str, int]:
    """What of a line comes after the marks of list items that it begins, and how far that is indented."""
    rest = line[indent:]
    while indent - (items[-1] if items else 0) < 4 and (mark := _ITEM.match(rest)):
        indent += mark.end()
        items.append(indent)
        rest = rest[mark.end() :]
        blank = len(rest) - len(rest.lstrip(" "))
        indent, rest = indent + blank, rest[blank:]
    return rest, indent


def _fence_at(rest: str, indent: int, inside: int) -> _Fence | None:
    found = _FENCE.match(rest) if indent - inside < 4 else None
    return _Fence(found[1] or found[2], inside, indent == 0) if found else None


def _spelled_out(line: str) -> str:
    return r"\<" + line[1:] if _BLOCK.match(line) else line
