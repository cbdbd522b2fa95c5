"""What the name of a file may become that is being written: `@notes.md`, `@~/plans/`, `@"with spaces.txt"`."""

from qwenchat.session.attachments import begun
from qwenchat.tui.text.completion import Choice


def choices(word: str) -> tuple[Choice, ...]:
    """The files and folders that what is written of `word` may become; hidden ones once their dot is written."""
    if word.strip('@"') == "~":
        return (Choice("@~/", "~/", goes_on=True),)
    return tuple(_choice(path) for path in begun(word))


def _choice(path: str) -> Choice:
    name = path.rstrip("/").rpartition("/")[2]
    spaced = any(character.isspace() for character in path)
    if path.endswith("/"):
        return Choice(f'@"{path}' if spaced else f"@{path}", f"{name}/", goes_on=True)
    return Choice(f'@"{path}" ' if spaced else f"@{path} ", name)
