"""Damage to the files of a library, and what must hold after it: nothing crashes, and nothing readable is lost."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.messages import Message, Role, Status, TextPart
from qwenchat.library.exchange.export import ExportFormat, read_whole, written
from qwenchat.library.library import Library
from qwenchat.library.maintenance import Maintenance
from qwenchat.library.restore import restore
from qwenchat.reports.doctor import _library

NAME = "c.sqlite3"
Texts = set[str]


def user(text: str, parent: str | None = None) -> Message:
    return Message(Role.USER, (TextPart(text),), parent)


def make(folder: Path, *, backup: bool) -> Path:
    """A library with every kind of row, free pages, long values, an index and perhaps a backup."""
    path = folder / NAME
    library = Library.open(path)
    for at in range(10):
        messages: list[Message] = []
        for turn in range(6):
            words = f"c{at} t{turn} " + f"word{turn} " * (30 if at < 8 else 1500)
            messages.append(user(words, messages[-1].id if messages else None))
        library.save_all(f"c{at}", messages)
        library.save_draft(f"c{at}", f"draft {at}")
    library.pin("c1", True)
    library.archive("c2", True)
    library.delete("c9")
    library.search("word1")
    library.close()
    if backup:
        upkeep = Maintenance(path, 0)
        assert upkeep.wait(20)
        upkeep.close()
    library = Library.open(path)
    library.save("late", user("after the backup"))
    library.close()
    return path


@dataclass
class Counts:
    """What became of the damaged libraries."""

    tried: int = 0
    unharmed: int = 0
    rescued: int = 0
    refused: int = 0
    kept: int = 0
    """Messages that could be read before and were there after."""

    def __str__(self) -> str:
        return (
            f"{self.tried} damaged libraries: {self.unharmed} opened as they were, {self.rescued} set aside and taken"
            f" over, {self.refused} refused with a reason; {self.kept} readable messages, none lost"
        )


def damages(chance: random.Random, files: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    """The files of a library, each time damaged in another way."""
    main = files[NAME]
    pages = len(main) // 4096
    while True:
        kind = chance.randrange(12)
        data = bytearray(main)
        others: dict[str, bytes] = {}
        at = chance.randrange(len(data))
        page = chance.randrange(pages) * 4096
        match kind:
            case 0 | 1 | 2:
                data[at] = chance.randrange(256)
            case 3:
                data[chance.randrange(100)] = chance.randrange(256)
            case 4:
                data[chance.randrange(100, 4096)] = chance.randrange(256)
            case 5:
                data[page + chance.randrange(12)] ^= 1 << chance.randrange(8)
            case 6:
                size = chance.choice((2, 16, 64, 512, 4096))
                data[at : at + size] = chance.randbytes(min(size, len(data) - at))
            case 7:
                data[page : page + 4096] = chance.choice((bytes(4096), b"\xff" * 4096, main[:4096]))
            case 8:
                del data[chance.randrange(len(data)) :]
            case 9:
                data += chance.randbytes(chance.choice((1, 100, 4096, 10_000)))
            case 10:
                suffix = chance.choice(("-journal", "-wal", "-shm"))
                journal = chance.choice((chance.randbytes(5000), b"", journal_of(main, chance)))
                others[NAME + suffix] = journal
            case 11:
                for name, content in files.items():
                    changed = bytearray(content)
                    for _ in range(chance.randrange(1, 4)):
                        changed[chance.randrange(len(changed))] = chance.randrange(256)
                    others[name] = bytes(changed)
                data = bytearray(others.pop(NAME))
        yield files | {NAME: bytes(data)} | others


def journal_of(main: bytes, chance: random.Random) -> bytes:
    """A rollback journal of one page, with a byte that is wrong."""
    header = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + (1).to_bytes(4, "big") + bytes(4)
    header += (len(main) // 4096).to_bytes(4, "big") + (512).to_bytes(4, "big") + (4096).to_bytes(4, "big")
    page = chance.randrange(len(main) // 4096)
    content = main[page * 4096 : page * 4096 + 4096]
    journal = bytearray(header.ljust(512, b"\0") + (page + 1).to_bytes(4, "big") + content)
    sum_ = sum(content[at] for at in range(4096 - 200, 0, -200)) & 0xFFFFFFFF
    journal += sum_.to_bytes(4, "big")
    journal[chance.randrange(len(journal))] = chance.randrange(256)
    return bytes(journal)


def readable(files: dict[str, bytes], folder: Path) -> set[bytes]:
    """The messages that SQLite alone can still read, each by its number, as they are stored."""
    folder.mkdir()
    for name, content in files.items():
        if name.startswith(NAME):
            (folder / name).write_bytes(content)
    found: set[bytes] = set()
    with closing(sqlite3.connect(folder / NAME)) as connection:
        connection.text_factory = bytes
        for number in range(1, 70):
            with suppress(sqlite3.Error, UnicodeDecodeError):
                for (parts,) in connection.execute("select parts from messages where number = ?", (number,)):
                    found.add(bytes(parts))
    return found


def texts_of(library: Library) -> Texts:
    """What can be read through the program."""
    found: Texts = set()
    for archived in (False, True):
        for row in library.conversations(archived=archived):
            found |= {message.text for message in library.read(row.id).messages}
    return found


def use(library: Library) -> None:
    """All that the program does with a library; errors have names."""

    def allowed(action: Callable[[], object]) -> None:
        with suppress(QwenchatError):
            action()

    for action in (
        lambda: library.search("word1"),
        lambda: library.resolve("c"),
        library.latest,
        lambda: library.statistics(0),
        lambda: library.said_before(None),
        lambda: library.draft("c1"),
        lambda: [list(written([read_whole(library, "c1")], format)) for format in ExportFormat],
        lambda: library.save("c1", user("new")),
        lambda: library.save("new", Message(Role.ASSISTANT, (TextPart("half"),), status=Status.STREAMING)),
        lambda: library.rename("c1", ""),
        lambda: library.hide([message.id for message in library.read("c3").messages[1:2]]),
        lambda: library.delete("c4"),
    ):
        allowed(action)


def check(path: Path, files: dict[str, bytes], originals: dict[bytes, str], counts: Counts) -> None:
    """Open what is damaged as a start does, and use it; raises AssertionError where something readable is lost."""
    for name, content in files.items():
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / name).write_bytes(content)
    wanted = {originals[parts] for parts in readable(files, path.parent / "probe") if parts in originals}
    problems: list[object] = []
    _library(path, problems)  # type: ignore[arg-type]
    counts.tried += 1
    try:
        library = Library.open(path)
    except QwenchatError as error:
        assert error.remedy, error
        assert path.read_bytes() == files[NAME]
        counts.refused += 1
        restored(path)
        return
    there = texts_of(library)
    assert wanted <= there, f"lost: {[text[:20] for text in wanted - there]}; {library.notice}"
    counts.kept += len(wanted)
    asides = list(path.parent.glob(f"{NAME}.corrupt-*"))
    if asides:
        assert asides[0].name in library.notice
        counts.rescued += 1
    else:
        assert "not saved" not in library.notice, library.notice
        counts.unharmed += 1
    use(library)
    library.close()
    again = Library.open(path)
    assert again._connection.execute("pragma integrity_check(1)").fetchone()[0] == "ok"
    assert "corrupt" not in again.notice
    again.close()
    restored(path)


def restored(path: Path) -> None:
    """`doctor --restore` works or says why not."""
    with suppress(QwenchatError):
        restore(path)
        library = Library.open(path)
        assert library.conversations()
        library.close()
