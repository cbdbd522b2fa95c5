"""The real program over a scripted engine: `python launch.py ENGINE [ARGUMENTS OF QWENCHAT]`, ENGINE being JSON."""

import json
import sys

from fake_engine import FakeEngine, Script

from qwenchat import cli
from qwenchat.chat.errors import EngineFailed, ModelNotFound

engine = json.loads(sys.argv.pop(1))
if "load_error" in engine:
    engine["load_error"] = ModelNotFound(engine["load_error"], "Try another.")
scripts = engine.pop("scripts", [{}])
for script in scripts:
    script["answer"] = script.get("answer", "Paris is the capital of France.") * script.pop("times", 1)
    if "error" in script:
        script["error"] = EngineFailed(script["error"], "Ask again.")
cli.make_engine = lambda: FakeEngine([Script(**script) for script in scripts], **engine)
cli.main()
