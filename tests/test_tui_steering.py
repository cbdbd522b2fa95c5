"""How the user changes the way the model answers: budget, model, preset, settings."""

from .chat_driver import chat
from .fake_engine import FakeEngine, Script


class TestBudget:
    async def test_a_key_steps_through_the_lengths_of_thoughts(self):
        async with chat(Script()) as it:
            for words in ("256 tokens", "1,024 tokens", "4,096 tokens"):
                await it.press("alt+b")
                await it.sees(f"thinking on, {words}")
            await it.press("alt+b")
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
