"""Jinja for chat templates, set up as transformers does it: a template reaches nothing but what it is given.

It sets no limits on time and memory. Templates of strangers are therefore rendered in a process of its own, which runs
`check` and `render` of this module and should import no more than they need.
"""

import functools
import json
from datetime import datetime
from typing import Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


def check(source: str) -> str:
    """Nothing; raises jinja2.TemplateSyntaxError for what is no template."""
    _compiled(source)
    return ""


def render(source: str, variables: dict[str, Any]) -> str:
    """The rendered text; raises jinja2.TemplateError, or what the template itself causes."""
    return _compiled(source).render(variables)


@functools.lru_cache(maxsize=8)
def _compiled(source: str) -> jinja2.Template:
    return _environment().from_string(source)


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    for name in ("lipsum", "cycler", "joiner"):
        del environment.globals[name]
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda layout: datetime.now().strftime(layout)
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    return environment


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)
