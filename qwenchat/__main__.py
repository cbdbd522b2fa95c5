"""`qwenchat` and `python -m qwenchat`: the terminal first, then everything else."""

import os
import sys

from qwenchat.system.clock import clock_is_usable
from qwenchat.system.quick_imports import quick_imports
from qwenchat.system.type_ahead import type_ahead


def main() -> None:
    """Run the command line and end the process."""
    if not clock_is_usable():
        from qwenchat.i18n.texts import say, sentences  # noqa: PLC0415  (not needed otherwise)

        what = say("The clock of this machine shows a year after 2261, which Python cannot work with.")
        sys.exit(f"qwenchat: {sentences(what, say('Set the clock.'))}")
    type_ahead.take(sys.argv[1:], os.environ)
    try:
        with quick_imports():
            from qwenchat.cli.main import main as run  # noqa: PLC0415  (slow)
        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
