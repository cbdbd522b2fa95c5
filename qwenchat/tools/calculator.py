"""Sums, worked out exactly and within bounds."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from simpleeval import DEFAULT_OPERATORS, InvalidExpression, SimpleEval

from qwenchat.chat.errors import ToolRefused
from qwenchat.engine.base import StopSignal
from qwenchat.i18n.texts import say
from qwenchat.tools.tool import Tool, tool

LONGEST = 500
"""Characters of an expression. Nothing in it repeats, so this and the size of numbers bound the time it takes."""
LARGEST_BITS = 100_000
"""Of a power."""
LARGEST_FACTORIAL = 1_000
MOST_DIGITS = 1_000
"""Of a whole number that is written out."""
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "π": "pi"})


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expression: Annotated[
        str,
        msgspec.Meta(
            description="Such as 2 * (3 + 4) ** 2 or sqrt(2) / 3; functions of angles take radians", max_length=LONGEST
        ),
    ]


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > LARGEST_BITS:
        raise OverflowError
    return base**exponent


def _factorial(number: int) -> int:
    if number > LARGEST_FACTORIAL:
        raise OverflowError
    return math.factorial(number)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(math, name)
    for name in (
        "sqrt", "cbrt", "exp", "log", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh",
        "cosh", "tanh", "degrees", "radians", "floor", "ceil", "trunc", "gcd", "hypot",
    )
} | {"abs": abs, "round": round, "min": min, "max": max, "ln": math.log, "factorial": _factorial}  # fmt: skip
_OPERATORS = {
    kind: DEFAULT_OPERATORS[kind]
    for kind in (ast.Add, ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.UAdd, ast.USub, ast.Eq, ast.NotEq, ast.Lt,
                 ast.LtE, ast.Gt, ast.GtE)
} | {ast.Mult: operator.mul, ast.Pow: _power, ast.BitXor: _power}  # fmt: skip
"""As a model writes them: ^ is a power."""
_NAMES = {"pi": math.pi, "e": math.e, "tau": math.tau}


def calculator() -> Tool:
    """The tool."""
    return tool("calculator", "Work out an arithmetic expression exactly.", _Arguments, _work_out)


def _work_out(given: _Arguments, stop: StopSignal) -> str:
    expression = given.expression.translate(_SIGNS).strip()
    if any(character in expression for character in "'\"[]{};\n"):
        raise ToolRefused(say("That is no sum: only numbers, operators and functions can be worked out."))
    evaluator = SimpleEval(operators=_OPERATORS, functions=_FUNCTIONS, names=_NAMES)
    try:
        return _written(evaluator.eval(expression))
    except OverflowError as error:
        raise ToolRefused(say("The numbers become too large.")) from error
    except ZeroDivisionError as error:
        raise ToolRefused(say("That divides by zero.")) from error
    except (InvalidExpression, SyntaxError, ArithmeticError, ValueError, TypeError, KeyError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ToolRefused(say("That cannot be worked out: {reason}.", reason=reason.strip().rstrip("."))) from error
    except (RecursionError, MemoryError) as error:
        raise ToolRefused(say("That has too many brackets in each other.")) from error


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        if value.bit_length() > MOST_DIGITS * 3.32:
            raise OverflowError
        return str(value)
    if isinstance(value, float):
        return f"{value:.15g}"
    raise TypeError(say("the result is no number"))
