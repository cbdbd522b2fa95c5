"""Numbers and functions of numbers, without rounding where that can be.

Whole numbers and decimals are fractions, and exact; roots, logarithms and angles have 60 digits. What is nothing but
the rounding of those digits counts as nothing: sin(pi) is 0, and sqrt(2)^2 is 2.
"""

import ast
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

from mpmath import mp, mpf

Number: TypeAlias = Fraction | mpf
"""Exact, or with DIGITS digits."""

DIGITS = 60
NOISE = Fraction(1, 10**45)
"""What is smaller than this share of the numbers that it was made of is their rounding."""
KNOWN_BITS = 150
"""Before the point that are known of a number with so much rounding in it; what is larger has no known whole part."""
LARGEST_BITS = 100_000
"""Of a number, or of either half of a fraction."""
LARGEST_FACTORIAL = 1_000
MOST_DIGITS = 1_000
"""Of a whole number that is written out, and of the places that it is rounded to."""
_KNOWN_QUOTIENT = 100
"""The same of a quotient, since what is left over has to be known as well."""
_MORE_BITS = 20_000
"""How many digits more an exact number is given where it goes into a function, at most."""
mp.dps = DIGITS


class WrongNumbers(Exception):
    """A function was given too many numbers, too few, or the wrong kind; the text is its name."""


class NoNumber(Exception):
    """No real number is the result, such as for the root of a negative one."""


class TooLarge(Exception):
    """A number becomes too large to go on with."""


def kept(value: Number) -> Number:
    """A result to go on with: not too large, and exact where it is a whole number but for rounding."""
    if isinstance(value, Fraction):
        if _bits(value) <= LARGEST_BITS:
            return value
        if value.denominator == 1:
            raise TooLarge
        value = _real(value)
    if not isinstance(value, mpf) or not mp.isfinite(value):
        raise NoNumber
    if not value:
        return Fraction(0)
    if abs(mp.mag(value)) > LARGEST_BITS:
        raise TooLarge
    whole = mp.nint(value)
    if whole and mp.mag(value) < 140 and abs(value - whole) < _real(NOISE) * abs(value):
        return Fraction(int(whole))
    return value


def _real(value: Number) -> mpf:
    """A number with as many digits as are worked with."""
    return mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else value


def _bits(value: Number) -> int:
    """How long an exact number is."""
    exact = isinstance(value, Fraction)
    return max(value.numerator.bit_length(), value.denominator.bit_length()) if exact else 0


def rational(value: Number) -> Fraction:
    """The very number, as a fraction."""
    if isinstance(value, Fraction):
        return value
    mantissa, exponent = value.man_exp
    return sign(value) * abs(int(mantissa)) * Fraction(2) ** int(exponent)


def is_whole(value: Number) -> bool:
    """Whether it is a whole number, exactly."""
    return isinstance(value, Fraction) and value.denominator == 1


def _integer(value: Number, name: str) -> int:
    if not is_whole(value):
        raise WrongNumbers(name)
    return value.numerator


def _known(value: Number, bits: int = KNOWN_BITS) -> Fraction:
    """The very number; raises TooLarge where so much of it is rounding that its whole part would be made up."""
    if not isinstance(value, Fraction) and mp.mag(value) > bits:
        raise TooLarge
    return rational(value)


def sign(value: Number) -> int:
    """-1, 0 or 1."""
    return (value > 0) - (value < 0)


def add(one: Number, other: Number) -> Number:
    """The sum; nothing where only rounding is left of two numbers that cancel each other."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one + other
    one, other = _real(one), _real(other)
    return _without_noise(one + other, max(abs(one), abs(other)))


def _without_noise(value: mpf, size: mpf) -> Number:
    return Fraction(0) if abs(value) < _real(NOISE) * size else value


def _multiply(one: Number, other: Number) -> Number:
    exact = isinstance(one, Fraction) and isinstance(other, Fraction)
    return one * other if exact else _real(one) * _real(other)


def _divide(one: Number, other: Number) -> Number:
    if not other:
        raise ZeroDivisionError
    exact = isinstance(one, Fraction) and isinstance(other, Fraction)
    return one / other if exact else _real(one) / _real(other)


def _divide_down(one: Number, other: Number) -> Number:
    return Fraction(math.floor(_known(kept(_divide(one, other)), _KNOWN_QUOTIENT)))


def _remainder(one: Number, other: Number) -> Number:
    return add(one, -_multiply(other, _divide_down(one, other)))


def _power(base: Number, exponent: Number) -> Number:
    whole = is_whole(exponent)
    if not base or base == 1:
        if not base and exponent < 0:
            raise ZeroDivisionError
        return Fraction(1) if base or not exponent else Fraction(0)
    if base == -1 and whole:
        return Fraction(-1 if exponent.numerator % 2 else 1)
    if base < 0 and not whole:
        raise NoNumber
    if isinstance(base, Fraction) and whole:
        bits = Fraction(math.log2(max(abs(base.numerator), base.denominator))) * abs(exponent)
        if bits < LARGEST_BITS:
            return base**exponent.numerator
    if abs(mp.log(abs(_real(base)), 2) * _real(exponent)) > LARGEST_BITS or (is_whole(base) and is_whole(exponent)):
        raise TooLarge
    with mp.workprec(mp.prec + min(_bits(base) + _bits(exponent), _MORE_BITS)):  # the exponent multiplies each error
        power = _real(base) ** (exponent.numerator if whole else _real(exponent))
    return +power


def _analytic(function: Callable[..., Any], largest: int | None = None) -> Callable[[Number], Number]:
    """A function of `mpmath` for one number, which may be so large at most."""

    def of(value: Number) -> Number:
        if largest is not None and abs(value) > largest:
            raise TooLarge
        with mp.workprec(mp.prec + min(_bits(value), _MORE_BITS)):
            result = function(_real(value))
        return +result

    return of


def _circular(function: Callable[[mpf], mpf]) -> Callable[[Number], Number]:
    """Sine or cosine. An exact angle needs as many more digits as it has itself."""

    def of(angle: Number) -> Number:
        if not isinstance(angle, Fraction):
            if mp.mag(angle) > mp.prec // 2:
                raise TooLarge  # nothing is known of where on the circle it is
            return _without_noise(function(angle), abs(angle))
        with mp.workprec(mp.prec + _bits(angle)):
            value = function(_real(angle))
        return +value

    return of


_sine, _cosine = _circular(mp.sin), _circular(mp.cos)


def _square_root(value: Number) -> Number:
    if isinstance(value, Fraction) and value >= 0:
        root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        if root * root == value:
            return root
    return mp.sqrt(_real(value))


def _cube_root(value: Number) -> Number:
    return mp.sign(_real(value)) * mp.cbrt(abs(_real(value)))


_natural_logarithm = _analytic(mp.log)


def _logarithm(value: Number, base: Number | None = None) -> Number:
    natural = _natural_logarithm(value)
    return natural if base is None else _divide(kept(natural), kept(_natural_logarithm(base)))


def _round(value: Number, places: Number = Fraction(0)) -> Number:
    digits = _integer(places, "round")
    if abs(digits) > MOST_DIGITS:
        raise TooLarge
    return Fraction(round(_known(value), digits))


def _factorial(value: Number) -> Number:
    number = _integer(value, "factorial")
    if number < 0:
        raise WrongNumbers("factorial")
    if number > LARGEST_FACTORIAL:
        raise TooLarge
    return Fraction(math.factorial(number))


def _least(*values: Number) -> Number:
    least, *others = values
    for other in others:
        least = other if sign(add(other, -least)) < 0 else least
    return least


def _length(*sides: Number) -> Number:
    total: Number = Fraction(0)
    for side in sides:
        total = kept(add(total, _multiply(side, side)))
    return _square_root(total)


_MANY = 100
_LARGEST_EXPONENT = LARGEST_BITS // 2
NAMES: dict[str, Callable[[], mpf]] = {"pi": lambda: +mp.pi, "e": lambda: +mp.e, "tau": lambda: 2 * mp.pi}
OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: add,
    ast.Sub: lambda one, other: add(one, -other),
    ast.Mult: _multiply,
    ast.Div: _divide,
    ast.FloorDiv: _divide_down,
    ast.Mod: _remainder,
    ast.Pow: _power,
}
FUNCTIONS: dict[str, tuple[Callable[..., Number], int, int]] = {
    "sqrt": (_square_root, 1, 1),
    "cbrt": (_cube_root, 1, 1),
    "exp": (_analytic(mp.exp, _LARGEST_EXPONENT), 1, 1),
    "log": (_logarithm, 1, 2),
    "ln": (_logarithm, 1, 2),
    "log2": (lambda value: _logarithm(value, Fraction(2)), 1, 1),
    "log10": (lambda value: _logarithm(value, Fraction(10)), 1, 1),
    "sin": (_sine, 1, 1),
    "cos": (_cosine, 1, 1),
    "tan": (lambda angle: _divide(_sine(angle), _cosine(angle)), 1, 1),
    "asin": (_analytic(mp.asin), 1, 1),
    "acos": (_analytic(mp.acos), 1, 1),
    "atan": (_analytic(mp.atan), 1, 1),
    "atan2": (lambda y, x: mp.atan2(_real(y), _real(x)), 2, 2),
    "sinh": (_analytic(mp.sinh, _LARGEST_EXPONENT), 1, 1),
    "cosh": (_analytic(mp.cosh, _LARGEST_EXPONENT), 1, 1),
    "tanh": (_analytic(mp.tanh, _LARGEST_EXPONENT), 1, 1),
    "degrees": (lambda angle: _real(angle) * 180 / mp.pi, 1, 1),
    "radians": (lambda angle: _real(angle) * mp.pi / 180, 1, 1),
    "floor": (lambda value: Fraction(math.floor(_known(value))), 1, 1),
    "ceil": (lambda value: Fraction(math.ceil(_known(value))), 1, 1),
    "trunc": (lambda value: Fraction(math.trunc(_known(value))), 1, 1),
    "abs": (abs, 1, 1),
    "round": (_round, 1, 2),
    "min": (_least, 1, _MANY),
    "max": (lambda *values: -_least(*[-value for value in values]), 1, _MANY),
    "gcd": (lambda *values: Fraction(math.gcd(*[_integer(value, "gcd") for value in values])), 1, _MANY),
    "hypot": (_length, 1, _MANY),
    "factorial": (_factorial, 1, 1),
}
