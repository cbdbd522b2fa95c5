"""The files that a draft names, as they are read while it is written."""

import asyncio
from collections.abc import Mapping

from qwenchat.chat.messages import TextPart
from qwenchat.i18n.texts import say
from qwenchat.session import attachments
from qwenchat.session.attachments import Attachment, AttachmentRefused, read


class DraftFiles:
    """The files that a draft names, read while it is written and once more when it is sent."""

    def __init__(self) -> None:
        self._read: dict[str, Attachment | AttachmentRefused | None] = {}

    @property
    def attached(self) -> tuple[Attachment, ...]:
        """Those that can go with the message, in the order in which they were first named."""
        return tuple(one for one in self._read.values() if isinstance(one, Attachment))

    @property
    def refused(self) -> tuple[AttachmentRefused, ...]:
        """Why others cannot."""
        return tuple(one for one in self._read.values() if isinstance(one, AttachmentRefused))

    @property
    def missing(self) -> tuple[str, ...]:
        """Words that look like paths, and name no file."""
        return tuple(word for word, one in self._read.items() if one is None and attachments.is_path(word))

    def is_known(self, text: str) -> bool:
        """Whether every word of `text` that may name a file was looked at, and none besides."""
        return {word for _, word in attachments.words(text)} == self._read.keys()

    async def look(self, text: str) -> None:
        """Read the files that are newly named in `text`, and forget those that are not named any more."""
        words = dict.fromkeys(word for _, word in attachments.words(text))
        found = {word: self._read[word] if word in self._read else await _looked_at(word) for word in words}
        self._read = found

    async def for_sending(self, text: str, earlier: Mapping[str, TextPart]) -> tuple[TextPart, ...]:
        """The files that `text` names, as they are now; one of `earlier`, which a former version of the message had,
        as it was then if it is not there any more. Raises AttachmentRefused, also for a file that is gone.
        """
        known = {word for word, one in self._read.items() if one is not None}
        self._read = {}
        await self.look(text)
        parts = []
        for word, one in self._read.items():
            if isinstance(one, Attachment):
                parts.append(one.part())
            elif word in earlier:
                parts.append(earlier[word])
            elif one is not None or word in known:
                refused = one or AttachmentRefused(word, say("it is gone"))
                self._read[word] = refused
                raise refused
        return tuple(parts)


async def _looked_at(word: str) -> Attachment | AttachmentRefused | None:
    try:
        return await asyncio.to_thread(read, word)
    except AttachmentRefused as refused:
        return refused
