"""How the user changes the way the model answers: budget, model, preset, settings."""

from pathlib import Path

import pytest
from textual.widgets import Input

from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.settings.presets import Preset, built_in
from qwenchat.tui.transcript.long_list import LongList
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import FakeEngine, Script


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing yet."""
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    return tmp_path


class TestBudget:
    async def test_a_key_steps_through_the_lengths_of_thoughts(self):
        async with chat(Script()) as it:
            for words in ("256 tokens", "1,024 tokens", "4,096 tokens"):
                await it.press("alt+g")
                await it.sees(f"thinking on, {words}")
            await it.press("alt+g")
            await it.no_longer_sees("4,096 tokens")
            assert it.session.thinking_budget is None


class TestModels:
    async def test_a_model_that_cannot_be_loaded_leaves_the_one_before(self):
        async with chat(engine=FakeEngine(missing=("nix",))) as it:
            await it.send("/model nix")
            await it.sees("There is no model nix.", "The model before it goes on.", "● Qwen/Qwen3-0.6B")
            await it.ask("Hello")
            await it.sees("Paris is the capital")
            await it.send("/model other")
            await it.no_longer_sees("There is no model nix.")
            await it.sees("● other")

    async def test_a_command_without_a_name_tries_again_what_failed(self):
        engine = FakeEngine(missing=(None,))
        async with chat(engine=engine, ready=False) as it:
            await it.sees("There is no model None.")
            engine.missing = ()
            await it.send("/model")
            await it.sees("● Qwen/Qwen3-0.6B")

    async def test_the_list_says_what_each_takes_and_enter_loads_it(self):
        async with chat() as it:
            await it.ask("Hello")
            await it.press("f3")
            await it.sees("On this machine", "● qwen3-0.6b", "qwen3-32b", "smollm2", "parameters", "1.5 GB")
            await it.sees("int8 1.4 GB   int4")
            await it.press("down", "tab")
            await it.press("enter")
            await it.sees("● qwen3-1.7b")
            assert (it.engine.loads[-1].name, it.engine.loads[-1].quantization) == ("qwen3-1.7b", "int4")
            await it.ask("Again")
            assert [message.text for message in it.session.conversation.path][::2] == ["Hello", "Again"]

    async def test_the_field_finds_a_model_by_a_part_of_its_name_or_on_the_hub(self):
        async with chat() as it:
            await it.send("/model")
            await it.sees("qwen3-0.6b")
            await it.press(*"1.7")
            await it.no_longer_sees("qwen3-0.6b ")
            await it.press(*["backspace"] * 3, *"other/model-1")
            await it.sees("other/model-1")
            await it.press("enter")
            await it.sees("● other/model-1")
            assert it.engine.loads[-1].quantization == "auto"

    async def test_the_field_finds_models_by_their_path(self, home: Path):
        (home / "folder").mkdir()
        (home / "folder" / "config.json").write_text("{}")
        (home / "[red]x.gguf").write_bytes(b"x" * 2_000_000)
        (home / "note.txt").write_text("no model")
        async with chat() as it:
            await it.press("f3")
            await it.sees("qwen3-0.6b")
            it.app.screen.query_one("#typed", Input).value = f"{home}/"
            await it.sees("[red]x.gguf", "folder/")
            assert "note" not in it.screen
            it.app.screen.query_one("#typed", Input).value = f"{home}/[r"
            await it.no_longer_sees("folder/")
            await it.press("enter")
            await it.until(lambda: it.engine.loads[-1].name == f"{home}/[red]x.gguf", "the file loaded")
            await it.press("f3")
            await it.sees("qwen3-0.6b")
            it.app.screen.query_one("#typed", Input).value = f"{home}/nowhere/at all"
            await it.sees("No model is called so, and none lies there.")
            await it.press("enter", "escape")
            await it.no_longer_sees("On this machine")

    @pytest.mark.parametrize("size", [(1, 1), (40, 12), (80, 24)])
    async def test_the_list_is_there_at_any_size(self, size):
        async with chat(size=size, ready=False) as it:
            await it.press("f3")
            if size[0] > 1:
                await it.sees("qwen3-0.6b")
            await it.press("down", "tab", "shift+tab", "up", "escape")

    async def test_how_far_a_model_is_that_is_being_loaded_is_said_there_too(self):
        engine = FakeEngine(loading_holds=True, progress=(LoadProgressed("downloading x", 500_000_000, 1_000_000_000),))
        async with chat(engine=engine, ready=False) as it:
            await it.press("f3")
            await it.sees("downloading x 500 MB of 1.0 GB, 50 %")


class TestCommands:
    async def test_set_changes_the_next_reply_and_says_so(self):
        async with chat() as it:
            await it.send("/set temperature 0.25")
            await it.sees("temperature 0.25 (this chat)")
            await it.ask("Hello")
            assert it.engine.turns[-1].sampling.temperature == 0.25
            await it.send("/set temperature 99")
            await it.sees("temperature is 99")
            await it.press("ctrl+c")
            await it.send("/set temperature 0")
            await it.sees("Greedy decoding")
            await it.press("ctrl+t")
            await it.sees("thinking off")
            await it.until(lambda: "Greedy decoding" not in it.screen or it.app.clear_notifications(), "no warning")
            await it.press("ctrl+t")
            await it.sees("thinking on", "Greedy decoding")

    async def test_a_system_prompt_goes_before_the_next_message_and_is_seen(self):
        async with chat() as it:
            await it.ask("Hello")
            await it.send("/system Speak [red]French[/red] \x1b[31mnow.")
            await it.sees("It counts from the next message on.", "Speak [red]French[/red] now.")
            await it.ask("Again")
            assert [message.role.value for message in it.session.conversation.path] == [
                "user", "assistant", "system", "user", "assistant",
            ]  # fmt: skip
            await it.until(
                lambda: [line for line in it.transcript.query(".system .body").results()],
                "the prompt in the transcript",
            )
            await it.send("/new")
            await it.ask("Hi")
            assert it.session.conversation.path[0].text.startswith("Speak")


MINE = Preset("Warm [b]", "says \x1b[31mmuch", "other", "Be warm.", False, 64, SamplingOverrides(temperature=1.5))


class TestPresets:
    async def test_the_screen_says_what_a_preset_would_change_and_enter_turns_to_it(self):
        async with chat(presets=built_in()) as it:
            await it.press("f5")
            await it.sees("Presets", "Balanced", "Creative", "It changes nothing now.")
            await it.press("down", "down")
            await it.sees("temperature         0.6 → 1", "think               on → off", "min_p               0 → 0.05")
            assert it.session.overrides == SamplingOverrides()
            await it.press("enter")
            await it.sees("thinking off   Creative")
            await it.ask("Hello")
            assert it.engine.turns[-1].sampling.temperature == 1.0
            await it.send("/set top_k 7")
            await it.sees("Creative, changed")
            await it.press("f5")
            await it.sees("● Creative")
            await it.press("escape")
            await it.no_longer_sees("Presets")

    async def test_a_click_shows_what_would_change_and_another_turns_to_it(self):
        async with chat(presets=built_in()) as it:
            await it.press("f5")
            await it.click_text("Creative")
            await it.sees("temperature         0.6 → 1")
            await it.click_text("Creative")
            await it.sees("thinking off   Creative")

    async def test_a_command_turns_to_one_with_its_model(self):
        async with chat(presets=(*built_in(), MINE)) as it:
            await it.send("/preset warm [b]")
            await it.sees("● other", "Warm [b]", "thinking off")
            assert it.session.thinking_budget == 64
            await it.send("/preset nix")
            await it.sees("There is no preset nix.")
            assert it.draft == "/preset nix"

    async def test_the_present_settings_become_a_preset(self, home: Path):
        async with chat(presets=built_in()) as it:
            await it.send("/set temperature=0.3 top_k=5")
            await it.press("f5", "s", *"mine", "enter")
            file = home / "config" / "presets" / "mine.toml"
            await it.sees("Written to", "● mine")
            assert "temperature = 0.3" in file.read_text()
            await it.press("s", "enter")
            await it.sees("Enter again replaces it.")
            await it.press("escape", "s", *"/../x", "enter")
            await it.sees("cannot be called")
            await it.press("escape", "escape")
            await it.sees("thinking on   mine")

    @pytest.mark.parametrize("size", [(1, 1), (40, 12), (80, 24)])
    async def test_it_shows_hostile_text_as_text_at_any_size(self, size):
        async with chat(presets=(MINE, *built_in()), size=size, ready=False) as it:
            await it.press("f5")
            await it.pilot.pause()
            if size[0] > 1:
                await it.sees("Warm [b]", "says much")
            await it.press("s", "x", "escape", "escape")
            assert "\x1b" not in it.screen


class TestSettings:
    async def test_a_step_counts_at_once_and_backspace_takes_it_back(self):
        async with chat() as it:
            await it.press("f2")
            await it.sees("Settings", "temperature         0.6", "default", "think")
            await it.press("right")
            await it.sees("think               off", "this chat")
            await it.press("backspace")
            await it.sees("think               on")
            await it.press("down", "right", "right")
            await it.sees("thinking_budget     1,024")
            await highlight(it, "temperature")
            await it.sees("How often less likely words are taken")
            await it.press("plus", "+", "right", "minus")
            await it.sees("temperature         0.8")
            await it.press("escape")
            await it.ask("Hello")
            assert it.engine.turns[-1].sampling.temperature == 0.8
            assert it.engine.turns[-1].thinking_budget == 1024

    async def test_a_typed_value_is_set_or_refused_with_the_reason(self):
        async with chat() as it:
            await it.press("f2")
            await highlight(it, "top_p")
            await it.press("enter", *"1.5", "left", "enter")
            await it.sees("top-p is 1.5")
            await it.press("escape", "enter", *"0.25", "enter")
            await it.sees("top_p               0.25")
            await highlight(it, "temperature")
            await it.press("enter", "0", "enter")
            await it.sees("Greedy decoding")
            await it.press("enter", *"default", "enter")
            await it.sees("temperature         0.6")

    async def test_a_system_prompt_of_several_lines(self):
        async with chat() as it:
            await it.press("f2")
            await highlight(it, "system")
            await it.press("enter", *"Be s", "ctrl+j", *"[b]", "enter")
            await it.sees("Be s [b]", "this chat")
            assert it.session.system.text == "Be s\n[b]"

    async def test_saving_writes_what_was_changed_and_keeps_comments(self, home: Path):
        file = home / "config" / "config.toml"
        file.parent.mkdir()
        file.write_text("# mine\nthink = true  # yes\n\n[sampling]\n# warm\ntemperature = 0.9\n", "utf-8")
        async with chat() as it:
            await it.press("f2", "right")
            await highlight(it, "temperature")
            await it.press("enter", *"0.3", "enter", "s")
            await it.sees("Saved think, sampling.temperature in")
            assert file.read_text() == ("# mine\nthink = false  # yes\n\n[sampling]\n# warm\ntemperature = 0.3\n")
            await it.press("s")
            await it.sees("Nothing was changed")

    async def test_a_file_that_cannot_be_changed_is_named_and_stays(self, home: Path):
        file = home / "config" / "config.toml"
        file.parent.mkdir()
        file.write_text("think = ", "utf-8")
        async with chat() as it:
            await it.press("f2", "right", "s")
            await it.sees("cannot be read as TOML")
            assert file.read_text() == "think = "

    async def test_what_needs_the_model_loaded_anew_says_so_and_does_it_on_demand(self):
        async with chat() as it:
            await it.press("f2")
            await highlight(it, "device")
            await it.press("right")
            await it.sees("L loads the model anew")
            await highlight(it, "context")
            await it.press("enter", *"100", "enter")
            await it.sees("It is 100. It must be at least 256.")
            await it.press("escape", "enter", *"2,048", "enter")
            await it.sees("context             2,048")
            assert len(it.engine.loads) == 1
            await it.press("l")
            await it.until(lambda: len(it.engine.loads) == 2, "the model loaded anew")
            assert (it.engine.loads[-1].device, it.engine.loads[-1].context_window) == ("cpu", 2048)
            await it.no_longer_sees("Settings")

    async def test_another_model_can_be_named_and_saved_as_the_usual_one(self, home: Path):
        async with chat() as it:
            await it.press("f2")
            await highlight(it, "model")
            await it.sees("the best that can be had")
            await it.press("enter", *"other", "enter")
            await it.sees("model               other", "L loads the model anew")
            await it.press("s")
            await it.until(lambda: (home / "config" / "config.toml").exists(), "the file")
            assert (home / "config" / "config.toml").read_text() == 'model = "other"\n'
            await it.press("l")
            await it.sees("● other")

    async def test_what_counts_from_the_next_start_on_is_saved_for_it(self, home: Path):
        async with chat(presets=built_in()) as it:
            await it.press("f2")
            await highlight(it, "preset")
            await it.press("left")
            await it.sees("preset              Brief", "S saves it")
            await highlight(it, "private")
            await it.press("enter")
            await highlight(it, "keymap")
            await it.press("right", "s")
            await it.sees("Saved preset, private, keymap in")
            assert (home / "config" / "config.toml").read_text() == 'preset = "Brief"\nprivate = true\nkeymap = "vim"\n'

    async def test_the_theme_changes_as_it_is_chosen(self):
        async with chat() as it:
            await it.press("f2")
            await highlight(it, "theme")
            before = it.app.theme
            await it.press("right")
            await it.until(lambda: it.app.theme != before, "another theme")
            await it.press("enter", *"nix", "enter")
            await it.sees("nix is none of")

    async def test_a_click_turns_a_switch(self):
        async with chat() as it:
            await it.press("f2")
            await it.click_text("think               on")
            await it.sees("think               off")

    @pytest.mark.parametrize("size", [(1, 1), (40, 12), (80, 24)])
    async def test_it_is_there_at_any_size_and_shows_hostile_text_as_text(self, size):
        async with chat(size=size, presets=(MINE,)) as it:
            it.session.system.change("[red]\x1b[31mx\x9b 世界 👩‍👩‍👧")
            await it.press("f2")
            if size[0] > 1:
                await it.sees("think")
            await highlight(it, "system")
            await it.press("enter", "right", "escape")
            await highlight(it, "preset")
            await it.press("right", "left", "s", "escape")
            assert "\x1b" not in it.screen


async def highlight(it: Chat, name: str) -> None:
    """Go to a setting."""
    rows = it.app.screen.query_one(LongList)
    await it.until(lambda: rows.index_of(name) is not None, name)
    rows.highlighted = rows.index_of(name)
    await it.pilot.pause()
