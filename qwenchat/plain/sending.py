"""What goes to the model of a message that was typed: its text, and the files that it names."""

from qwenchat.chat.messages import Message, TextPart
from qwenchat.chat.text import safe_line
from qwenchat.console.notice import notify
from qwenchat.i18n.texts import count, say, size
from qwenchat.session.attachments import read, words


def parts_of(text: str) -> tuple[TextPart, ...]:
    """The text with the files below it, having said what was attached. Raises AttachmentRefused."""
    parts = [TextPart(text)]
    for word in dict.fromkeys(word for _, word in words(text)):
        name = safe_line(word.removeprefix("@").strip('"'))
        attachment = read(word)
        if attachment is None:
            notify(say("There is no file {name}; {word} goes as plain text.", name=name, word=safe_line(word)))
            continue
        lines = count("{number:,} line", "{number:,} lines", len(attachment.text.splitlines()))
        weight = size(len(attachment.text.encode(errors="replace")))
        notify(say("Attached {name}: {lines}, {size}.", name=name, lines=lines, size=weight))
        parts.append(attachment.part())
    return tuple(parts)


def typed_of(message: Message) -> str:
    """A message as it was typed, without the files that went with it."""
    parts = (part for part in message.parts if isinstance(part, TextPart))
    return "".join(part.text for part in parts if not part.origin.startswith("@"))
