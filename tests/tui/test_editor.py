"""The draft in the user's own editor: it comes back changed, or stays as it was with the reason said."""

import stat
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.process.test_tui import Terminal
from tests.process.test_tui import terminals as terminals
from tests.support.chat_driver import Chat, chat


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes $EDITOR a shell script."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()

    def be(script: str) -> None:
        file = tmp_path / "my editor"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o700)
        monkeypatch.setenv("EDITOR", f"'{file}' --wait")

    yield be
    assert list((tmp_path / "tmp").iterdir()) == [], "what was written for the editor is gone"


async def edit(it: Chat, draft: str) -> None:
    it.app.suspend = nullcontext
    await it.paste(draft)
    await it.press("ctrl+g")


async def test_the_draft_comes_back_as_the_editor_left_it(editor, tmp_path):
    editor(f'stat -c %a "$2" > "{tmp_path}/mode"; cp "$2" "{tmp_path}/seen"; printf "better\\n中文\\n" > "$2"')
    async with chat() as it:
        await edit(it, "my draft\nof two lines")
        assert it.draft == "better\n中文"
        await it.press("!")
        assert it.draft.endswith("中文!")
    assert (tmp_path / "seen").read_text() == "my draft\nof two lines"
    assert int((tmp_path / "mode").read_text(), 8) == stat.S_IRUSR | stat.S_IWUSR


async def test_an_editor_that_fails_leaves_the_draft_and_the_reason_is_said(editor, monkeypatch):
    async with chat() as it:
        await edit(it, "my draft")
        await it.sees("No editor is set.", "Set VISUAL or EDITOR")
        monkeypatch.setenv("EDITOR", "no-such-editor")
        await it.press("ctrl+g")
        await it.sees("There is no editor no-such-editor.")
        editor('echo worse > "$2"; exit 3')
        await it.press("ctrl+g")
        await it.sees("my editor ended with code 3.")
        editor('rm "$2"')
        await it.press("ctrl+g")
        await it.sees("did not come back from the editor")
        monkeypatch.setenv("EDITOR", "'unclosed")
        await it.press("ctrl+g")
        await it.sees("The editor cannot be read")
        assert it.draft == "my draft"


async def test_what_is_no_text_in_the_file_does_no_harm(editor):
    editor(r"""printf '\033[31mred\033[0m\000 \377' > "$2" """)
    async with chat() as it:
        await edit(it, "draft")
        assert it.draft == "red\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}"


def test_the_editor_has_the_terminal_and_the_chat_has_it_again_afterwards(
    editor, terminals: Callable[..., Terminal]
) -> None:
    editor('echo "the editor is here"; read answer; echo "$answer" >> "$2"')
    terminal = terminals({"scripts": [{"answer": "Paris."}]})
    terminal.sees("thinking on")
    terminal.child.send("first line\n\x07")
    terminal.sees("the editor is here")
    terminal.child.send("typed there\n")
    terminal.sees("typed there")
    terminal.sees("thinking on")
    terminal.child.send("!\r")
    terminal.sees("Paris.")
    library = terminal.library()
    said = library.read(library.latest()).messages[0].text
    assert said == "first line\ntyped there\n!"
    terminal.child.send("\x11")
    assert terminal.ends() == 0
