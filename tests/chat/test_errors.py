"""The tree of errors, as it is drawn at the top of its module."""

import re

from qwenchat.chat import errors


def drawn() -> dict[str, str]:
    """Each error of the drawing with the one above it."""
    parents: dict[str, str] = {}
    above = {0: "Exception"}
    for line in str(errors.__doc__).splitlines()[2:]:
        depth = len(re.match("[│├└─ ]*", line)[0]) // 4  # type: ignore[index]
        names = re.findall(r"[A-Z]\w+", line)
        for name in names:
            parents[name] = above[depth]
        above[depth + 1] = names[-1]
    return parents


def test_the_drawing_shows_every_error_below_its_base() -> None:
    real = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert drawn() == real
