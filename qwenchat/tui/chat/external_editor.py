"""The draft in the user's own editor."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.text import decode_input, safe_line
from qwenchat.i18n.texts import say


class EditorFailed(QwenchatError):
    """The draft could not be changed in an editor; it is as it was."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy or say("The draft is as it was."))


def edited(app: App[Any], text: str, environment: Mapping[str, str] = os.environ) -> str:
    """What the user makes of `text` in $VISUAL or $EDITOR, which has the terminal meanwhile. Raises EditorFailed."""
    command = _command(environment)
    try:
        with tempfile.TemporaryDirectory(prefix="qwenchat-") as folder:
            file = Path(folder, "draft.md")
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(text.encode("utf-8", errors="replace"))
            _run(app, [*command, str(file)])
            changed, _ = decode_input(file.read_bytes())
    except OSError as error:
        reason = safe_line(error.strerror or str(error))
        raise EditorFailed(say("The draft did not come back from the editor: {reason}.", reason=reason)) from error
    return changed if text.endswith("\n") else changed.removesuffix("\n")


def _command(environment: Mapping[str, str]) -> list[str]:
    given = environment.get("VISUAL") or environment.get("EDITOR") or ""
    try:
        command = shlex.split(given)
    except ValueError as error:
        raise EditorFailed(say("The editor cannot be read: {given}.", given=safe_line(given))) from error
    if not command:
        raise EditorFailed(say("No editor is set."), say("Set VISUAL or EDITOR, as in `export EDITOR=nano`."))
    if shutil.which(command[0]) is None:
        raise EditorFailed(say("There is no editor {name}.", name=safe_line(command[0])))
    return command


def _run(app: App[Any], command: list[str]) -> None:
    """Raises OSError when the editor cannot be started, and EditorFailed when it says that it failed."""
    failure: OSError | None = None
    code = 0
    try:
        with app.suspend(), _interrupts_left_to_it():
            try:
                code = subprocess.run(command, check=False, stderr=subprocess.STDOUT).returncode
            except OSError as error:  # raised in here, it would leave the terminal suspended
                failure = error
    except SuspendNotSupported as error:
        raise EditorFailed(say("An editor cannot be opened here.")) from error
    if failure is not None:
        raise failure
    if code:
        raise EditorFailed(say("{name} ended with code {code}.", name=safe_line(Path(command[0]).name), code=code))


@contextmanager
def _interrupts_left_to_it() -> Iterator[None]:
    """Ctrl+C in the editor is the editor's."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
