"""A TOML file that a person wrote: with a byte order mark or without, and never so large that reading it hangs."""

import re
import tomllib
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from qwenchat.i18n.texts import say
from qwenchat.system.regular_file import read_regular

LARGEST = 1_000_000
"""Bytes; the settings of nobody take more."""
DEEPEST = 64
"""Parts of a dotted key; the time that tomllib takes grows with their square."""
_DEEP = re.compile(rf"(?m)(?:^|[\[{{,])[ \t]*+(?:(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{DEEPEST}}}")


def read_toml(file: Path) -> tuple[str, dict[str, Any]]:
    """The text of `file` and the table in it. Raises FileNotFoundError, and ValueError that says what is wrong."""
    try:
        text = read_regular(file, LARGEST).decode("utf-8-sig")
        if _DEEP.search(text):
            raise ValueError(say("a key has more than {most} parts", most=DEEPEST))
        return text, deepcopy(_table(text))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ValueError(say("it is not UTF-8")) from error
    except RecursionError as error:
        raise ValueError(say("it is nested too deep")) from error


@lru_cache(1)
def _table(text: str) -> dict[str, Any]:
    """What TOML holds, which every start asks for a few times. Raises ValueError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:
        raise ValueError(say("a number in it has too many digits")) from error
