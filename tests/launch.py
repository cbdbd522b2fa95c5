"""The real program over a scripted engine: `python launch.py JSON [ARGUMENTS OF QWENCHAT]`."""

import json
import sys

from fake_engine import FakeEngine, Script

from qwenchat import cli

engine = json.loads(sys.argv.pop(1))
holds = engine.pop("loading_holds", False)
scripts = [Script(**script) for script in engine.pop("scripts", [{}])]
cli.make_engine = lambda: FakeEngine(scripts, loading_holds=holds, **engine)
cli.main()
