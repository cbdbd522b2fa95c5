"""The process around the commands: streams, signals, errors and the exit code."""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from qwenchat.chat.errors import ConfigInvalid, QwenchatError
from qwenchat.chat.text import safe
from qwenchat.i18n.texts import say, sentences
from qwenchat.system.type_ahead import type_ahead


def run(program: click.Group) -> NoReturn:
    """Run the command line and end the process; errors go to standard error, with the exit code scripts expect."""
    _prepare_streams()
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _terminate)
    _leave(_exit_code(program))


def _notify(text: str) -> None:
    from qwenchat.console.notice import notify  # noqa: PLC0415  (imports rich, for which the help has no use)

    notify(text)


@contextmanager
def said_if_waiting(file: Path | None = None, *, after_s: float = 1.0) -> Iterator[None]:
    """Say that `file`, or standard input, is waited for, when reading it takes longer than a moment."""
    if file is not None:
        waiting = say("Waiting for somebody to write {file}.", file=file)
    else:
        waiting = say("Waiting for the end of standard input; < /dev/null leaves it out.")
    timer = threading.Timer(after_s, _notify, (waiting,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def system_error_text(error: OSError) -> str:
    """What the system could not do, without its number."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}." if error.filename is not None else f"{reason}."


def _show(error: click.ClickException) -> None:
    """Click's words, which repeat what was typed."""
    words = io.StringIO()
    error.show(words)
    click.echo(safe(words.getvalue()), nl=False, err=True)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _exit_code(program: click.Group) -> int:
    try:
        program.main(prog_name="qwenchat", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except BrokenPipeError:
        drop_output()
    except QwenchatError as error:
        _notify(str(error))
        return 2 if isinstance(error, ConfigInvalid) else 1
    except OSError as error:
        _notify(system_error_text(error))
        return 1
    except Exception as error:  # noqa: BLE001  (a traceback helps nobody, and may hold what a terminal obeys)
        _unforeseen(error)
        return 1
    return 0


def _unforeseen(error: Exception) -> None:
    """One line of what nobody foresaw; the log has the rest."""
    from qwenchat.system.log import keep_log  # noqa: PLC0415  (for this alone)
    from qwenchat.system.paths import Paths  # noqa: PLC0415  (for this alone)

    log = logging.getLogger("qwenchat")
    if not log.handlers:
        keep_log(Paths.of_user().log_file)
    log.error("the program failed", exc_info=error)
    _notify(sentences(say("The program failed: {error!r}.", error=error), say("The log has more.")))


def _leave(code: int) -> NoReturn:
    """End the process; at once where the engine's thread has not ended, since torch survives no orderly end then."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
    except OSError as error:
        drop_output()
        _notify(system_error_text(error))
        code = code or 1
    type_ahead.give_back()
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)


def drop_output() -> None:
    """Let nothing be flushed into a closed pipe on the way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _prepare_streams() -> None:
    """Streams that take any text, also where the locale is not UTF-8 or a stream was closed by the caller."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115  (lives as long as the process)
        elif mode == "w":
            stream.reconfigure(errors="replace")
