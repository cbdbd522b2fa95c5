"""A text that is cut into pieces means what it means as a whole."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qwenchat.tui.markdown import pieces
from qwenchat.tui.markdown.pieces import MarkdownCutter, parser, refers_elsewhere
from tests.support.examples import examples


def cut(text: str, size: int) -> list[str]:
    """The pieces of a text that comes `size` characters at a time."""
    cutter = MarkdownCutter()
    found = [""]
    for at in range(0, len(text), size):
        first, *others = cutter.feed(text[at : at + size])
        found[-1] += first
        found += others
    found[-1] += cutter.finish()
    return found


def meaning(*texts: str) -> str:
    """The HTML of the texts, without what says only how lists hang together."""
    html = "".join(parser().render(text) for text in texts)
    return re.sub(r'</?p>|<ol start="\d+">|<ol>|</?ul>|</ol>', "", re.sub(r"\s*(<[^>]*>)\s*", r"\1", html))


FRAGMENTS = """\
Some words.
More of them
# Heading
---
===
- item
-
+
***
* other
  - nested
1. first
2. second
12) twelfth
   in an item
    indented
> quoted
> - quoted item
| a | b |
|---|---|
| 1 | 2 |
```python
```
````
~~~
   ```
- ```
  ```
    ```
1. ```sh
code = 1
$$
$$ x = 1 $$
\\[
\\]
- b
<div>


""".splitlines()


@settings(max_examples=examples(400))
@example("Some words.\n$$\n- b\n$$", 1)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("\n".join), st.integers(1, 9))
def test_pieces_mean_what_the_whole_means(text: str, size: int) -> None:
    shortest, pieces.SHORTEST = pieces.SHORTEST, 10
    try:
        found = cut(text, size)
    finally:
        pieces.SHORTEST = shortest
    assert "".join(found) == text
    assert meaning(*found) == meaning(text)


@pytest.mark.parametrize("size", [1, 4, 10_000])
@pytest.mark.parametrize(
    "text",
    [
        "".join(f"Paragraph {n} says something of no great length.\n\n" for n in range(200)),
        "".join(f"- item {n} of a tight list\n" for n in range(400)),
        "".join(f"{n}. item\n\n   with a paragraph\n\n" for n in range(400)),
        "".join(f"{n}. do this:\n```sh\nls {n}\n```\n" for n in range(400)),
        "".join(f"- do this:\n\n  ```sh\n  ls {n}\n  ```\n\n" for n in range(400)),
    ],
    ids=["paragraphs", "tight list", "loose list", "fences between items", "fences in items"],
)
def test_long_texts_come_in_short_pieces(text: str, size: int) -> None:
    found = cut(text, size)
    assert "".join(found) == text
    assert max(map(len, found)) < 2 * pieces.SHORTEST


@pytest.mark.parametrize("block", ["```python\n\n- x = 1\n\n# y\n", "| a |\n|---|\n", "> a\n"])
def test_a_block_stays_in_one_piece_however_long_it_is(block: str) -> None:
    head, line = block[: block.index("\n") + 1], block[block.index("\n") + 1 :] or block
    assert len(cut(head + line * 500, 4)) == 1


def test_link_definitions_are_noticed() -> None:
    assert refers_elsewhere("See [this][1].\n\n[1]: http://example.org")
    assert not refers_elsewhere("See [this](http://example.org): it is [good].")


def test_a_word_before_a_bracket_is_no_scheme_of_an_address_in_it() -> None:
    tokens = parser().parse("sk-Sentinel-5d1f0c77[//a.bc1 x\ny https://a.org/b")
    (inline,) = [token for token in tokens if token.type == "inline"]
    hrefs = [token.attrs.get("href") for token in inline.children or () if token.type == "link_open"]
    assert hrefs[-1] == "https://a.org/b"
    parser().parse("abcdefghijklmnopqrstuvw[//a.bc1ab{ab\nhttps://")
