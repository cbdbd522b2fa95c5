"""What a conversation is called in lists: what its first message is about, without asking a model."""

import re
import unicodedata

from qwenchat.i18n.texts import sentences

CELLS = 72
"""The longest title, in columns of a terminal; a Chinese character takes two."""
_ENOUGH = 24
"""A first sentence with fewer columns is followed by the next one."""
_JOINED = "\u200c\u200d\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
"""Joiners, the selector of the emoji form and skin tones: part of the character before them."""
_SHORT = 20
"""Characters of a path that is named whole."""
_READ = 20_000
"""How many characters of a message are looked at."""

_FENCE = re.compile(r"^[ ]{0,3}(`{3,}+|~{3,}+)[^\n]*+\n(.*?)(?:^[ ]{0,3}\1[`~]*[ ]*$|\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^[ \t]*+(?:(?:#{1,6}|>|[-*+•]|\d{1,3}[.)])[ \t]++)+", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*+(?:[-*_=][ \t]*+){3,}+$", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]\n]{1,300})\]\([^)\s]{0,2000}\)")
_MARKS = re.compile(r"\*\*|`+|(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)")
_ADDRESS = re.compile(r"\bhttps?://(?:www\.)?([^\s/?#]{1,200})[^\s]*?(?=[.,;:!?)\]]*(?:\s|$))", re.IGNORECASE)
_PATH = re.compile(r"(?<![\w/.~])(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?:[\w.@+-]+[/\\])+([\w.@+-]*\w)")
_SWITCH = re.compile(r"(?<!\S)/(?:no_?)?think(?!\S)")

_NAMES = r"there|all|everyone|again|qwen|chat|bot|assistant|ai|friend|buddy|my friend"
_HELLO = (
    r"hi+|hello+|hey+|hiya|yo|howdy|greetings|good (?:morning|afternoon|evening|day|night)|thanks|thank you|ok|okay"
    r"|test|testing|ping|hallo|guten (?:morgen|tag|abend)|moin|servus|bonjour|bonsoir|salut|hola|buenos d[ií]as|buenas"
    r"|ol[aá]|ciao|buongiorno|привет|здравствуй(?:те)?|你好|您好|嗨|哈喽|早上好|晚上好|こんにちは|こんばんは|おはよう|안녕하세요|안녕"
    r"|how are you(?: doing)?(?: today)?|how'?s it going|what'?s up|sup|are you there|who are you|can you help me"
    r"|help me|i (?:need help|have a question)|quick question|help"
)
_END = r"[\s,.!?;:…~，。！？、；：～)(👋🙂😊😀-]"
_GREETING = re.compile(rf"(?:(?:{_HELLO})(?: (?:{_NAMES}))?(?:{_END}+|$))+", re.IGNORECASE)
_HELLO_FIRST = re.compile(
    rf"(?:hi+|hello+|hey+|你好|您好|こんにちは|안녕하세요|hallo|bonjour|hola)(?: (?:{_NAMES}))?"
    r"\s*(?:[,.!:;…，。！]+\s*|\n)(?=\S)",
    re.IGNORECASE,
)
_POLITE = re.compile(
    r"(?:please[, ]+|(?:can|could|would|will) you (?:please |kindly )?(?:help me (?:to )?)?"
    r"|i(?:'d| would) like you to |i (?:want|need) you to |help me (?:to )?)+(?=\S+ \S)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^\n]*?(?:[。！？]+|[.!?…]+[\"')\]”’]*(?=\s+[^\sa-z]|\s*$)|$)", re.MULTILINE)


def title_after(title: str, said: str) -> str:
    """What a conversation called `title` is called once the user has said `said`: a greeting makes way for more."""
    return title if title and not is_greeting(title) else title_of(said) or title


def is_greeting(text: str) -> bool:
    """Whether a text says hello and no more."""
    return len(text) < 100 and bool(_GREETING.fullmatch(text.strip()))


def title_of(said: str) -> str:
    """A title of one line for what the user said, at most `CELLS` columns wide; empty if it says nothing."""
    text = _as_prose(said[:_READ])
    if not text:
        return ""
    if not is_greeting(text):
        hello = _HELLO_FIRST.match(text)
        text = _to_the_point(text[hello.end() :] if hello else text)
    return _cut(_first_sentences(text), CELLS)


def _as_prose(said: str) -> str:
    """The words of a message: no Markdown, no code beside them, names in place of long paths and addresses."""
    said = said.encode("utf-8", errors="replace").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    said = "".join(c for c in said if c in "\n\t\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf"))
    said = _SWITCH.sub("", said)
    prose = _FENCE.sub("\n", said)
    if not any(character.isalnum() for character in prose):
        prose = _FENCE.sub(r"\2", said)
    prose = _BLOCK.sub("", _RULE.sub("", prose))
    prose = _ADDRESS.sub(r"\1", _LINK.sub(r"\1", prose))
    prose = _MARKS.sub("", _PATH.sub(lambda path: path[0] if len(path[0]) <= _SHORT else path[1], prose))
    lines = (" ".join(line.split()) for line in prose.split("\n"))
    return "\n".join(line for line in lines if line)


def _to_the_point(text: str) -> str:
    """`Could you please explain X?` is `Explain X`."""
    polite = _POLITE.match(text)
    if not polite:
        return text
    first, _, rest = text[polite.end() :].partition("\n")
    return f"{first[0].upper()}{first[1:].removesuffix('?')}\n{rest}"


def _first_sentences(text: str) -> str:
    """As many sentences as it takes to say something; a line is at least one."""
    taken = ""
    for found in _SENTENCE.finditer(text):
        if sentence := found[0].strip():
            taken = sentences(taken, sentence)
            if _cells(taken) >= _ENOUGH:
                break
    return taken if taken.endswith("..") else taken.rstrip(":,;：，；").removesuffix(".").removesuffix("。")


def _cut(text: str, cells: int) -> str:
    """`text` in at most `cells` columns, cut at a word where there are words."""
    if _cells(text) <= cells:
        return text
    taken, width = 0, 0
    for at, character in enumerate(text):
        width += _width(character)
        if width > cells - 1:
            break
        taken = at + 1
    while taken > 1 and (_width(text[taken]) == 0 or text[taken - 1] == "\u200d"):
        taken -= 1
    space = text.rfind(" ", 0, taken + 1)
    return text[: space if space > taken * 2 // 3 else taken].rstrip(" ,;:.，；：。、-–(") + "…"


def _cells(text: str) -> int:
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if (
        unicodedata.combining(character)
        or character in "\u200c\u200d\ufe0f"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    ):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
