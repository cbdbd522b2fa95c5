"""The user's settings: what config.toml says, key by key, and what is wrong with it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.texts import say

Device = Literal["auto", "cpu", "cuda", "mps"]
Quantization = Literal["auto", "int8", "int4", "bf16", "float16", "float32"]
SMALLEST = {"context": 256, "thinking_budget": 1}
"""The least that these settings may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every key of config.toml with its default; flags and environment variables go before them."""

    model: str | None = None
    """A Hub name, a folder, a GGUF file or a short name; None for the best that can be had."""
    device: Device = "auto"
    quantization: Quantization = "auto"
    context: int | None = None
    """Size of the context window in tokens; None for the model's own."""
    system: str = ""
    """A system prompt."""
    think: bool = True
    """Thinking mode at the start of a chat."""
    thinking_budget: int | None = None
    """Most tokens of thought; None for no limit."""
    private: bool = False
    """Whether chats are kept in memory alone."""
    theme: str = "qwenchat-dark"
    preset: str | None = None
    """The preset that is on at the start; None for none."""
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
    """The table `[sampling]`; what it leaves open is Qwen3's preset of the mode."""


def read(file: Path) -> tuple[Settings, tuple[str, ...]]:
    """The settings in `file`, and what is wrong with it in words; a key that cannot be used has its default."""
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return Settings(), ()
    except (OSError, ValueError, RecursionError) as error:
        return Settings(), (f"{file} cannot be read: {error}. The defaults are used.",)
    problems: list[str] = []
    values = _values(Settings, table, file, "", problems)
    return Settings(**values), tuple(problems)


def write(file: Path, changes: Mapping[str, Any]) -> None:
    """Set these keys, one in a table written `table.key`, and leave the rest as it is, comments too.

    None takes a key away. Raises ConfigInvalid, having changed nothing.
    """
    import tomlkit  # slow, and seldom wanted
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(file.read_text("utf-8") if file.exists() else "")
        for key, value in changes.items():
            table: Any = document
            *above, name = key.split(".")
            for part in above:
                table = table.setdefault(part, tomlkit.table())
            if value is None:
                table.pop(name, None)
            else:
                table[name] = value
        target = file.resolve()  # a link stays one
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{target.name}.part")
        draft.write_text(tomlkit.dumps(document), "utf-8")
        draft.replace(target)
    except (OSError, ValueError, TypeError, AttributeError, TOMLKitError) as error:
        raise ConfigInvalid(
            say("{file} cannot be changed: {error}.", file=file, error=error), say("It is as it was.")
        ) from error


def _values(cls: type, table: dict[str, Any], file: Path, prefix: str, problems: list[str]) -> dict[str, Any]:
    """Those of `table`'s keys that are fields of `cls`, have their type and lie in their range."""
    types = {name: hint for name, hint in get_type_hints(cls).items() if name in {f.name for f in fields(cls)}}
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in types:
            problems.append(f"{file}: there is no setting {prefix}{name}. It is ignored.")
        elif types[name] is SamplingOverrides and isinstance(value, dict):
            values[name] = SamplingOverrides(**_values(SamplingOverrides, value, file, f"{name}.", problems))
        else:
            try:
                converted = msgspec.convert(value, types[name])
                _check_range(cls, name, converted)
            except (msgspec.ValidationError, ConfigInvalid, OverflowError) as error:
                problems.append(
                    f"{file}: {prefix}{name} cannot be used: {str(error).rstrip('.')}. The default is used."
                )
            else:
                values[name] = converted
    return values


def _check_range(cls: type, name: str, value: Any) -> None:
    if cls is SamplingOverrides:
        SamplingOverrides(**{name: value}).applied(thinking=True)
    elif name in SMALLEST and value < SMALLEST[name]:
        raise ConfigInvalid(f"it is {value}.", f"It must be at least {SMALLEST[name]}.")
