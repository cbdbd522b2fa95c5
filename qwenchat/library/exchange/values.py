"""What in a JSON file may be a conversation: single objects, the elements of a list, or lines that are JSON each."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import IO, Any

from qwenchat.chat.errors import ImportFailed
from qwenchat.i18n.texts import say
from qwenchat.library.exchange import native
from qwenchat.library.exchange.parsed import ValueUnreadable
from qwenchat.library.exchange.scanner import LARGEST, FileCutOff, Scanner, decoded

MOST_MESSAGES = 200_000
"""In one conversation: more take longer than anybody waits, and a gigabyte."""
_MOST_NAMES = 10_000
"""How many names the object that is a whole file, or one of many in it, may have."""

Value = tuple[str, Any]
"""A position in a file and what stands there: the objects of JSON, or Unreadable."""


def is_lines(start: bytes) -> bool:
    """Whether each line is JSON by itself."""
    lines = start.split(b"\n")
    if len(lines) < 2 or lines[0].rstrip().endswith((b"{", b"[", b",", b":")):
        return False
    return any(_is_whole(line) for line in lines[:20])


def _is_whole(line: bytes) -> bool:
    try:
        return line.strip()[:1] in (b"{", b"[") and bool(decoded(line))
    except ValueUnreadable:
        return False


def by_line(file: IO[bytes]) -> Iterator[Value]:
    """The values of a file in which each line is JSON by itself; a broken line costs no other."""
    number = 0
    while line := file.readline(LARGEST):
        number += 1
        if line.strip():
            for where, value in values(Scanner(BytesIO(line))):
                alone = where in ("", _conversation(1))
                at = say("line {line}", line=number)
                yield at if alone else say("{line}, {where}", line=at, where=where), value


def values(scanner: Scanner) -> Iterator[Value]:
    """What may be a conversation: each value by itself, or the elements of a list of them."""
    number = 0
    try:
        while first := scanner.next_byte():
            number += 1
            if first == b"[":
                yield from _elements(scanner)
            elif first == b"{":
                yield from _object(scanner, _conversation(number))
            else:
                raise ValueUnreadable(say("what follows is not JSON"))
    except FileCutOff:
        yield say("the end"), ValueUnreadable(say("what stands there is cut off"))
    except ValueUnreadable as error:
        where = say("after conversation {number}", number=number - 1) if number > 1 else say("the beginning")
        yield where, error


def _conversation(number: int) -> str:
    return say("conversation {number}", number=number)


def _elements(scanner: Scanner) -> Iterator[Value]:
    """The elements of a list of conversations. Elements that are messages make one conversation together."""
    scanner.skip()
    number = size = 0
    messages = []
    while (first := scanner.next_byte()) != b"]":
        if not first:
            raise FileCutOff
        if first in (b",", b":", b"}"):
            scanner.skip()
            continue
        number += 1
        try:
            data = scanner.value()
            value = decoded(data)
        except ValueUnreadable as error:
            yield _conversation(number), error
            continue
        if isinstance(value, dict) and "role" in value and not {"messages", "mapping"} & value.keys():
            size += len(data)
            if size <= LARGEST:
                messages.append(value)
            if len(messages) > MOST_MESSAGES:
                what = say("The list of messages has more than {number:,}.", number=MOST_MESSAGES)
                raise ImportFailed(what, say("What follows was not looked at."))
        else:
            yield _conversation(number), value
    scanner.skip()
    if size > LARGEST:
        yield say("the list of messages"), ValueUnreadable(say("it is larger than {size} MB", size=LARGEST >> 20))
    elif messages:
        yield say("the list of messages"), {"messages": messages}


def _object(scanner: Scanner, where: str) -> Iterator[Value]:
    """An object as a conversation, or the conversations that it holds as a list of that name."""
    members: list[bytes] = []
    size = 0
    wrong: ValueUnreadable | None = None
    is_list = False
    for number, name in enumerate(_names(scanner), 1):
        if number > _MOST_NAMES:
            raise ValueUnreadable(say("it has more than {number:,} names", number=_MOST_NAMES))
        try:
            if decoded(name) == "conversations" and scanner.next_byte() == b"[" and not is_list:
                _require_known(decoded(b"{" + b",".join(members) + b"}"))
                is_list = True
                yield from _elements(scanner)
                continue
            value = scanner.value()
        except ValueUnreadable as error:
            wrong = error
            continue
        size += len(name) + len(value)
        if size <= LARGEST:
            members.append(name + b":" + value)
    if size > LARGEST:
        wrong = ValueUnreadable(say("it is larger than {size} MB", size=LARGEST >> 20))
    if is_list:
        return
    try:
        yield where, wrong or decoded(b"{" + b",".join(members) + b"}")
    except ValueUnreadable as error:
        yield where, error


def _names(scanner: Scanner) -> Iterator[bytes]:
    """The names in an object; the one who asks takes the value before asking for the next."""
    scanner.skip()
    while (first := scanner.next_byte()) != b"}":
        if not first:
            raise FileCutOff
        if first == b",":
            scanner.skip()
            continue
        if first != b'"':
            raise ValueUnreadable(say("it is not JSON"))
        name = scanner.value()
        if scanner.next_byte() != b":":
            raise ValueUnreadable(say("it is not JSON"))
        scanner.skip()
        yield name
    scanner.skip()


def _require_known(head: Mapping[str, Any]) -> None:
    version = head.get("version")
    if head.get("format") == native.FORMAT and isinstance(version, int) and version > native.VERSION:
        raise ImportFailed(
            say("It was written by a newer qwenchat (version {version} of the format).", version=version),
            say("Update qwenchat."),
        )
