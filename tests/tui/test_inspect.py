"""Everything that made a message can be read, and copied."""

from dataclasses import replace

from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.library.library import Library
from qwenchat.tui.screens.inspect import InspectScreen
from tests.support.chat_driver import chat
from tests.support.fake_engine import MODEL, FakeEngine, Script


async def test_f4_tells_everything_that_made_the_latest_reply():
    async with chat(Script("Paris.", thought="They ask for a capital."), size=(100, 70)) as it:
        it.session.overrides = replace(it.session.overrides, temperature=0.25, seed=77)
        await it.ask("Which?")
        await it.press("f4")
        await it.sees(
            "Qwen/Qwen3-0.6B", "abc123", "bf16", "cpu", "4,096 tokens", "by the model", "until the first token"
        )
        rows = {line.split()[0]: line.split()[1:] for line in it.screen.splitlines() if len(line.split()) > 1}
        assert rows["temperature"][:4] == ["0.25", "●", "usual:", "0.6"]
        assert "●" not in rows["top_p"]
        assert rows["seed"][0] == "77"
        await it.press("f4")
        await it.no_longer_sees("abc123")


async def test_what_is_usual_is_what_the_model_wants():
    model = replace(MODEL, sampling=SamplingOverrides(temperature=0.2))
    async with chat(engine=FakeEngine(model=model), size=(100, 70)) as it:
        await it.ask("Go")
        await it.press("f4")
        await it.sees("temperature")
        assert "usual" not in it.screen


async def test_a_chosen_message_of_the_user_tells_how_long_it_was_typed(monkeypatch):
    async with chat(size=(100, 40)) as it:
        copied: list[str] = []
        monkeypatch.setattr(it.app, "copy_to_clipboard", copied.append)
        await it.press(*"Why")
        await it.press("enter")
        await it.idle()
        await it.press("ctrl+up", "up", "i")
        await it.sees("Your message", "typed for", it.session.conversation.path[0].id)
        await it.press("y")
        assert it.session.conversation.path[0].id in copied[0]
        await it.press("escape")
        await it.no_longer_sees("typed for")


async def test_a_reply_of_unknown_origin_says_so():
    library = Library.in_memory()
    user = Message(Role.USER, (TextPart("Go"),))
    library.save("c", user)
    library.save("c", Message(Role.ASSISTANT, (TextPart("Yes."),), parent=user.id, created=float("inf")))
    async with chat(library=library, resume="c") as it:
        await it.sees("Yes.")
        await it.press("f4")
        await it.sees("not known", "by the model")


async def test_it_fits_every_screen():
    async with chat(Script("Paris.", thought="A capital."), size=(1, 1)) as it:
        await it.ask("Which?")
        await it.press("f4")
        await it.until(lambda: isinstance(it.app.screen, InspectScreen), "the account")
        for size in ((1, 1), (12, 4), (40, 12), (100, 60)):
            await it.pilot.resize_terminal(*size)
            await it.press("end", "home")
        await it.sees("Qwen/Qwen3-0.6B")


async def test_hostile_names_are_shown_as_text():
    model = replace(MODEL, name="\x1b[31mred\x1b[0m [b]x[/b]", revision="[/", device="\x9b1m")
    async with chat(engine=FakeEngine(model=model)) as it:
        await it.ask("Go")
        await it.press("f4")
        await it.sees("red [b]x[/b]", "[/")
