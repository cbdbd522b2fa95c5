"""Line editing at a terminal, with what was said before and with completion, by Python's own readline."""

import io
import os
import sys
from collections.abc import Callable, Iterable
from types import ModuleType

_QUIET = ("enable-active-region off", "enable-meta-key off", "bell-style none", "page-completions off",
          "colored-stats off", "colored-completion-prefix off")  # fmt: skip
"""What GNU readline is not to do: each writes escape sequences that say nothing, or stops for a key."""


def readline_here() -> ModuleType | None:
    """Python's readline, where it was built with one."""
    try:
        import readline  # noqa: PLC0415  (need not be there)
    except ImportError:
        return None
    return readline


class Editor:
    """Reads lines that are edited. A paste of several lines is one line with breaks in it, where readline can tell."""

    def __init__(
        self, readline: ModuleType, complete: Callable[[str, str], list[str]], said_before: Iterable[str]
    ) -> None:
        """`complete` is given the line as far as the cursor, and its last word; `said_before` is in order of time."""
        self._readline = readline
        self._complete = complete
        self._choices: list[str] = []
        gnu = "libedit" not in (readline.__doc__ or "")
        dumb = os.environ.get("TERM", "dumb") == "dumb"
        for setting in (*_QUIET, f"enable-bracketed-paste {'off' if dumb else 'on'}") if gnu else ():
            readline.parse_and_bind(f"set {setting}")
        readline.parse_and_bind("tab: complete" if gnu else "bind ^I rl_complete")
        readline.set_completer(self._choice)
        readline.set_completer_delims(" \t\n")
        readline.set_auto_history(False)
        for text in said_before:
            readline.add_history(text)
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="surrogateescape")

    def read(self, prompt: str) -> bytes | None:
        """The next line without its end; None at the end of the input. Raises KeyboardInterrupt."""
        try:
            line = input(prompt)
        except EOFError:
            print(flush=True)
            return None
        except KeyboardInterrupt:
            if dropped := self._readline.get_line_buffer():
                self._readline.add_history(dropped)
            raise
        if line.strip():
            self._readline.add_history(line)
        return line.encode(errors="surrogateescape")

    def _choice(self, word: str, number: int) -> str | None:
        """What `word` may become, one at a time, as readline asks for it."""
        if number == 0:
            before = self._readline.get_line_buffer()[: self._readline.get_endidx()]
            self._choices = self._complete(before, word)
        return self._choices[number] if number < len(self._choices) else None
