"""What this machine has and what is wrong with it."""

import json
import os
import platform
import shlex
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

import qwenchat
from qwenchat.chat.errors import LibraryDamaged, LibraryError, LibraryNewer
from qwenchat.chat.text import safe_line
from qwenchat.console.table import aligned
from qwenchat.i18n.texts import listed, say, sentences
from qwenchat.library.backup import Backup, backups, last_backup
from qwenchat.library.database import count_conversations
from qwenchat.library.replacing import is_interrupted, set_aside_before
from qwenchat.library.restore import restore
from qwenchat.settings import config, presets
from qwenchat.system.paths import Paths

LAST_SOUND = "last"
"""The backup that is put in place where none is named; a file of that name is `./last`."""
SMALLEST_DISK = 2e9
"""Bytes that a download of Qwen3-0.6B needs, with some room."""
PROBE_LIMIT_S = 120
_PROBE = """
import json
import torch
import qwenchat.engine.local.engine
from qwenchat.engine.local import fit, memory
from qwenchat.engine.local.hardware import cpu_features, devices
found = devices()
rooms = [memory.of(device) for device in found]
best = fit.best(rooms)
print(json.dumps({
    "devices": list(found),
    "gpu": torch.cuda.get_device_name() if "cuda" in found else None,
    "gpu_memory_free_gb": next((round(room.free / 1e9, 1) for room in rooms if room.device == "cuda"), None),
    "cpu_features": list(cpu_features()),
    "best_choice": "qwenchat " + (best.options if best else "--model smollm2"),
}))
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong."""

    what: str
    remedy: str
    broken: bool = False
    """Whether no chat is possible because of it."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The findings; every fact fits JSON."""

    facts: dict[str, Any]
    problems: tuple[Problem, ...]

    @property
    def broken(self) -> bool:
        """Whether no chat is possible."""
        return any(problem.broken for problem in self.problems)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self.facts | {"problems": [asdict(problem) for problem in self.problems], "ok": not self.broken}

    def as_text(self) -> str:
        """For people."""
        labels = _labels()
        lines = [aligned((labels.get(name, name), _in_words(value)) for name, value in self.facts.items())]
        lines += ["", say("What is wrong, and how to fix it:") if self.problems else say("Nothing is wrong.")]
        lines += [f"- {safe_line(sentences(p.what, p.remedy), 1000)}" for p in self.problems]
        return "\n".join(lines)


def _labels() -> dict[str, str]:
    """What the facts are called, for people; those that are not here have names of their own."""
    return {
        "platform": say("platform"),
        "devices": say("devices"),
        "gpu_memory_free_gb": say("gpu memory free gb"),
        "cpu_features": say("cpu features"),
        "best_choice": say("best choice"),
        "cores": say("cores"),
        "memory_gb": say("memory gb"),
        "memory_free_gb": say("memory free gb"),
        "disk_free_gb": say("disk free gb"),
        "config": say("config"),
        "data": say("data"),
        "cache": say("cache"),
        "log": say("log"),
        "models": say("models"),
        "hub_reachable": say("hub reachable"),
        "conversations": say("conversations"),
        "backups": say("backups"),
    }


def examine(paths: Paths) -> DoctorReport:
    """Look at everything the chat needs; takes as long as loading torch does."""
    problems: list[Problem] = []
    memory = psutil.virtual_memory()
    free = shutil.disk_usage(_existing(paths.cache)).free
    facts: dict[str, Any] = {
        "qwenchat": qwenchat.__version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "transformers", "textual")},
        "sqlite": sqlite3.sqlite_version,
        "platform": platform.platform(),
        **_engine(problems),
        "cores": psutil.cpu_count(logical=False) or 1,
        "memory_gb": round(memory.total / 1e9, 1),
        "memory_free_gb": round(memory.available / 1e9, 1),
        "disk_free_gb": round(free / 1e9, 1),
        "config": str(paths.config_file),
        "data": str(paths.database),
        "cache": str(paths.models),
        "log": str(paths.log_file),
        **_models(paths, problems, free),
        **_library(paths.database, problems),
    }
    _folders(paths, problems)
    wrong = (*config.read(paths.config_file)[1], *presets.read(paths.presets)[1])
    problems += [Problem(text, say("Correct or remove it.")) for text in wrong]
    return DoctorReport(facts, tuple(sorted(problems, key=lambda problem: not problem.broken)))


def go_back(paths: Paths, wanted: str) -> str:
    """Put the backup of that name or path in the library's place, or the LAST_SOUND; what was done, in words.

    Raises LibraryError, and then nothing has changed.
    """
    backup, aside = restore(paths.database, None if wanted == LAST_SOUND else Path(wanted))
    done = say("{backup} is now in place as {library}.", backup=backup, library=paths.database)
    kept = say("What was there is kept as {aside}.", aside=aside) if aside else say("There was no library before.")
    return safe_line(sentences(done, kept), 2000)


def _engine(problems: list[Problem]) -> dict[str, Any]:
    """What torch finds, asked in another process, since a broken torch can take its process with it."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (_source(), os.environ.get("PYTHONPATH"))))}
    command = [sys.executable, "-P", "-c", _PROBE]
    said = ""
    try:
        probe = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=PROBE_LIMIT_S,
        )  # fmt: skip
        if probe.returncode == 0:
            found: dict[str, Any] = json.loads(probe.stdout.splitlines()[-1])
            return found
        said = (probe.stderr.strip().splitlines() or [say("it ended with code {code}", code=probe.returncode)])[-1]
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        said = str(error)
    problems.append(
        Problem(
            say("The engine cannot be started: {error}.", error=said),
            say(
                "Install torch again: {python} -m pip install --force-reinstall torch transformers",
                python=shlex.quote(sys.executable),
            ),
            broken=True,
        )
    )
    return {"devices": [], "gpu": None, "gpu_memory_free_gb": None, "cpu_features": [], "best_choice": None}


def _source() -> str:
    return str(Path(qwenchat.__file__).parent.parent)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _models(paths: Paths, problems: list[Problem], free: int) -> dict[str, Any]:
    """Which models are here, and whether others can be had."""
    try:
        from qwenchat.engine.local import hub  # noqa: PLC0415  (may be what is broken)
        from qwenchat.engine.local.inventory import models_here  # noqa: PLC0415  (may be what is broken)
    except ImportError as error:
        said = say("Models cannot be looked for: {error}.", error=error)
        problems.append(Problem(said, say("Install qwenchat again."), broken=True))
        return {"models": [], "hub_reachable": False}
    models, reachable = [model.name for model in models_here(paths)], hub.reachable()
    if not models:
        pull = say("`qwenchat models pull qwen3-0.6b` fetches one.")
        remedy = pull if reachable else say("Connect to the internet once.")
        problems.append(Problem(say("No model is on this machine yet."), remedy))
        if free < SMALLEST_DISK:
            room = say("Only {free:.1f} GB are free for models in {folder}.", free=free / 1e9, folder=paths.cache)
            problems.append(Problem(room, say("Free some space, or set QWENCHAT_HOME.")))
    return {"models": models, "hub_reachable": reachable}


def _library(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """How many conversations there are, and which backups; the files are only read."""
    found = backups(path)
    sound = last_backup(path)
    for aside in set_aside_before(path):
        remedy = sentences(_described(sound), say("Remove the damaged file when it is of no more use."))
        problems.append(Problem(say("A damaged library was set aside as {aside}.", aside=aside), remedy))
    return {"conversations": _conversations(path, sound, problems), "backups": [_listed(backup) for backup in found]}


def _conversations(path: Path, sound: Backup | None, problems: list[Problem]) -> int | None:
    if is_interrupted(path):
        said = say("A program died while it put a library in place of {path}.", path=path)
        problems.append(Problem(said, say("The next start of qwenchat ends it.")))
    try:
        return count_conversations(path)
    except LibraryNewer as error:
        problems.append(Problem(error.what, error.remedy, broken=True))
    except LibraryDamaged as error:
        remedy = sentences(
            say("It is never deleted: the next start sets it aside and takes over what can be read."), _described(sound)
        )
        problems.append(Problem(error.what, remedy))
    except LibraryError as error:
        problems.append(Problem(error.what, error.remedy))
    return None


def _described(backup: Backup | None) -> str:
    """Which backup of the library there is, in words."""
    if backup is None:
        return say("There is no sound backup.")
    return say(
        "The last sound backup is of {made:%Y-%m-%d %H:%M}; what was saved later is not in it. "
        "`qwenchat doctor --restore {name}` puts it in place.",
        made=backup.made,
        name=backup.path.name,
    )


def _listed(backup: Backup) -> str:
    return f"{backup.path.name} ({backup.made:%Y-%m-%d %H:%M}, {backup.size / 1e6:.1f} MB)"


def _folders(paths: Paths, problems: list[Problem]) -> None:
    for folder in (paths.config, paths.data, paths.cache, paths.logs):
        existing = _existing(folder)
        if not (existing.is_dir() and os.access(existing, os.W_OK)):
            wrong = say("{place} cannot be written.", place=existing)
            problems.append(Problem(wrong, say("Set QWENCHAT_HOME to another folder.")))


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _in_words(value: object) -> str:
    match value:
        case None:
            return say("unknown")
        case bool():
            return say("yes") if value else say("no")
        case list():
            return listed(map(str, value)) or say("none")
        case _:
            return safe_line(str(value), 1000)
