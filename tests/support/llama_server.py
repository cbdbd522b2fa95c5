"""llama.cpp's own server in a process of its own: python llama_server.py MODEL ALIAS."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def llama_server(model: Path, alias: str) -> Iterator[str]:
    """The address of a server that has `model`."""
    with subprocess.Popen(
        [sys.executable, __file__, str(model), alias], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            url = next(line for line in process.stdout if line.startswith("http")).strip()
            _wait_until_healthy(url)
            yield url
        finally:
            process.kill()


def _wait_until_healthy(url: str) -> None:
    for _ in range(500):
        with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.02)
    raise TimeoutError(url)


def _serve(model: str, alias: str) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {alias}
    params.n_ctx = 2048
    params.port = 0
    params.use_jinja = True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_parallel = 2
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201
    while True:
        time.sleep(60)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
