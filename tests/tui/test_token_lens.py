"""The token lens on the screen: shades, a cursor, alternatives, and going on from one."""

from textual.events import Key

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ServerError
from qwenchat.tui.screens.lens import LensScreen
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import FakeEngine, Script

ANSWER = "Paris is the capital of France and it lies on the Seine."


async def look(it: Chat) -> LensScreen:
    """Open the lens on the latest reply."""
    await it.press("ctrl+up", "l")
    await it.until(lambda: isinstance(it.app.screen, LensScreen), "the lens")
    assert isinstance(it.app.screen, LensScreen)
    return it.app.screen


async def test_the_cursor_finds_doubtful_tokens_and_shows_what_else_might_have_been_said():
    engine = FakeEngine([Script(ANSWER)], doubts={"capital": "heart ", "lies": "stands "})
    async with chat(engine=engine) as it:
        await it.ask("Where?")
        await look(it)
        await it.sees("12 tokens", "Paris␣", "98.00 %", "was said")
        await it.press("n")
        await it.sees("heart␣", "70.00 %", "capital␣", "12.00 %")
        await it.press("n")
        await it.sees("stands␣")
        await it.press("p")
        await it.sees("heart␣")
        await it.press("end")
        await it.sees("token 12")
        await it.press("home", "right")
        await it.sees("token 2")
        await it.press("escape")
        await it.no_longer_sees("Token lens")


async def test_going_on_from_an_alternative_is_a_new_version_and_the_old_one_stays():
    engine = FakeEngine([Script(ANSWER), Script("of the land.")], doubts={"capital": "heart "})
    async with chat(engine=engine) as it:
        await it.ask("Where?")
        await look(it)
        await it.sees("12 tokens")
        await it.press("n", "enter", "up", "enter")
        await it.sees("Paris is the heart of the land.", "2/2")
        await it.idle()
        assert engine.turns[-1].begun.answer == "Paris is the heart "
        await it.press("ctrl+up", "left")
        await it.sees("it lies on the Seine.", "1/2")


async def test_going_on_inside_the_thought():
    engine = FakeEngine(
        [Script(ANSWER, thought="They ask this."), Script(ANSWER, thought="more.")], doubts={"ask": "beg "}
    )
    async with chat(engine=engine) as it:
        await it.ask("Where?")
        await look(it)
        await it.sees("15 tokens")
        await it.press("n", "enter", "up", "enter")
        await it.until(lambda: len(engine.turns) == 2, "the turn")
        await it.idle()
        assert engine.turns[-1].begun.thought == "They beg "
        assert it.session.conversation.path[-1].reasoning == "They beg more."
        assert it.session.conversation.path[-1].text == ANSWER


async def test_a_reply_is_shown_as_far_as_it_is_read_and_leaving_ends_that():
    engine = FakeEngine([Script(ANSWER)], scoring_holds=True)
    async with chat(engine=engine) as it:
        await it.ask("Where?")
        await look(it)
        await it.sees("6 of 12 tokens", "Paris␣")
        await it.press("escape")
        await it.no_longer_sees("Token lens")
        await it.press("escape")
        await it.ask("And now?")
        await look(it)
        engine.release()
        await it.sees("12 tokens")


async def test_a_message_that_is_sent_meanwhile_is_answered_and_the_rest_can_be_read_again():
    engine = FakeEngine([Script(ANSWER)], scoring_holds=True)
    async with chat(engine=engine) as it:
        await it.ask("Where?")
        await look(it)
        await it.sees("6 of 12 tokens")
        it.session.send("And then?")
        await it.sees("needed for something else")
        engine.release()
        await it.until(lambda: not it.session.busy, "the reply")
        await it.press("r")
        await it.sees("12 tokens")


async def test_an_engine_that_cannot_tell_says_so():
    engine = FakeEngine([Script(ANSWER)], score_error=ServerError("A server does not tell.", "Take a model here."))
    async with chat(engine=engine) as it:
        await it.ask("Where?")
        await look(it)
        await it.sees("A server does not tell. Take a model here.")
        await it.press("n", "enter", "down", "escape")
        await it.no_longer_sees("Token lens")


async def test_only_a_reply_with_words_is_looked_at():
    async with chat(Script("")) as it:
        await it.ask("Where?")
        await it.press("ctrl+up", "l")
        await it.sees("no words in this reply")
        await it.press("up", "l")
        await it.until(lambda: it.draft == "l", "the letter in the draft")


async def test_hostile_tokens_are_text():
    hostile = "a\x1b[31mb [red]c[/red] \u202ed \x9b1m 漢字漢字 e\u0301 \t tab\n\nend [/"
    engine = FakeEngine([Script(hostile)])
    engine.token = lambda text: iter(text)
    async with chat(engine=engine, size=(60, 30)) as it:
        await it.ask("Go")
        await look(it)
        await it.sees("[red]c[/red]", "⟨RLO⟩", "↵", "⇥")
        await it.press(*["right"] * 12, "down", "up", "end")
        assert not [c for c in it.screen if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0]


async def test_it_works_at_any_size():
    engine = FakeEngine([Script(ANSWER * 4)], doubts={"capital": "heart "})
    async with chat(engine=engine, size=(1, 1)) as it:
        await it.ask("Where?")
        await look(it)
        await it.until(lambda: it.session.scores.complete, "all tokens")
        for size in ((1, 1), (12, 4), (40, 12), (100, 40)):
            await it.pilot.resize_terminal(*size)
            await it.press("n", "down", "pagedown", "up", "end", "home", "n", "enter", "up", "escape")
        await it.sees("Token lens", "heart␣")
        await it.pilot.resize_terminal(1, 1)
        await it.press("escape")
        await it.until(lambda: not isinstance(it.app.screen, LensScreen), "the lens closed")


async def test_the_cursor_walks_through_tokens_that_are_longer_than_a_line():
    engine = FakeEngine([Script("a " + "x" * 90 + " b c\n\n\nd")])
    async with chat(engine=engine, size=(40, 30)) as it:
        await it.ask("Go")
        await look(it)
        await it.sees("4 tokens")
        await it.press("down", "down", "down", "down", "down")
        await it.sees("token 3")
        await it.press("right")
        await it.sees("token 4")
        await it.press("up", "up", "up", "up", "up")
        await it.sees("token 1")


async def test_it_says_when_another_model_wrote_the_reply():
    engine = FakeEngine([Script(ANSWER)], doubts={"capital": "heart "})
    async with chat(engine=engine) as it:
        await it.ask("Where?")
        it.session.model.load(LoadModel("Qwen/Qwen3-4B"))
        await it.until(lambda: it.session.model.progress is None, "the other model")
        await look(it)
        await it.sees("12 tokens, read by Qwen/Qwen3-4B bf16, written by Qwen/Qwen3-0.6B bf16", "▃")


async def test_keys_that_come_at_once_reach_the_alternatives():
    engine = FakeEngine([Script(ANSWER), Script("of the land.")], doubts={"capital": "heart "})
    async with chat(engine=engine) as it:
        await it.ask("Where?")
        await look(it)
        await it.sees("12 tokens")
        for key in ("n", "enter", "up", "enter"):
            it.app.post_message(Key(key, None))
        await it.sees("Paris is the heart of the land.")
