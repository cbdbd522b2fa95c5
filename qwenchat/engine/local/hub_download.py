"""Models fetched from the Hugging Face Hub by its own client, which takes long to import."""

import contextlib
import errno
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError
from tqdm.auto import tqdm

from qwenchat.chat.errors import DownloadFailed, ModelError, ModelNotFound, ModelUnsupported
from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.shards import is_complete
from qwenchat.i18n.texts import say

WANTED = ["*.json", "*.safetensors", "*.jinja"]
"""What is fetched: never pickles, never code."""
UNWANTED = ["*/*"]
"""Copies in other formats lie in folders of their own."""
STALL_S = 60.0
"""How long nothing may come before a download is given up."""


def download(name: str, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> Path:
    """See `hub.download`; the Hub was reached."""
    try:
        folder = _Download(name, progress, stop).wait()
    except (Stopped, ModelError):
        raise
    except GatedRepoError as error:
        raise ModelError(
            say("{name} wants its licence accepted.", name=name), say("Do so on its page and set HF_TOKEN.")
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(
            say("The Hugging Face Hub has no model {name}.", name=name), say("Check the name.")
        ) from error
    except HFValidationError as error:
        raise ModelNotFound(say("{name} is no name of a model.", name=name), say("Check the name.")) from error
    except Exception as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        raise DownloadFailed(
            say("Downloading {name} broke off: {error}.", name=name, error=error),
            say("Free some space; it will be resumed.") if full else say("Try again; it will be resumed."),
        ) from error
    if not any(folder.glob("*.safetensors")):
        raise ModelUnsupported(
            say("The Hub has no safetensors weights of {name}.", name=name), say("Choose another model.")
        )
    if not is_complete(folder):
        raise DownloadFailed(
            say("Downloading {name} left files out.", name=name), say("Try again; it will be resumed.")
        )
    return folder


class _Download:
    """One download on a thread of its own, so that a Hub that falls silent can be left."""

    def __init__(self, name: str, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> None:
        self._name, self._progress, self._stop = name, progress, stop
        self._left = threading.Event()
        self._received_at = time.monotonic()
        self._future: Future[str] = Future()

    def wait(self) -> Path:
        """The folder, when all is there; raises what the Hub's client raises, DownloadFailed, and Stopped."""
        threading.Thread(target=self._run, name="download", daemon=True).start()
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    return Path(self._future.result(timeout=0.05))
                if self._future.done():
                    return Path(self._future.result())
                if self._stop.is_set():
                    raise Stopped
                if time.monotonic() - self._received_at > STALL_S:
                    raise DownloadFailed(
                        say(
                            "Downloading {name} broke off: nothing came for {seconds:.0f} s.",
                            name=self._name,
                            seconds=STALL_S,
                        ),
                        say("Try again later."),
                    )
        finally:
            self._left.set()

    def received(self, done: int, total: int) -> None:
        """Report bytes; raises Stopped, in the client's thread, once nobody waits any more."""
        if self._left.is_set():
            raise Stopped
        self._received_at = time.monotonic()
        self._progress(LoadProgressed(say("downloading {name}", name=self._name), done, total))

    def _run(self) -> None:
        try:
            self._future.set_result(
                huggingface_hub.snapshot_download(
                    self._name, allow_patterns=WANTED, ignore_patterns=UNWANTED, tqdm_class=_bar(self)
                )
            )
        except BaseException as error:  # noqa: BLE001  (handed to the thread that waits)
            self._future.set_exception(error)


def _bar(download: _Download) -> type[tqdm]:
    """A progress bar that draws nothing and passes the bytes on."""

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            name = options.pop("name", None) or ""
            super().__init__(*args, **options | {"disable": True})
            self.total = options.get("total") or 0
            self._counts = options.get("unit") == "B" and not name.endswith(".transfer")

        def update(self, n: float | None = 1) -> bool | None:
            if self._counts:
                self.n += n or 0
                download.received(int(self.n), int(self.total or 0))
            return None

    return Bar
