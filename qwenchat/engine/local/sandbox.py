"""Jinja for chat templates that come from strangers: no way out, and an end to time and memory."""

import functools
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from qwenchat.texts import say

LONGEST_S = 10.0
"""How long one rendering may take."""
LARGEST = 16_000_000
"""How many characters or items one value may have."""
_WIDTH = re.compile(r"\d{6}")
_MULTIPLYING = ("replace", "join", "translate")
_FORMATTING = ("format", "format_map")


class Sandbox(ImmutableSandboxedEnvironment):
    """Renders as transformers does; raises jinja2.TemplateError, or what the template itself causes.

    Loops, calls, filters, sums and joined strings are checked against the limits, for the template may have
    been written to hang the program or to fill the memory.
    """

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, optimized=False, extensions=[loopcontrols])
        self._ends = float("inf")
        for name in ("lipsum", "cycler", "joiner"):
            del self.globals[name]
        self.globals["raise_exception"] = _refuse
        self.globals["strftime_now"] = lambda layout: datetime.now().strftime(layout)
        self.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
        self.filters = {name: self._limited(name, function) for name, function in self.filters.items()}
        self.filters[_BOUNDED] = self._bounded
        self.filters[_JOINED] = self._joined
        self.filters[_CHECKED] = self._checked

    def run(self, template: jinja2.Template, **variables: Any) -> str:
        """The rendered text."""
        self._ends = time.monotonic() + LONGEST_S
        pieces, length = [], 0
        for piece in template.generate(**variables):
            length += len(piece)
            self._check(length)
            pieces.append(piece)
        return "".join(pieces)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Overrides Jinja's hook for the operators that can make large values of small ones."""
        self._check()
        match operator:
            case "+":
                self._check(_size(left) + _size(right))
            case "*" if isinstance(left, int) and isinstance(right, int):
                self._check((left.bit_length() + right.bit_length()) * 1000)
            case "*":
                self._check(max(_size(left) * _number(right), _size(right) * _number(left)))
            case "**":
                self._check(_number(left).bit_length() * _number(right) * 1000)
            case "%":
                self._check_width(left)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, called: Any, /, *args: Any, **options: Any) -> Any:
        """Overrides Jinja's hook for every call of a function, method or macro."""
        self._check_arguments(getattr(called, "__name__", ""), (getattr(called, "__self__", ""), *args))
        return self._checked(super().call(context, called, *args, **options))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Limits().visit(super()._parse(source, name, filename))
        return tree

    def _limited(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def limited(*args: Any, **options: Any) -> Any:
            self._check_arguments(name, (*args, *options.values()))
            return self._checked(function(*args, **options))

        return limited

    def _check_arguments(self, name: str, args: tuple[Any, ...]) -> None:
        if name != "range":
            self._check(max(map(_number, args), default=0))
        if name in _MULTIPLYING:
            self._check(max(map(_size, args), default=0) * sum(sorted(map(_size, args))[:-1]))
        if name in _FORMATTING and args:
            self._check_width(args[0])

    def _check_width(self, layout: Any) -> None:
        if isinstance(layout, str) and _WIDTH.search(layout):
            raise jinja2.TemplateRuntimeError(say("it asks for too wide a format"))

    def _bounded(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._check()
            yield item

    def _joined(self, values: list[Any]) -> str:
        texts = [str(value) for value in values]
        self._check(sum(map(len, texts)))
        return "".join(texts)

    def _checked(self, value: Any) -> Any:
        self._check(_size(value))
        return value

    def _check(self, size: int = 0) -> None:
        if size > LARGEST:
            raise jinja2.TemplateRuntimeError(say("it makes too large a text"))
        if time.monotonic() > self._ends:
            raise jinja2.TemplateRuntimeError(say("it takes too long"))


_BOUNDED, _JOINED, _CHECKED = " bounded", " joined", " checked"
"""Filters that a template cannot name."""


class _Limits(NodeTransformer):
    """Puts the limits into a parsed template."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        node.iter = _filter(node.iter, _BOUNDED)
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), _JOINED)

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:
        self.generic_visit(node)
        checked = _filter(node.filter, _CHECKED)
        checked.lineno = node.lineno
        node.filter = checked
        return node


def _filter(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno if node else 0)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, Sized) else 0


def _number(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)
