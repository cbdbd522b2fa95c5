"""The user's own editor: $VISUAL or $EDITOR, started with a file."""

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.text import decode_input, safe, safe_line
from qwenchat.i18n.texts import say
from qwenchat.system.regular_file import read_regular

LARGEST = 64_000_000
"""Bytes of a text that come back from an editor."""


class EditorFailed(QwenchatError):
    """No editor could be started, or nothing came back from it; the text is as it was."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy or say("Nothing was changed."))


def command(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The editor with its arguments. Raises EditorFailed where none is set, or none that is there."""
    for name in ("VISUAL", "EDITOR"):
        given = environment.get(name, "").strip()
        if given:
            break
    else:
        raise EditorFailed(say("No editor is set."), say("Set VISUAL or EDITOR, as in `export EDITOR=nano`."))
    where = say("{name} is “{given}”.", name=name, given=safe_line(given))
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise EditorFailed(say("The editor cannot be read: {given}.", given=safe_line(given)), where) from error
    try:
        found = bool(words and words[0]) and shutil.which(words[0])
    except ValueError:  # a NUL
        found = None
    if not found:
        name = safe_line(words[0] if words else "") or '""'
        raise EditorFailed(say("There is no editor {name}.", name=name), where)
    return words


def edited(text: str, run: Callable[[list[str]], int], environment: Mapping[str, str] = os.environ) -> str:
    """What the user makes of `text`; `run` starts a command and returns its code. Raises EditorFailed."""
    words, shown = command(environment), safe(text)
    try:
        with tempfile.TemporaryDirectory(prefix="qwenchat-", ignore_cleanup_errors=True) as folder:
            file = Path(folder, "draft.md")
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(shown.encode())
            if code := run([*words, str(file)]):
                raise EditorFailed(
                    say("{name} ended with code {code}.", name=safe_line(Path(words[0]).name), code=code)
                )
            changed, _ = decode_input(read_regular(file, LARGEST))
    except OSError as error:
        reason = safe_line(error.strerror or str(error))
        raise EditorFailed(say("The text did not come back from the editor: {reason}.", reason=reason)) from error
    changed = safe(changed)
    changed = changed if text.endswith("\n") else changed.removesuffix("\n")
    return text if changed == shown else changed
