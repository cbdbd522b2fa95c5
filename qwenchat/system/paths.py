"""Where qwenchat keeps its files. Nothing is made until something is written."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from qwenchat.i18n.texts import say

LONGEST_SHOWN = 200
"""Characters of a name that are shown in an error."""


def shipped_themes() -> Path:
    """The folder of the themes that come with qwenchat: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "themes"
    return inside if inside.is_dir() else package.parent / "themes"


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one user; none of them needs to exist."""

    config: Path
    data: Path
    cache: Path
    logs: Path

    @classmethod
    def of_user(cls) -> "Paths":
        """The platform's own folders, or those under `QWENCHAT_HOME` when it is set.

        Raises OSError, which names the variable that is wrong.
        """
        if home := os.environ.get("QWENCHAT_HOME", "").strip():
            root = _home(home)
            return cls(root / "config", root / "data", root / "cache", root / "logs")
        folders = platformdirs.PlatformDirs("qwenchat", appauthor=False)
        try:
            paths = cls(
                folders.user_config_path, folders.user_data_path, folders.user_cache_path, folders.user_log_path
            )
        except RuntimeError:
            paths = None
        if paths is None or not (paths.config.is_absolute() and paths.data.is_absolute()):
            raise OSError(errno.ENOENT, say("nothing says where your home folder is; set it, or QWENCHAT_HOME"), "HOME")
        return paths

    @property
    def config_file(self) -> Path:
        """The user's settings."""
        return self.config / "config.toml"

    @property
    def themes(self) -> Path:
        """The user's own themes, beside the shipped ones."""
        return self.config / "themes"

    @property
    def presets(self) -> Path:
        """The user's own presets."""
        return self.config / "presets"

    @property
    def database(self) -> Path:
        """Saved conversations."""
        return self.data / "conversations.sqlite3"

    @property
    def models(self) -> Path:
        """Models that did not come through the Hub's own cache."""
        return self.cache / "models"

    @property
    def packed(self) -> Path:
        """Weights of models, packed for this processor; made again where they are missing."""
        return self.cache / "packed"

    @property
    def log_file(self) -> Path:
        """What happened, for bug reports; no message text."""
        return self.logs / "qwenchat.log"


def _home(typed: str) -> Path:
    """The folder that `QWENCHAT_HOME` names; it need not exist. Raises OSError."""
    reason = ""
    try:
        root = Path(typed).expanduser().absolute()
        if root.exists() and not root.is_dir():
            reason = say("it is no folder")
    except RuntimeError:
        reason = say("there is no such user")
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or say("no folder can be called so")
    if typed.startswith("$"):
        reason = say("the shell put nothing in place of the variable")
    if reason:
        shown = typed if len(typed) <= LONGEST_SHOWN else f"{typed[:LONGEST_SHOWN]}…"
        raise OSError(errno.ENOENT, reason, f"QWENCHAT_HOME={shown}")
    return root
