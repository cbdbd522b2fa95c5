"""Models of the Hugging Face Hub: in its cache on this machine, or fetched."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from tqdm.auto import tqdm

from qwenchat.chat.errors import DownloadFailed, HubUnreachable, ModelError, ModelNotFound
from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.base import Stopped, StopSignal

WANTED = ["*.json", "*.safetensors", "*.jinja"]
"""What is fetched: never pickles, never code."""
PROBE_S = 2.5


def cached(name: str) -> Path | None:
    """The folder of a complete snapshot of `name` in the Hub's cache; None without one."""
    try:
        folder = Path(huggingface_hub.snapshot_download(name, local_files_only=True, allow_patterns=WANTED))
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    complete = (folder / "config.json").exists() and any(folder.glob("*.safetensors"))
    return folder if complete else None


def reachable() -> bool:
    """Whether the Hub answers; known within three seconds, however the network fails."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    address = urlsplit(huggingface_hub.constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    answered = threading.Event()

    def probe() -> None:
        try:
            with socket.create_connection((address.hostname or "", port), timeout=PROBE_S):
                answered.set()
        except OSError:
            return

    thread = threading.Thread(target=probe, name="hub-probe", daemon=True)
    thread.start()
    thread.join(PROBE_S)
    return answered.is_set()


def download(name: str, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> Path:
    """Fetch `name` into the Hub's cache and return its folder.

    What is complete is kept, and a broken download is resumed. Raises HubUnreachable, ModelNotFound, DownloadFailed
    and Stopped.
    """
    if not reachable():
        raise HubUnreachable(
            f"{name} is not on this machine, and the Hugging Face Hub cannot be reached.",
            "Connect to the internet, or name a folder or GGUF file with --model.",
        )
    step = f"downloading {name}"

    class Bar(tqdm):  # type: ignore[misc]
        """Passes what huggingface_hub reports of bytes on to `progress`."""

        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **options | {"disable": True})
            self.total = options.get("total") or 0
            self.bytes = options.get("unit") == "B"

        def update(self, n: float | None = 1) -> bool | None:
            if stop.is_set():
                raise Stopped
            if self.bytes:
                self.n += n or 0
                progress(LoadProgressed(step, int(self.n), int(self.total or 0)))
            return None

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=WANTED, tqdm_class=Bar))
    except GatedRepoError as error:
        raise ModelError(f"{name} wants its licence accepted.", "Do so on its page and set HF_TOKEN.") from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(f"The Hugging Face Hub has no model {name}.", "Check the name.") from error
    except (HfHubHTTPError, OSError) as error:
        raise DownloadFailed(f"Downloading {name} broke off: {error}.", "Try again; it will be resumed.") from error
