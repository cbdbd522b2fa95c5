"""Models of the Hugging Face Hub: in its cache on this machine, or fetched."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants

from qwenchat.chat.errors import HubUnreachable
from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.shards import is_complete
from qwenchat.i18n.texts import say

PROBE_S = 2.5
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def cached(name: str) -> Path | None:
    """The folder of a complete snapshot of `name` in the Hub's cache; None without one."""
    repository = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    try:
        folder = repository / "snapshots" / (repository / "refs" / "main").read_text("utf-8").strip()
        return folder if is_complete(folder) else None
    except (OSError, ValueError):
        return None


def reachable() -> bool:
    """Whether the Hub, or the proxy on the way to it, answers; known within three seconds."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    try:
        host, port = _first_hop(constants.ENDPOINT)
    except ValueError:
        return False
    answered = threading.Event()

    def probe() -> None:
        try:
            with socket.create_connection((host, port), timeout=PROBE_S):
                answered.set()
        except (OSError, ValueError):
            return

    thread = threading.Thread(target=probe, name="hub-probe", daemon=True)
    thread.start()
    thread.join(PROBE_S)
    return answered.is_set()


def _first_hop(endpoint: str) -> tuple[str, int]:
    """Host and port of what a request to `endpoint` connects to first; raises ValueError for an unusable address."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  (slow)

    address = urlsplit(endpoint)
    if address.hostname and not proxy_bypass(address.hostname):
        proxies = getproxies()
        proxy = proxies.get(address.scheme) or proxies.get("all")
        if proxy:
            address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if not address.hostname:
        raise ValueError(f"{endpoint} names no host")
    return address.hostname, address.port or _PORTS.get(address.scheme, 80)


def download(name: str, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> Path:
    """Fetch `name` into the Hub's cache and return its folder.

    What is complete is kept, and a broken download is resumed. Raises HubUnreachable, ModelNotFound,
    ModelUnsupported, DownloadFailed, ModelError for a model that wants permission, and Stopped.
    """
    if not reachable():
        raise HubUnreachable(
            say("{name} is not on this machine, and the Hugging Face Hub cannot be reached.", name=name),
            say("Connect to the internet, or name a folder or GGUF file with --model."),
        )
    from qwenchat.engine.local import hub_download  # noqa: PLC0415  (imports the Hub's client)

    return hub_download.download(name, progress, stop)
