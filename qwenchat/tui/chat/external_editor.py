"""The draft in the user's own editor."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from textual.app import App, SuspendNotSupported

<<<<<<< HEAD
from qwenchat.console import editor
from qwenchat.console.editor import EditorFailed
=======
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.text import decode_input, safe, safe_line
>>>>>>> 43efad3 (Copy, save, edit and log only what can be seen)
from qwenchat.i18n.texts import say


def edited(app: App[Any], text: str, environment: Mapping[str, str] = os.environ) -> str:
<<<<<<< HEAD
    """What the user makes of `text` in an editor, which has the terminal meanwhile. Raises EditorFailed."""
=======
    """What the user makes of `text` in $VISUAL or $EDITOR, which has the terminal meanwhile. Raises EditorFailed."""
    command = _command(environment)
    shown = safe(text)
    try:
        with tempfile.TemporaryDirectory(prefix="qwenchat-") as folder:
            file = Path(folder, "draft.md")
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(shown.encode())
            _run(app, [*command, str(file)])
            changed, _ = decode_input(file.read_bytes())
    except OSError as error:
        reason = safe_line(error.strerror or str(error))
        raise EditorFailed(say("The draft did not come back from the editor: {reason}.", reason=reason)) from error
    changed = safe(changed)
    changed = changed if text.endswith("\n") else changed.removesuffix("\n")
    return text if changed == shown else changed
>>>>>>> 43efad3 (Copy, save, edit and log only what can be seen)

    def run(command: list[str]) -> int:
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
        return code

    return editor.edited(text, run, environment)


@contextmanager
def _interrupts_left_to_it() -> Iterator[None]:
    """Ctrl+C in the editor is the editor's."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
