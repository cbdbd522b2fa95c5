"""What can go wrong, as types: each error says what happened and what to do about it.

QwenchatError                 an error that a person can act on
├── ConfigInvalid             a setting, theme or option
├── PromptEmpty, PromptTooLong, TurnInProgress, NoThought, MessageNotFound
├── ModelError                a model could not be found, fetched, read or run
│   ├── ModelNotFound, ModelDamaged, ModelUnsupported
│   ├── HubUnreachable, DownloadFailed
│   ├── OutOfMemory, DeviceFailed, EngineFailed
│   └── ServerError           a server that was asked for a model
│       └── ServerUnreachable, ServerRefused, ServerBusy, ServerSilent, ServerFaulty
├── LibraryError              saved conversations
│   ├── LibraryUnwritable
│   │   └── MessageTooLarge
│   ├── LibraryDamaged, LibraryNewer, LibraryInUse
│   └── ConversationPresent, ConversationNotFound
├── ImportFailed, ExportFailed
└── ToolError                 a call of a tool; it costs that call alone
    └── CallMalformed, ToolUnavailable, ToolRefused, ToolFailed
"""

from qwenchat.i18n.texts import say, sentences


class QwenchatError(Exception):
    """An error that a person can act on.

    `what` names the thing (file, address, model) and what happened to it; `remedy` names the way out.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return sentences(self.what, self.remedy)


class ConfigInvalid(QwenchatError):
    """A setting, theme or option that cannot be used."""


class PromptEmpty(QwenchatError):
    """Nothing was asked."""


class PromptTooLong(QwenchatError):
    """One message does not fit the context window; carries both counts in tokens."""

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(
            say(
                "The message is too long for this model: {tokens:,} tokens, and {limit:,} fit.",
                tokens=tokens,
                limit=limit,
            ),
            say("Shorten it, or use a model with a larger context window."),
        )
        self.tokens = tokens
        self.limit = limit

    def __reduce__(self) -> tuple[type["PromptTooLong"], tuple[int, int]]:
        return type(self), (self.tokens, self.limit)


class TurnInProgress(QwenchatError):
    """A turn was started while another is running."""


class NoThought(QwenchatError):
    """There is no thought that could be ended or gone on from."""


class MessageNotFound(QwenchatError):
    """No message has that id."""


class ModelError(QwenchatError):
    """A model could not be found, fetched, read or run."""


class ModelNotFound(ModelError):
    """No such folder, file or Hub name, or a folder without weights."""


class ModelDamaged(ModelError):
    """A weights, tokenizer or configuration file that cannot be read."""


class ModelUnsupported(ModelError):
    """A format or architecture this program cannot run."""


class HubUnreachable(ModelError):
    """The Hugging Face Hub did not answer."""


class DownloadFailed(ModelError):
    """A download broke off or the disk is full; what is complete was kept."""


class OutOfMemory(ModelError):
    """The model or the context does not fit the memory of the device."""


class DeviceFailed(ModelError):
    """A GPU failed, or its memory ran out; the CPU can take over."""


class EngineFailed(ModelError):
    """The model raised while it was running; the text produced so far is kept."""


class LibraryError(QwenchatError):
    """Saved conversations could not be read or written."""


class LibraryUnwritable(LibraryError):
    """The data folder cannot be written: read-only, full, or broken."""


class MessageTooLarge(LibraryUnwritable):
    """A message that is longer than a library can hold; others can be saved."""


class LibraryDamaged(LibraryError):
    """The database is corrupt; it was set aside, never deleted."""


class LibraryNewer(LibraryError):
    """The database was written by a newer qwenchat; it was left untouched."""


class LibraryInUse(LibraryError):
    """The database cannot be replaced while another program has it open."""


class ConversationPresent(LibraryError):
    """The conversation that is to be taken in is here already, with the same messages."""


class ConversationNotFound(LibraryError):
    """No saved conversation has that id, or several begin with it."""


class ImportFailed(QwenchatError):
    """A file of conversations that cannot be read."""


class ExportFailed(QwenchatError):
    """An export that cannot be written; what was there before is untouched."""


class ToolError(QwenchatError):
    """A call of a tool that came to nothing; it costs that call alone. Worded for the model too."""


class CallMalformed(ToolError):
    """A call that cannot be read."""


class ToolUnavailable(ToolError):
    """There is no such tool, or the server that has it cannot be started or reached."""


class ToolRefused(ToolError):
    """The tool does not do what was asked of it: outside the allowed folders, addresses or limits."""


class ToolFailed(ToolError):
    """The tool, or the server that has it, failed or took too long."""


class ServerError(ModelError):
    """A server could not be reached, refused, or answered with something that is no reply; what came before is kept."""


class ServerUnreachable(ServerError):
    """Nothing answers at the address."""


class ServerRefused(ServerError):
    """The server wants a key, or does not accept the one it got."""


class ServerBusy(ServerError):
    """The server has too much to do, or too much was asked of it."""


class ServerSilent(ServerError):
    """The server sent nothing for too long."""


class ServerFaulty(ServerError):
    """The server answered with an error, or with what is no chat completion."""
