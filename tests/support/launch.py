"""The real program over a scripted engine: `python launch.py ENGINE [ARGUMENTS OF QWENCHAT]`, ENGINE being JSON.

What the engine holds back is released when the file named by `release` appears; with `never_made` it takes forever
to be made, as an import of torch can seem to.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from qwenchat.system.type_ahead import type_ahead

type_ahead.take(sys.argv[2:], os.environ)

from fake_engine import engine_of

from qwenchat.cli import main, wiring

engine = json.loads(sys.argv.pop(1))
release = engine.pop("release", None)
never_made = engine.pop("never_made", False)
fake = engine_of(engine)


def release_when_told(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)
    fake.release()


if release is not None:
    threading.Thread(target=release_when_told, args=(Path(release),), daemon=True).start()
wiring.make_engine = lambda: threading.Event().wait() if never_made else fake
main.main()
