"""Where qwenchat keeps its files. Nothing is made until something is written."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs


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
        """The platform's own folders, or those under `QWENCHAT_HOME` when it is set."""
        home = os.environ.get("QWENCHAT_HOME")
        if home:
            root = Path(home).expanduser().absolute()
            return cls(root / "config", root / "data", root / "cache", root / "logs")
        folders = platformdirs.PlatformDirs("qwenchat", appauthor=False)
        return cls(folders.user_config_path, folders.user_data_path, folders.user_cache_path, folders.user_log_path)

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
    def log_file(self) -> Path:
        """What happened, for bug reports; no message text."""
        return self.logs / "qwenchat.log"
