"""What this machine has and what is wrong with it."""

import os
import platform
import sqlite3
from importlib.metadata import version

import psutil

from qwenchat.paths import Paths


def examine(paths: Paths) -> dict[str, object]:
    """Versions, device, memory, CPU features, folders, models here, problems; every value fits JSON."""
    from qwenchat.engine.local.catalog import models_here  # noqa: PLC0415  (torch comes with it)
    from qwenchat.engine.local.hardware import cpu_features, devices  # noqa: PLC0415

    memory = psutil.virtual_memory()
    models = [model.name for model in models_here(paths)]
    problems = []
    for folder in (paths.config, paths.data, paths.cache, paths.logs):
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not (existing.is_dir() and os.access(existing, os.W_OK)):
            problems.append(f"{existing} cannot be written; set QWENCHAT_HOME to another folder")
    if not models:
        problems.append("no model is on this machine yet; `qwenchat models pull qwen3-0.6b` fetches one")
    return {
        "qwenchat": version("qwenchat"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "textual": version("textual"),
        "sqlite": sqlite3.sqlite_version,
        "platform": platform.platform(),
        "devices": list(devices()),
        "cpu_features": list(cpu_features()),
        "cores": psutil.cpu_count(logical=False) or 1,
        "memory_gb": round(memory.total / 1e9, 1),
        "memory_free_gb": round(memory.available / 1e9, 1),
        "config": str(paths.config_file),
        "data": str(paths.database),
        "cache": str(paths.models),
        "log": str(paths.log_file),
        "models": models,
        "problems": problems,
    }
