"""Files that are named in a message go with it, weighed and read anew when it is sent, or are refused."""

import os
from pathlib import Path

import pytest

from qwenchat.session import attachments
from qwenchat.session.attachments import AttachmentRefused
from qwenchat.tui.text.completion import file_choices
from tests.support.chat_driver import chat


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the program is started in, with some files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("notes.md", "my plan.txt", "source/main.py", "source/main_test.py", ".hidden", "home/list.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"What stands in {name}.\n")
    return tmp_path


class TestNames:
    def test_files_and_folders_are_offered_by_their_beginning(self):
        assert [choice.insert for choice in file_choices("@")] == [
            "@home/", "@source/", '@"my plan.txt" ', "@notes.md ",
        ]  # fmt: skip
        assert [choice.insert for choice in file_choices("@NO")] == ["@notes.md "]
        assert [choice.insert for choice in file_choices("@source/")] == [
            "@source/main.py ",
            "@source/main_test.py ",
        ]
        assert [choice.insert for choice in file_choices('@"my')] == ['@"my plan.txt" ']
        assert [choice.insert for choice in file_choices("@.")] == ["@.hidden "]
        assert [choice.insert for choice in file_choices("@~/l")] == ["@~/list.txt "]
        assert file_choices("@nothing/") == file_choices("@~nobody/") == ()

    def test_words_that_may_name_files(self):
        text = 'See @notes.md, (@source/main.py) and @"my plan.txt"; mail a@b.de or @ me'
        assert [word for _, word in attachments.words(text)] == ["@notes.md", "@source/main.py", '@"my plan.txt"']


class TestReading:
    def test_what_is_no_file_is_text(self, folder):
        for word in ("@nobody", "@source", "@" + "x" * 5000, "@no\0", "@notes.md/x"):
            assert attachments.read(word) is None

    def test_what_cannot_be_attached_is_refused_with_the_reason(self, folder):
        (folder / "image").write_bytes(b"\x89PNG\0\0")
        (folder / "latin").write_bytes(b"\xe9\xe8\xfc" * 100)
        (folder / "large").write_bytes(b"x" * (attachments.MOST + 1))
        os.mkfifo(folder / "pipe")
        for name, why in (("image", "binary"), ("latin", "binary"), ("large", "1 MB fit"), ("pipe", "no plain file")):
            with pytest.raises(AttachmentRefused, match=why):
                attachments.read(f"@{name}")

    def test_bytes_that_are_no_text_are_replaced_and_that_is_said(self, folder):
        (folder / "odd").write_bytes(b"\xef\xbb\xbfmostly text \xff with one byte that is none\n")
        part = attachments.read("@odd").part()
        assert part.text.startswith(
            "\n\nodd (bytes that are no text were replaced):\n```\nmostly text \N{REPLACEMENT CHARACTER}"
        )

    def test_a_fence_in_a_file_does_not_end_its_frame(self, folder):
        (folder / "page.md").write_text("```\ncode\n```\n")
        assert attachments.read("@page.md").part().text == "\n\npage.md:\n````md\n```\ncode\n```\n````"


class TestInTheDraft:
    async def test_a_file_is_completed_marked_with_its_cost_and_sent_below_the_message(self):
        async with chat() as it:
            it.engine.weighs = True
            await it.press(*"sum up ", "@", "n")
            await it.sees("notes.md")
            await it.press("tab")
            assert it.draft == "sum up @notes.md "
            await it.sees("@notes.md 7 tokens")
            await it.until(lambda: it.engine.ahead and "What stands in" in it.engine.ahead[-1].draft, "the file read")
            await it.press("enter")
            await it.idle()
            said = it.engine.turns[0].messages[-1]
            assert said.text == "sum up @notes.md \n\nnotes.md:\n```md\nWhat stands in notes.md.\n```"
            await it.sees("▸ @notes.md")
            assert "What stands in" not in it.screen
            assert "7 tokens" not in it.screen

    async def test_folders_descend_and_backspace_takes_the_whole_name(self):
        async with chat() as it:
            await it.press("@", "s", "o")
            await it.sees("source/")
            await it.press("tab")
            await it.sees("main_test.py")
            await it.press("down", "enter")
            assert it.draft == "@source/main_test.py "
            await it.sees("@source/main_test.py 9 tokens")
            await it.press("backspace", "backspace")
            assert it.draft == ""
            await it.no_longer_sees("tokens")

    async def test_it_is_read_anew_when_it_is_sent_and_refused_when_it_is_gone(self, folder):
        async with chat() as it:
            await it.paste("@notes.md @nobody")
            await it.sees("@notes.md 6 tokens")
            (folder / "notes.md").unlink()
            await it.press("enter")
            await it.sees("@notes.md cannot be attached: it is gone.")
            await it.press("enter")
            assert it.engine.turns == []
            assert it.draft == "@notes.md @nobody"
            (folder / "notes.md").write_text("<|im_end|> newer")
            await it.press("enter")
            await it.idle()
            assert it.engine.turns[0].messages[-1].text.endswith("```md\n<|im_end|> newer\n```")

    async def test_a_binary_file_is_refused_at_once_and_again_when_it_is_sent(self, folder):
        (folder / "[red]image").write_bytes(b"\0\1\2")
        async with chat() as it:
            await it.paste("@[red]image")
            await it.sees("@[red]image cannot be attached")
            await it.press("enter")
            assert it.engine.turns == []

    async def test_a_changed_message_keeps_a_file_that_is_gone_since(self, folder):
        async with chat() as it:
            await it.ask("read @notes.md")
            (folder / "notes.md").unlink()
            await it.press("ctrl+up", "ctrl+up", "e")
            assert it.draft == "read @notes.md"
            await it.press("!", "enter")
            await it.idle()
            said = it.engine.turns[-1].messages[-1].text
            assert said.startswith("read @notes.md!") and "What stands in notes.md" in said


class TestWeight:
    async def test_the_edge_says_what_the_draft_takes_and_leaves(self):
        async with chat() as it:
            await it.press(*"one two three")
            await it.sees("about 3 tokens, 100 % of the context left · F1 help")
            it.engine.weighs = True
            await it.press(*" four")
            await it.sees("4 tokens, 100 % of the context left · F1 help")
            await it.no_longer_sees("about")
            await it.press("ctrl+u", "slash")
            await it.no_longer_sees("of the context left")

    async def test_what_does_not_fit_is_not_sent_and_the_draft_is_kept(self):
        async with chat() as it:
            it.engine.weighs = True
            await it.paste("word " * 3500)
            await it.press("enter")
            await it.sees("3,500 tokens; 3,072 fit")
            assert it.engine.turns == []
            assert it.draft.startswith("[Pasted")

    async def test_that_older_messages_will_be_left_out_is_said_before(self):
        async with chat() as it:
            it.engine.weighs = True
            await it.ask("word " * 1000)
            await it.paste("word " * 2500)
            await it.sees("2,500 tokens, the oldest 2 messages are left out")
            await it.press("enter")
            await it.idle()
            assert len(it.engine.turns) == 2
