"""Where each shell looks for the completion script of a command, and how it is put there."""

import errno
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qwenchat.i18n.texts import say
from qwenchat.system.regular_file import read_regular

SHELLS = ("bash", "zsh", "fish")
BASH_COMPLETION = (
    Path("/usr/share/bash-completion/bash_completion"),
    Path("/usr/local/share/bash-completion/bash_completion"),
    Path("/opt/homebrew/share/bash-completion/bash_completion"),
    Path("/opt/local/share/bash-completion/bash_completion"),
)
"""Where systems have the package that loads a user's scripts for bash."""
LARGEST = 4_000_000
"""Bytes of a startup file that are read."""
MARK = "_QWENCHAT_COMPLETE"
"""What every script of ours has in it."""
_LINES = {
    "bash": "if [ -r {script} ]; then . {script}; fi  # qwenchat completion",
    "zsh": (
        "if [ -r {script} ]; then (( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit; }}; "
        ". {script}; fi  # qwenchat completion"
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the script of a shell belongs, and the file that has to load it where the shell does not by itself."""

    script: Path
    startup: Path | None
    line: str


def place_of(shell: str, environment: Mapping[str, str], home: Path) -> Place:
    """The place for one of `SHELLS`, as the shell itself reads the environment."""
    data = _folder(environment, "XDG_DATA_HOME", home / ".local" / "share")
    if shell == "fish":
        folder = _folder(environment, "XDG_CONFIG_HOME", home / ".config")
        return Place(folder / "fish" / "completions" / "qwenchat.fish", None, "")
    if shell == "zsh":
        script = data / "zsh" / "site-functions" / "_qwenchat"
        startup = _folder(environment, "ZDOTDIR", home) / ".zshrc"
    else:
        script = _folder(environment, "BASH_COMPLETION_USER_DIR", data / "bash-completion") / "completions" / "qwenchat"
        startup = home / ".bashrc"
        if any(file.exists() for file in BASH_COMPLETION):
            return Place(script, None, "")
    return Place(script, startup, _LINES[shell].format(script=shlex.quote(str(script))))


def install(place: Place, script: str) -> bool:
    """Write the script, and the line that loads it where one is needed; whether anything was changed.

    Raises OSError; a file that is no script of qwenchat's is left as it is.
    """
    changed = _write(place.script, script)
    return _append(place.startup, place.line) or changed if place.startup else changed


def _folder(environment: Mapping[str, str], name: str, default: Path) -> Path:
    """The first folder that the variable names with its full path."""
    first = Path(environment.get(name, "").split(os.pathsep)[0])
    return first if first.is_absolute() else default


def _write(file: Path, script: str) -> bool:
    try:
        there = read_regular(file, LARGEST)
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
    else:
        if there == script.encode():
            return False
        if there.strip() and MARK.encode() not in there:
            raise OSError(errno.EEXIST, say("it is there already, and no script of qwenchat's"), str(file))
    file.write_text(script, "utf-8")
    return True


def _append(file: Path, line: str) -> bool:
    try:
        there = read_regular(file, LARGEST)
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        there = b""
    if os.fsencode(line) in there.splitlines():
        return False
    with file.open("ab") as out:
        out.write(b"\n" * (not there.endswith(b"\n") and bool(there)) + os.fsencode(line) + b"\n")
    return True
