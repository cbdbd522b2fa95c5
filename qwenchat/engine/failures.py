"""Errors of libraries as errors of ours; that memory ran out is reported by them in many ways."""

import errno
from collections.abc import Iterator

from qwenchat.chat.errors import EngineFailed, OutOfMemory, QwenchatError
from qwenchat.i18n.texts import say

_WORDS = (
    "allocate memory",
    "not enough memory",
    "out of memory",
    "alloc_failed",
    "bad_alloc",
    "failed to map segment",  # the loader of shared objects
    "can't start new thread",
    "without exception set",  # an extension that raised nothing when malloc returned nothing
    "without setting an exception",
    "error return without",
)


def load_failure(error: Exception) -> QwenchatError:
    """Why a model could not be loaded, for the user."""
    if is_out_of_memory(error):
        return OutOfMemory(
            say("There is too little memory to load the model."), say("Close other programs or choose a smaller model.")
        )
    return EngineFailed(say("The model could not be loaded: {error!r}.", error=error), say("The log has more."))


def turn_failure(error: Exception) -> QwenchatError:
    """Why a reply could not be finished, for the user."""
    if is_out_of_memory(error):
        return OutOfMemory(say("Memory ran out during the reply."), say("Start a new chat or a smaller model."))
    return EngineFailed(say("The model failed during the reply: {error!r}.", error=error), say("Try again."))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or an error that led to it, means that memory ran out."""
    return any(_says_so(cause) for cause in _causes(error))


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError | SystemError | ImportError | OSError) and any(
        word in said for word in _WORDS
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
