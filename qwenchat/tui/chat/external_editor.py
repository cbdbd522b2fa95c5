"""The draft in the user's own editor."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from textual.app import App, SuspendNotSupported

from qwenchat.console import editor
from qwenchat.console.editor import EditorFailed
from qwenchat.i18n.texts import say


def edited(app: App[Any], text: str, environment: Mapping[str, str] = os.environ) -> str:
    """What the user makes of `text` in an editor, which has the terminal meanwhile. Raises EditorFailed."""

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
