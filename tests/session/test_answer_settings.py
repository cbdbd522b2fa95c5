"""For each setting its value now, and where that comes from."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid, NoThought, QwenchatError
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.answer_settings import NAMES, AnswerSettings, SettingSource
from qwenchat.session.session import Session
from qwenchat.settings.presets import Preset, built_in
from qwenchat.settings.settings import Settings
from tests.support.fake_engine import MODEL, FakeEngine

SETTINGS = Settings(system="From the file.", sampling=SamplingOverrides(top_p=0.5, temperature=0.9))
WARM = Preset("Warm", think=False, sampling=SamplingOverrides(temperature=1.5, top_k=7))


@pytest.fixture
def session() -> Iterator[Session]:
    overrides = SamplingOverrides(top_p=0.5, temperature=0.9, seed=4)
    session = Session(Worker(FakeEngine), Library.in_memory(), system="From the file.", overrides=overrides)
    yield session
    session.close()


@pytest.fixture
def steering(session: Session) -> AnswerSettings:
    return AnswerSettings(session, flags={"seed": 4}, settings=SETTINGS, presets=(*built_in(), WARM))


def test_each_value_says_where_it_comes_from(steering: AnswerSettings) -> None:
    steering.handle("top_k 11")
    origins = {name: steering.source(name) for name in ("seed", "top_p", "system", "top_k", "min_p", "think")}
    assert origins == {
        "seed": SettingSource.FLAG, "top_p": SettingSource.CONFIG, "system": SettingSource.CONFIG,
        "top_k": SettingSource.CHAT,
        "min_p": SettingSource.MODEL, "think": SettingSource.MODEL,
    }  # fmt: skip


@pytest.mark.parametrize(
    "typed",
    ["temperature 99", "temperature hot", "heat 1", "top_k 1.5", "think perhaps", "thinking_budget -3",
     "top_p=2 seed=1", "seed=1 heat=2", 'system "open'],
)  # fmt: skip
def test_a_wrong_value_is_refused_and_nothing_changes(steering: AnswerSettings, typed: str) -> None:
    before = [steering.value(name) for name in NAMES]
    with pytest.raises(QwenchatError):
        steering.handle(typed)
    assert [steering.value(name) for name in NAMES] == before


def test_what_is_typed_counts_and_is_said(steering: AnswerSettings, session: Session) -> None:
    assert steering.handle("temperature 0.25") == "temperature 0.25 (this chat)"
    assert session.overrides.temperature == 0.25
    said = steering.handle("think=off thinking_budget=1,024 max-tokens=2,000")
    assert said == "think off (this chat)\nthinking_budget 1,024 (this chat)\nmax_tokens 2,000 (this chat)"
    steering.handle("system Speak French.")
    assert session.system.text == "Speak French."
    assert steering.handle("temperature default") == "temperature 0.9 (config.toml)"
    assert steering.handle("min_p") == "min_p 0 (model's own)"


def test_back_goes_to_what_is_usual_and_from_there_to_the_models_own(
    steering: AnswerSettings, session: Session
) -> None:
    steering.set("temperature", 0.1)
    steering.reset("temperature")
    assert (session.overrides.temperature, steering.source("temperature")) == (0.9, SettingSource.CONFIG)
    steering.reset("temperature")
    assert (session.overrides.temperature, steering.source("temperature")) == (None, SettingSource.CHAT)
    steering.reset("temperature")
    assert session.overrides.temperature == 0.9


def test_the_likeliest_word_each_time_is_warned_of_while_the_model_thinks(steering: AnswerSettings) -> None:
    assert "Greedy decoding" in steering.set("temperature", 0)
    assert steering.set("think", False) == ""
    assert "Greedy decoding" in steering.set("think", True)
    assert steering.set("top_k", 3) == ""


def test_a_preset_lies_below_flags_and_above_the_file(steering: AnswerSettings, session: Session) -> None:
    steering.set("temperature", 0.2)
    steering.set("top_k", 3)
    steering.choose("warm")
    assert (session.overrides.temperature, session.overrides.top_k, session.thinks) == (1.5, 7, False)
    assert (session.overrides.top_p, session.overrides.seed) == (0.5, 4)
    assert steering.source("temperature") is SettingSource.PRESET
    assert steering.label == "Warm"
    steering.set("top_p", 0.7)
    assert steering.label == "Warm, changed"
    steering.choose("Creative")
    assert session.overrides.top_k is None, "the preset before has no say any more"
    assert session.overrides.top_p == 0.95


def test_a_preset_says_what_it_would_change_and_changes_just_that(steering: AnswerSettings) -> None:
    before = {name: steering.value(name) for name in NAMES}
    changes = steering.would_change(WARM)
    assert {change.name: (change.before, change.after) for change in changes} == {
        "temperature": (0.9, 1.5), "top_k": (None, 7), "think": (True, False),
    }  # fmt: skip
    assert {name: steering.value(name) for name in NAMES} == before
    steering.choose("Warm")
    assert {name: steering.value(name) for name in NAMES} == before | {"temperature": 1.5, "top_k": 7, "think": False}
    assert steering.would_change(WARM) == ()


def test_a_budget_of_a_preset_is_that_of_new_conversations_too(steering: AnswerSettings, session: Session) -> None:
    steering.presets = (Preset("Short", thinking_budget=100), Preset("Long", thinking_budget="off"))
    steering.choose("short")
    session.new()
    assert session.thinking_budget == 100
    steering.choose("long")
    session.new()
    assert session.thinking_budget is None


def test_an_unknown_preset_changes_nothing(steering: AnswerSettings) -> None:
    with pytest.raises(ConfigInvalid):
        steering.choose("nix")
    assert steering.label == ""


def test_the_settings_as_they_are_make_a_preset_that_gives_them_back(
    steering: AnswerSettings, session: Session
) -> None:
    steering.handle("temperature=0.3 thinking_budget=50 think=off")
    steering.add(steering.as_preset("Now"))
    assert steering.label == "Now"
    kept = [steering.value(name) for name in NAMES]
    steering.handle("temperature=1.3 thinking_budget=off think=on")
    steering.choose("Now")
    assert [steering.value(name) for name in NAMES] == kept


def test_a_model_without_a_switch_is_not_told_to_use_one() -> None:
    engine = FakeEngine(model=replace(MODEL, thinking=ThinkingSupport.NONE))
    session = Session(Worker(lambda: engine), Library.in_memory())
    try:
        session.model.load(LoadModel())
        while session.model.info is None:
            session.wait(0.05)
        steering = AnswerSettings(session, presets=(WARM,))
        assert steering.now("think") == "never, with this model"
        with pytest.raises(NoThought):
            steering.set("think", True)
        steering.choose("Warm")
        assert steering.label == "Warm"
    finally:
        session.close()


@pytest.mark.parametrize("first", [*built_in(), WARM], ids=lambda preset: preset.name)
def test_a_preset_leaves_no_trace_once_another_is_on(session: Session, first: Preset) -> None:
    presets = (*built_in(), WARM)
    for second in presets:
        kept = []
        for chosen in ((second.name,), (first.name, second.name)):
            other = Session(
                session.model.worker, Library.in_memory(), system="s", overrides=SamplingOverrides(top_p=0.5)
            )
            settings = Settings(system="s", sampling=SamplingOverrides(top_p=0.5))
            steering = AnswerSettings(other, settings=settings, presets=presets)
            for name in chosen:
                steering.choose(name)
            assert steering.label == second.name
            kept.append([steering.value(name) for name in NAMES])
        assert kept[0] == kept[1], second.name


@pytest.mark.parametrize("flags", [{}, {"temperature": 0.9}, {"think": False, "system": "By flag."}])
def test_a_preset_just_saved_is_not_changed_nor_in_the_next_conversation(
    session: Session, flags: dict[str, object]
) -> None:
    steering = AnswerSettings(session, flags=flags, settings=SETTINGS)
    steering.handle("temperature=0.3 think=on thinking_budget=500")
    steering.set("system", "By hand.")
    steering.set("top_p", None)
    steering.add(steering.as_preset("Mine"))
    assert steering.label == "Mine"
    session.new()
    assert steering.label == "Mine"
    assert (steering.value("temperature"), steering.value("thinking_budget")) == (0.3, 500)
    assert steering.value("top_p") != 0.5
