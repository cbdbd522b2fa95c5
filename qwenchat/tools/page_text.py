"""The text of an HTML page. Pages come from anybody, so this runs in a process that can be killed."""

import re

from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.html_engine import Inscriptis
from inscriptis.model.config import ParserConfig
from lxml.etree import ParserError
from lxml.html import document_fromstring

LONGEST = 1_000_000
"""Characters of the text."""
_DECLARATION = re.compile(r"\A\s*<\?xml [^>]*\?>")
_BLANK = re.compile(r"\s{200,}")
"""So much white space shows nothing, and takes the square of its length to be made text."""
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)


def text_of(html: str) -> str:
    """What a reader sees of it, cut; widths, margins and what else a page says of its looks are left out."""
    try:
        tree = document_fromstring(_BLANK.sub("\n", _DECLARATION.sub("", html, count=1)))
    except ParserError:  # nothing is there
        return ""
    for element in tree.iter("*"):
        hidden = "hidden" in element.attrib or _HIDDEN.search(element.get("style", ""))
        element.attrib.clear()
        if hidden:
            element.set("style", "display:none")
    text = Inscriptis(tree, ParserConfig(css=CSS_PROFILES["strict"])).get_text()[:LONGEST]
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(line for at, line in enumerate(lines) if line or (at and lines[at - 1])).strip()
