"""`qwenchat` and `python -m qwenchat`: the terminal first, then everything else."""

import os
import sys

from qwenchat.system.type_ahead import type_ahead


def main() -> None:
    """Run the command line and end the process."""
    type_ahead.take(sys.argv[1:], os.environ)
    try:
        from qwenchat.cli.main import main as run  # noqa: PLC0415  (slow)

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
