"""Commands that run without root's power over file permissions, so that a read-only folder is one for them."""

import os
import shutil

import pytest


def unprivileged(command: list[str]) -> list[str]:
    """The command, to be run as an ordinary user would run it; skips the test where root cannot arrange that."""
    if os.getuid() != 0:
        return command
    if shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv to give its power up")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
