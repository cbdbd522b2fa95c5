"""The models that are known or on this machine, for people to read."""

from collections.abc import Iterable
from pathlib import Path

from qwenchat.chat.errors import ModelNotFound
from qwenchat.chat.text import safe_line
from qwenchat.engine.local import embedded, hub
from qwenchat.engine.local.catalog import KNOWN, KnownModel, models_here
from qwenchat.paths import Paths

CONTEXT = 32_768
"""Tokens that every Qwen3 model is made for."""


def table(paths: Paths) -> str:
    """The known models, one a line, and what is here of them."""
    here = {model.name: model for model in models_here(paths)}
    rows = [("NAME", "PARAMETERS", "SIZE", "HERE")]
    for known in KNOWN:
        mark = "yes" if known.hub_name in here else "no"
        rows.append((known.name, f"{known.parameters / 1e9:.1f} B", size(known.bf16_bytes), mark))
    others = sorted(set(here) - {known.hub_name for known in KNOWN})
    rows += [(safe_line(name), "", size(here[name].bytes), "yes") for name in others]
    return aligned(rows)


def account(name: str, paths: Paths) -> str:
    """What is known of one model; raises ModelNotFound."""
    known = next((model for model in KNOWN if name.lower() in (model.name, model.hub_name.lower())), None)
    if known is not None:
        return aligned(_known(known))
    path = Path(name).expanduser()
    if name.lower() in ("smollm2", embedded.NAME.lower()):
        path = embedded.path_in(paths.models)
        return aligned((("name", embedded.NAME), ("context", "8,192 tokens"), ("here", _where(path))))
    if not name or not path.exists():
        raise ModelNotFound(f"There is no model {name}: no such folder, file or known name.", "See `qwenchat models`.")
    return aligned((("name", safe_line(path.resolve().name)), ("here", _where(path))))


def _known(known: KnownModel) -> tuple[tuple[str, str], ...]:
    folder = hub.cached(known.hub_name)
    cache = known.kv_bytes_per_token
    return (
        ("name", known.name),
        ("on the Hub", known.hub_name),
        ("parameters", f"{known.parameters / 1e9:.2f} billion"),
        ("layers", str(known.layers)),
        ("context", f"{CONTEXT:,} tokens"),
        ("weights", f"{size(known.bf16_bytes)} in bf16, to download and in memory"),
        (
            "KV cache",
            f"{cache / 1e3:,.0f} kB a token; {size(cache * CONTEXT)} when the context is full",
        ),
        ("thinking", "on or off, as you like"),
        ("here", _where(folder) if folder else f"no; `qwenchat models pull {known.name}` fetches it"),
    )


def _where(path: Path) -> str:
    if not path.exists():
        return "no; it is fetched when it is needed"
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    return f"{size(sum(file.stat().st_size for file in files))} in {safe_line(str(path), 1000)}"


def size(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def aligned(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows as lines with their columns below each other."""
    rows = list(rows)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
