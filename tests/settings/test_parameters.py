"""One table of parameters, and everything that derives from it."""

from dataclasses import fields
from types import NoneType
from typing import get_args, get_type_hints

import click
import pytest

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import RANGES, SAMPLING, WHOLE, Sampling, SamplingOverrides
from qwenchat.cli.main import cli
from qwenchat.session.answer_settings import NAMES
from qwenchat.settings.config_file import template
from qwenchat.settings.parameters import BY_NAME, PARAMETERS, Parameter
from qwenchat.settings.settings import Settings

OPTIONS = {option.name: option for option in cli.params if isinstance(option, click.Option)}


def test_every_setting_that_has_one_value_has_one_row() -> None:
    tables = {"sampling", "keys", "servers", "tools", "mcp"}
    settings = [field.name for field in fields(Settings) if field.name not in tables]
    assert sorted(it.key for it in PARAMETERS) == sorted([*settings, *(f"sampling.{name}" for name in SAMPLING)])
    assert len(BY_NAME) == len(PARAMETERS)


def test_what_the_user_may_set_of_sampling_is_all_of_it_with_the_same_types() -> None:
    whole, partly = get_type_hints(Sampling), get_type_hints(SamplingOverrides)
    assert list(whole) == list(partly)
    for name, kind in whole.items():
        assert {*(get_args(kind) or (kind,)), NoneType} == {*get_args(partly[name])}


@pytest.mark.parametrize("name", SAMPLING)
def test_a_sampling_parameter_has_its_range_from_the_one_definition(name: str) -> None:
    parameter = BY_NAME[name]
    assert (parameter.least, parameter.most) == RANGES[name]
    assert (parameter.kind == "integer") is (name in WHOLE)
    assert parameter.step
    for beyond in (parameter.least - 1, parameter.most * 2 + 1):
        with pytest.raises(ConfigInvalid, match=name.replace("_", "-")):
            SamplingOverrides(**{name: beyond}).applied(thinking=True)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda it: it.name)
def test_flag_variable_range_default_and_help_are_those_of_the_table(parameter: Parameter) -> None:
    assert f"{parameter.name} = " in template()
    if not parameter.flag:
        assert parameter.name not in OPTIONS
        return
    option = OPTIONS[parameter.name]
    assert "/".join((*option.opts, *option.secondary_opts)) == parameter.flag
    assert option.envvar == parameter.variable
    assert option.default == parameter.default
    assert option.help is not None
    assert parameter.about[1:] in option.help
    if parameter.kind in ("integer", "number"):
        assert parameter.range_in_words in option.help


def test_every_sampling_parameter_can_be_typed_after_set() -> None:
    assert set(SAMPLING) < set(NAMES)
