"""`qwenchat` and `python -m qwenchat`: the terminal first, then everything else."""

import os
import sys

from qwenchat.system.clock import clock_is_usable
from qwenchat.system.open_files import FEWEST, open_files_allowed
from qwenchat.system.quick_imports import quick_imports
from qwenchat.system.type_ahead import type_ahead


def _problem() -> str:
    """Why nothing can run on this machine as it is, and what to do; empty where it can."""
    if clock_is_usable() and (allowed := open_files_allowed()) >= FEWEST:
        return ""
    from qwenchat.i18n.texts import say, sentences  # noqa: PLC0415  (not needed otherwise)

    if not clock_is_usable():
        what = say("The clock of this machine shows a year after 2261, which Python cannot work with.")
        return sentences(what, say("Set the clock."))
    what = say("Only {number} files may be open at once here, which is too few.", number=allowed)
    return sentences(what, say("Allow more: `ulimit -n 256`, in a new shell."))


def main() -> None:
    """Run the command line and end the process."""
    if problem := _problem():
        sys.exit(f"qwenchat: {problem}")
    type_ahead.take(sys.argv[1:], os.environ)
    try:
        with quick_imports():
            from qwenchat.cli.main import main as run  # noqa: PLC0415  (slow)
        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
