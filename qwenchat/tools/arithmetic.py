"""Arithmetic as at school: expressions, read and worked out.

The grammar is Python's, where a power binds most tightly and to the right, and ^ is written for it. Expressions may
come from anybody, so this runs in a process that can be killed.
"""

import ast
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal, DecimalException, Inexact
from fractions import Fraction

from mpmath import mpf

from qwenchat.tools.numeric import (
    FUNCTIONS,
    LARGEST_BITS,
    MOST_DIGITS,
    NAMES,
    OPERATORS,
    Number,
    TooLarge,
    WrongNumbers,
    add,
    is_whole,
    kept,
    rational,
    sign,
)

EXACT_DIGITS, ROUNDED_DIGITS = 30, 15
"""A decimal with more digits than the first is written with as many as the second."""
_SIGNS = str.maketrans(
    {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "∕": "/", "−": "-", "–": "-", "π": "pi", "≤": "<=", "≥": ">="}
    | {"≠": "!=", "\u3000": " ", "\u00a0": " ", "\u202f": " "}
    | {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)}  # as East Asian keyboards write them
)
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
_RAISED_DIGITS = str.maketrans(_RAISED, "0123456789-")
_WRITTEN = re.compile(r"[\w.+\-*/%(),<>=! \t]*", re.ASCII)
_ORDERS: dict[type[ast.cmpop], Callable[[int], bool]] = {
    ast.Eq: lambda sign: sign == 0,
    ast.NotEq: lambda sign: sign != 0,
    ast.Lt: lambda sign: sign < 0,
    ast.LtE: lambda sign: sign <= 0,
    ast.Gt: lambda sign: sign > 0,
    ast.GtE: lambda sign: sign >= 0,
}


class NotArithmetic(Exception):
    """What is there is no expression of numbers."""


class Unknown(Exception):
    """There is no such function or number; the text is its name."""


def work_out(expression: str) -> str:
    """The result as it is written; raises the errors above and ZeroDivisionError."""
    text = re.sub(f"[{_RAISED}]+", lambda raised: f"**({raised[0].translate(_RAISED_DIGITS)})", expression)
    text = text.translate(_SIGNS).replace("^", "**").strip()
    if not _WRITTEN.fullmatch(text):
        raise NotArithmetic
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:  # those two for too many brackets
        raise NotArithmetic from error
    return _written(_value(tree.body, text))


def _value(node: ast.expr, text: str) -> Number | bool:
    """One frame for each level, so that many signs in a row do not end it."""
    match node:
        case ast.Constant(value=bool() | int() | float()):
            return _literal(node, text)
        case ast.Name(id=name):
            if name not in NAMES:
                raise Unknown(name)
            return NAMES[name]()
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            value = _number(_value(operand, text))
            return -value if isinstance(node.op, ast.USub) else value
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
            return kept(OPERATORS[type(operator)](_number(_value(left, text)), _number(_value(right, text))))
        case ast.Compare(left=left, ops=operators, comparators=others) if all(type(op) in _ORDERS for op in operators):
            values = [_number(_value(each, text)) for each in (left, *others)]
            pairs = zip(operators, values, values[1:], strict=False)
            return all(_ORDERS[type(operator)](sign(add(one, -other))) for operator, one, other in pairs)
        case ast.BoolOp(op=operator, values=parts):
            whether = all if isinstance(operator, ast.And) else any
            return whether(bool(_value(part, text)) for part in parts)
        case ast.IfExp(test=test, body=body, orelse=other):
            return _value(body if _value(test, text) else other, text)
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]):
            if name not in FUNCTIONS:
                raise Unknown(name)
            function, least, most = FUNCTIONS[name]
            if not least <= len(parts) <= most:
                raise WrongNumbers(name)
            return kept(function(*[_number(_value(part, text)) for part in parts]))
    raise NotArithmetic


def _literal(node: ast.Constant, text: str) -> Number | bool:
    """A number as it is written, not as the nearest that a processor has."""
    if isinstance(node.value, int):
        return node.value if isinstance(node.value, bool) else Fraction(node.value)
    try:
        number = Decimal(text[node.col_offset : node.end_col_offset])
    except DecimalException as error:
        raise TooLarge from error
    if not number.is_finite() or abs(number.adjusted()) > LARGEST_BITS // 4:
        raise TooLarge
    return Fraction(number)


def _number(value: Number | bool) -> Number:
    return Fraction(value) if isinstance(value, bool) else value


def _written(value: Number | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    exact = rational(value)
    if is_whole(value):
        if exact.numerator.bit_length() > MOST_DIGITS * math.log2(10):
            raise TooLarge
        return str(exact.numerator)
    halves = Decimal(exact.numerator), Decimal(exact.denominator)
    context = Context(prec=EXACT_DIGITS, traps=[])
    decimal = context.divide(*halves)
    if context.flags[Inexact] or isinstance(value, mpf):
        decimal = Context(prec=ROUNDED_DIGITS).divide(*halves)
    return f"{decimal.normalize():g}"
