"""What Textual's keys for editing do, in words of ours: one line for each pair of them."""

from collections.abc import Iterator

from textual.dom import DOMNode

from qwenchat.i18n.texts import later, say
from qwenchat.tui.keys.bindings import inherited_bindings_of, key_name

EDITING: dict[str, tuple[str, ...]] = {
    later("To the character before or after"): ("cursor_left", "cursor_right"),
    later("To the word before or after"): ("cursor_word_left", "cursor_word_right"),
    later("To the beginning of the line"): ("cursor_line_start",),
    later("To the end of the line"): ("cursor_line_end",),
    later("Select by characters or lines"): (
        "cursor_left(True)", "cursor_right(True)", "cursor_up(True)", "cursor_down(True)",
    ),
    later("Select by words"): ("cursor_word_left(True)", "cursor_word_right(True)"),
    later("Select to the beginning or the end of the line"): ("cursor_line_start(True)", "cursor_line_end(True)"),
    later("Cut what is selected, or else the line"): ("cut",),
    later("Paste what was cut or copied here"): ("paste",),
    later("Delete the character before"): ("delete_left",),
    later("Delete the character after"): ("delete_right",),
    later("Delete the word before"): ("delete_word_left",),
    later("Delete the word after"): ("delete_word_right",),
    later("Delete to the beginning of the line"): ("delete_to_start_of_line",),
    later("Delete to the end of the line"): ("delete_to_end_of_line_or_delete_line",),
    later("Delete the line"): ("delete_line",),
}  # fmt: skip
"""Textual's actions by what they do."""
NOTHING = frozenset({"page_left", "page_right"})
"""What does nothing where lines are broken at the edge."""


def editing_keys(cls: type[DOMNode], taken: tuple[type[DOMNode], ...]) -> Iterator[tuple[str, str]]:
    """The keys that edit in `cls`, and what they do, for people; without those that mean something else in `taken`."""
    by_action = {binding.action: keys for keys, binding in inherited_bindings_of(cls, taken).items()}
    for description, actions in EDITING.items():
        if keys := [by_action[action] for action in actions if action in by_action]:
            yield key_name(",".join(keys)), say(description)
