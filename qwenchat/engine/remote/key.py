"""The key of a server: read when it is needed, kept nowhere else."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.server_profile import Server
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say
from qwenchat.system.regular_file import expanded, open_regular

LONGEST = 10_000
"""Bytes of a key that is read."""
NONE = "none"
"""What is sent where no key is set; servers without keys do not look at it."""


def key_of(server: Server, environment: Mapping[str, str] = os.environ) -> str:
    """The key from the environment or from a file that only its owner can read. Raises ConfigInvalid."""
    if server.key_env is not None:
        key = environment.get(server.key_env, "").strip()
        if not key:
            raise ConfigInvalid(
                say("The environment variable {name} with the key is empty.", name=safe_line(server.key_env)),
                say("Set it before qwenchat starts."),
            )
        return _checked(key)
    if server.key_file is not None:
        return _checked(_read(expanded(server.key_file)))
    return NONE


def _read(file: Path) -> str:
    name = safe_line(str(file), 400)
    try:
        with open_regular(file) as opened:
            status = os.fstat(opened.fileno())
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigInvalid(
                    say("Others can read the key in {file}.", file=name), say("Run `chmod 600` on it first.")
                )
            data = opened.read(LONGEST + 1)
            if len(data) > LONGEST:
                raise ConfigInvalid(say("The key in {file} is too long for one.", file=name))
            return data.decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else say("it is not text")
        raise ConfigInvalid(say("The key cannot be read from {file}: {reason}.", file=name, reason=reason)) from error


def _checked(key: str) -> str:
    """A key that can stand in a header; the error does not show it."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigInvalid(say("What is set as the key is none: it is empty or holds blanks or odd characters."))
    return key
