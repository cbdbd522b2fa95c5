"""Text from a model, a file or a user is shown as the text it is: no escape sequence, no markup, no link runs."""

from dataclasses import replace

import pytest

from qwenchat.chat.errors import EngineFailed, ModelNotFound
from qwenchat.chat.messages import Message, ReasoningPart, Role, TextPart
from qwenchat.library.library import Library
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import MODEL, FakeEngine, Script

ESCAPES = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"
    " \x9b31mc1\x9b0m \x1bPdcs\x1b\\end\x08\x07"
)
SHOWN = "red link c1 end"
"""What is left of ESCAPES."""
MARKUP = "[red]x[/red] [/ [/] [@click=app.quit]y[/] [link=file:///etc]z[/link] {a} $b \\[c]"


async def _clean(it: Chat) -> None:
    """No control character is anywhere on the screen, and the program still runs."""
    assert not [c for c in it.screen if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0]
    assert it.app.is_running
    assert not it.app._exit


@pytest.mark.parametrize(("hostile", "shown"), [(ESCAPES, SHOWN), (MARKUP, MARKUP)], ids=["escapes", "markup"])
class TestHostileText:
    async def test_in_a_message_of_the_user(self, hostile, shown):
        async with chat(size=(120, 40)) as it:
            message = Message(Role.USER, (TextPart(hostile),))
            it.session.library.save("c", message)
            it.app._chat.opening.open("c")
            await it.sees(shown)
            await _clean(it)

    async def test_in_a_draft_and_a_title(self, hostile, shown):
        async with chat(size=(120, 40)) as it:
            it.session.library.save("c", Message(Role.USER, (TextPart(hostile),)))
            it.session.library.rename("c", hostile)
            it.session.library.save_draft("c", hostile)
            it.app._chat.opening.open("c")
            await it.until(lambda: it.draft == shown, "the draft")
            await it.press("ctrl+b")
            await it.sees("Conversations", shown[:20])
            await _clean(it)

    async def test_in_a_thought_live_and_afterwards(self, hostile, shown):
        async with chat(Script("Answer. More.", thought=f"{hostile} end", hold_at=40), size=(120, 40)) as it:
            await it.send("Go")
            await it.until(lambda: it.replies and it.replies[-1].reasoning.tokens > 3, "the thought")
            it.engine.release()
            await it.idle()
            await it.press("ctrl+o")
            await it.sees(shown)
            await _clean(it)

    async def test_in_an_answer(self, hostile, shown):
        async with chat(Script(f"```\n{hostile}\n```\n\nThe end."), size=(120, 40)) as it:
            await it.ask("Go")
            await it.sees(shown, "The end.")
            await _clean(it)

    async def test_in_an_answer_split_at_every_character(self, hostile, shown):
        spaced = Script("```\n" + hostile + "\n```")
        engine = FakeEngine([spaced])
        engine.token = lambda text: iter(text)
        async with chat(engine=engine, size=(120, 40)) as it:
            await it.ask("Go")
            await it.sees(shown)
            await _clean(it)

    async def test_in_the_name_of_a_model_and_the_reason_for_it(self, hostile, shown):
        model = replace(MODEL, name=hostile, device=hostile, reason=hostile)
        async with chat(engine=FakeEngine(model=model), size=(200, 40)) as it:
            await it.ask("Go")
            await it.sees(shown)
            await _clean(it)

    async def test_in_an_error_of_the_load_and_of_the_reply(self, hostile, shown):
        async with chat(engine=FakeEngine(load_error=ModelNotFound(hostile)), ready=False, size=(120, 40)) as it:
            await it.sees(shown)
            await it.send("Go")
            await it.sees(f"failed: {shown}")
            await _clean(it)

    async def test_in_an_error_in_mid_reply(self, hostile, shown):
        async with chat(Script("Some words", error=EngineFailed(hostile), error_at=1), size=(120, 40)) as it:
            await it.send("Go")
            await it.sees(f"failed: {shown[:40]}")
            await _clean(it)

    async def test_in_a_notification_and_a_notice(self, hostile, shown):
        async with chat(size=(200, 40), notices=[hostile]) as it:
            await it.sees(shown)
            it.app._chat._chat.notify_user(hostile, "warning")
            await it.until(lambda: it.screen.count("red") >= 2, "the notification")
            await _clean(it)

    async def test_in_the_name_of_a_theme(self, hostile, shown):
        async with chat(size=(200, 40), theme=hostile) as it:
            await it.sees("There is no theme", shown)
            await _clean(it)


async def test_a_click_on_markup_that_names_an_action_does_nothing():
    async with chat(Script("Press [@click=app.quit]here[/] now.", thought="[@click=app.quit]there[/]")) as it:
        await it.ask("[@click=app.quit]anywhere[/]")
        await it.press("ctrl+o")
        for text in ("here[/] now", "there[/]", "anywhere[/]"):
            await it.click_text(text)
        await it.pilot.pause()
        await _clean(it)


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "javascript:alert(1)", "ftp://x.y/z", "data:text/html,x", "/etc/passwd"]
)
async def test_only_web_links_open(address, monkeypatch):
    async with chat(Script(f"See [the page]({address}) now.")) as it:
        opened: list[str] = []
        monkeypatch.setattr(it.app, "open_url", lambda url, **_: opened.append(url))
        await it.ask("Go")
        if "the page" in it.screen and "](" not in it.screen:
            await it.click_text("the page")
            await it.pilot.pause()
        assert opened == []
        await _clean(it)


async def test_a_web_link_opens_when_it_is_clicked(monkeypatch):
    async with chat(Script("See [the page](https://example.org/a) now.")) as it:
        opened: list[str] = []
        monkeypatch.setattr(it.app, "open_url", lambda url, **_: opened.append(url))
        await it.ask("Go")
        assert opened == []
        await it.click_text("the page")
        await it.until(lambda: opened == ["https://example.org/a"], "the link opened")


async def test_html_is_shown_as_text():
    async with chat(Script("<script>alert(1)</script> and <b>bold</b>")) as it:
        await it.ask("Go")
        await it.sees("<script>alert(1)</script>", "<b>bold</b>")


async def test_marks_that_turn_the_text_around_are_visible():
    async with chat(Script("abc\u202edef\u200bghi")) as it:
        await it.ask("Go")
        await it.sees("abc⟨RLO⟩def⟨ZWSP⟩ghi")


async def test_a_stored_thought_is_plain_text():
    library = Library.in_memory()
    user = Message(Role.USER, (TextPart("Go"),))
    library.save("c", user)
    parts = (ReasoningPart(f"{MARKUP}\n{ESCAPES}", 3, 1.0), TextPart("Answer."))
    library.save("c", Message(Role.ASSISTANT, parts, parent=user.id))
    async with chat(library=library, resume="c", size=(140, 40)) as it:
        await it.sees("▸ thought for 1 s, 3 tokens")
        await it.press("ctrl+o")
        await it.sees(MARKUP, SHOWN)
        await _clean(it)


@pytest.mark.parametrize(
    "answer",
    [
        ">" * 300 + " deep",
        "\n".join("  " * n + f"- level {n}" for n in range(60)),
        "[" * 2000,
        "| a | b |\n|---|\n| 1 | 2 | 3 |\n|---|---|---|",
        "```" * 50,
        "# " * 200,
        "![alt](x.png) ![](y) [a]: <b>\n\n[a]",
        "```nosuchlanguage\nx\n```",
        "- [ ] open\n- [x] done\n\n~~gone~~ `code` ***both***",
        "1. one\n\n\n\n999999999999. far",
        "\t\tcode by tabs\n\n***\n---\n===",
    ],
    ids=range(11),
)
async def test_odd_markdown_does_no_harm_while_it_streams(answer):
    engine = FakeEngine([Script(f"{answer}\n\nThe end.")])
    async with chat(engine=engine, size=(80, 60)) as it:
        await it.ask("Go")
        await it.until(lambda: it.replies[-1].answer.text.endswith("The end."), "the whole answer")
        await it.ask("More")
        await _clean(it)
