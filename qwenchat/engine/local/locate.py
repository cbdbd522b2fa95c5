"""Which model is used, and where it lies."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qwenchat.chat.errors import ModelError, ModelNotFound, OutOfMemory
from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.suggest import did_you_mean
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import embedded, hub
from qwenchat.engine.local.catalog import HUB_NAMES, KNOWN, KnownModel, find
from qwenchat.engine.local.gguf_parts import name_of
from qwenchat.i18n.texts import say
from qwenchat.system.paths import Paths

DEFAULT = KNOWN[0]


@dataclass(frozen=True, slots=True)
class LocatedModel:
    """A model on this machine."""

    path: Path
    """A folder with config.json and safetensors, or a GGUF file."""
    name: str
    revision: str
    reason: str = ""
    """Why this one, in words for the reader; empty when it was asked for."""


def locate(
    name: str | None,
    *,
    paths: Paths,
    progress: Callable[[LoadProgressed], None],
    stop: StopSignal,
    check: Callable[[KnownModel], None] = lambda known: None,
) -> LocatedModel:
    """The model that was asked for, or the best that can be had, fetched if need be.

    Without a name: Qwen3-0.6B from this machine, else from the Hub, else the embedded SmolLM2. `check` is asked
    before a known model is used, and raises ModelError for one that cannot be. Raises ModelError and Stopped.
    """
    if name is None:
        return _default(paths, progress, stop, check)
    path = _path(name)
    if path is not None:
        return LocatedModel(path, name_of(path) if path.is_file() else path.resolve().name, "")
    if _is_embedded(name):
        return _embedded(paths, progress, stop)
    known = find(name)
    if known is not None:
        check(known)
    full = known.hub_name if known else name
    _require_hub_name(full)
    folder = hub.cached(full) or hub.download(full, progress, stop)
    return LocatedModel(folder, full, folder.name)


def require_name(name: str) -> None:
    """Refuse at once what can be no model. Raises ModelNotFound: no file or folder, no known name, none of the Hub."""
    if _path(name) is None and not _is_embedded(name) and find(name) is None:
        _require_hub_name(name)


def _require_hub_name(name: str) -> None:
    if name.count("/") != 1 or name.lower().endswith(".gguf") or name.startswith((".", "/", "~")):
        hint = did_you_mean(name, (*HUB_NAMES, "smollm2"), most=3) or say("`qwenchat models` lists what is known.")
        raise ModelNotFound(say("There is no model {name}: no such folder, file or known name.", name=name), hint)


def _is_embedded(name: str) -> bool:
    return name.lower() in ("smollm2", embedded.NAME.lower())


def _path(name: str) -> Path | None:
    """The file or folder of that name; None if there is none, or no path could be called so."""
    try:
        path = Path(name).expanduser()
        return path if name.strip() and path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _default(
    paths: Paths,
    progress: Callable[[LoadProgressed], None],
    stop: StopSignal,
    check: Callable[[KnownModel], None],
) -> LocatedModel:
    try:
        check(DEFAULT)
    except OutOfMemory as error:
        reason = say("{error} So the small SmolLM2 answers; it cannot think.", error=error.what)
        return _embedded(paths, progress, stop, reason)
    folder = hub.cached(DEFAULT.hub_name)
    reason = say(
        "Qwen3-0.6B is not on this machine and the Hugging Face Hub cannot be reached, so the small SmolLM2 answers; "
        "it cannot think. Once online, `qwenchat models pull qwen3-0.6b` gets Qwen3."
    )
    if folder is None:
        progress(LoadProgressed(say("looking for the Hugging Face Hub")))
        if hub.reachable():
            try:
                folder = hub.download(DEFAULT.hub_name, progress, stop)
            except ModelError as error:
                reason = say(
                    "Qwen3-0.6B could not be had from the Hugging Face Hub ({error}), so the small SmolLM2 answers; "
                    "it cannot think. Once online, `qwenchat models pull qwen3-0.6b` gets Qwen3.",
                    error=error.what.rstrip(".。"),
                )
    if folder is not None:
        return LocatedModel(folder, DEFAULT.hub_name, folder.name)
    return _embedded(paths, progress, stop, reason)


def _embedded(
    paths: Paths, progress: Callable[[LoadProgressed], None], stop: StopSignal, reason: str = ""
) -> LocatedModel:
    return LocatedModel(embedded.fetch(paths.models, progress, stop), embedded.NAME, embedded.REVISION, reason)
