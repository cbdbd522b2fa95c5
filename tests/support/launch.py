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

from fake_engine import FakeEngine, Script

from qwenchat.chat.errors import EngineFailed, ModelNotFound
from qwenchat.chat.provenance import FinishReason
from qwenchat.cli import main, wiring

engine = json.loads(sys.argv.pop(1))
if "load_error" in engine:
    engine["load_error"] = ModelNotFound(engine["load_error"], "Try another.")
scripts = engine.pop("scripts", [{}])
for script in scripts:
    script["answer"] = script.get("answer", "Paris is the capital of France.") * script.pop("times", 1)
    if "finish" in script:
        script["finish"] = FinishReason(script["finish"])
    if "bug" in script:
        script["error"] = RuntimeError(script.pop("bug"))
    elif "error" in script:
        script["error"] = EngineFailed(script["error"], "Ask again.")
release = engine.pop("release", None)
never_made = engine.pop("never_made", False)
fake = FakeEngine([Script(**script) for script in scripts], **engine)


def release_when_told(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)
    fake.release()


if release is not None:
    threading.Thread(target=release_when_told, args=(Path(release),), daemon=True).start()
wiring.make_engine = lambda: threading.Event().wait() if never_made else fake
main.main()
