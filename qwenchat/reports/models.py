"""The models that are known or on this machine, and what fits it, for people to read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from qwenchat.chat.errors import ModelNotFound
from qwenchat.chat.server_profile import Server
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.console.table import aligned
from qwenchat.engine.local import embedded, fit, hub, memory, offers
from qwenchat.engine.local.catalog import HUB_NAMES, REMOTE, KnownModel, find
from qwenchat.engine.local.fit import FittingModel
from qwenchat.engine.local.footprint import QUANTIZATIONS, Quantization, format_in_words, token_bytes
from qwenchat.engine.local.memory import DeviceMemory
from qwenchat.engine.local.offers import AvailableModel
from qwenchat.engine.remote.discovery import nearby, served
from qwenchat.engine.remote.offer import ServedModel as ServedOffer
from qwenchat.i18n.texts import listed, say
from qwenchat.system.paths import Paths
from qwenchat.system.regular_file import expanded

CONTEXT = 32_768
"""Tokens that every Qwen3 model is made for."""
SHOWN = ("float32", "bf16", "int8", "int4", "F16", "Q8_0", "Q6_K", "Q4_K_M")
"""Quantizations that say how large a model is."""
SIZES = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 80, 96, 128, 192, 256, 512)
"""Gigabytes of memory that machines and GPUs have."""
SYSTEM_BYTES = 2e9
"""What a machine needs for everything else."""


def table(paths: Paths, rooms: Sequence[DeviceMemory] | None = None) -> str:
    """The models that can be chosen, one a line, with what fits this machine and what is here of them."""
    rooms = memory.here() if rooms is None else rooms
    best = fit.best(rooms)
    rows = [(say("BEST"), say("NAME"), say("PARAMETERS"), say("DOWNLOAD"), say("MEMORY"), say("FITS"), say("HERE"))]
    for offer in offers.known(paths, rooms=rooms):
        mark = "*" if best and best.model.name == offer.name else "-"
        fitting, here = _fitting(offer, rooms), say("yes") if offer.here else say("no")
        sizes = _billions(offer.parameters), format_in_words(offer.size), format_in_words(offer.ways[0].needs)
        rows.append((mark, offer.name, *sizes, fitting, here))
    for known in REMOTE:
        size = format_in_words(known.download_bytes(QUANTIZATIONS["bf16"]))
        rows.append(("-", known.name, _billions(known.parameters), size, "-", say("a server"), say("no")))
    default = fit.default_quantization(rooms[0].device)
    return "\n".join((_advice(best), "", aligned(rows), "", *_legend(rooms, default)))


def _billions(parameters: int) -> str:
    return f"{parameters / 1e9:.1f} B"


def _fitting(offer: AvailableModel, rooms: Sequence[DeviceMemory]) -> str:
    """The quantizations in which it fits the memory that is free."""
    known = find(offer.name)
    if known is None:
        return say("yes") if offer.ways[0].fits else say("no")
    names = (
        name for room in rooms for name in fit.offered(room.device) if FittingModel(known, name, room.device).fits(room)
    )
    return listed(dict.fromkeys(names)) or say("no")


def _legend(rooms: Sequence[DeviceMemory], default: str) -> Iterator[str]:
    for room in rooms:
        yield say(
            "{device}: {free} of {total} of memory are free.",
            device=room.device,
            free=format_in_words(room.free),
            total=format_in_words(room.total),
        )
    yield say(
        "MEMORY is what it takes in {quantization}: the weights, {tokens:,} tokens of context and {margin} for the "
        "program; FITS is what fits now.",
        quantization=default,
        tokens=fit.USEFUL_WINDOW,
        margin=format_in_words(fit.MARGIN),
    )


def _advice(best: FittingModel | None) -> str:
    if best is None:
        return say("None of them fits; `qwenchat --model smollm2` runs a very small one.")
    return say("* is the best choice for this machine: qwenchat {options}", options=best.options)


def account(name: str, paths: Paths, rooms: Sequence[DeviceMemory] | None = None) -> str:
    """What is known of one model; raises ModelNotFound."""
    known = find(name)
    if known is not None:
        return _known(known, memory.here() if rooms is None else rooms)
    path = expanded(name)
    if name.lower() in ("smollm2", embedded.NAME.lower()):
        path = embedded.path_in(paths.models)
        return aligned(((say("name"), embedded.NAME), (say("context"), _tokens(8192)), (say("here"), _where(path))))
    if not name or not path.exists():
        raise ModelNotFound(
            say("There is no model {name}: no such folder, file or known name.", name=name),
            did_you_mean(name, (*HUB_NAMES, "smollm2"), most=3) or say("See `qwenchat models`."),
        )
    return aligned(((say("name"), safe_line(path.resolve().name)), (say("here"), _where(path))))


def _known(known: KnownModel, rooms: Sequence[DeviceMemory]) -> str:
    facts = [
        (say("name"), known.name),
        (say("on the Hub"), known.hub_name),
        (say("parameters"), say("{billions:.2f} billion", billions=known.parameters / 1e9)),
        (say("layers"), str(known.shape.layers)),
        (say("context"), _tokens(CONTEXT)),
        (say("thinking"), say("on or off, as you like")),
    ]
    if known.remote:
        download = format_in_words(known.download_bytes(QUANTIZATIONS["bf16"]))
        away = say("no; a server can run it: vLLM, SGLang, Ollama or llama.cpp")
        return aligned((*facts, (say("download"), download), (say("here"), away)))
    folder = hub.cached(known.hub_name)
    cpu, gpu = token_bytes(known.shape, None), token_bytes(known.shape, 2)
    facts += [
        (
            say("KV cache"),
            say("{cpu:,.0f} kB a token on the CPU, {gpu:,.0f} kB on a GPU", cpu=cpu / 1e3, gpu=gpu / 1e3),
        ),
        (
            say("here"),
            _where(folder) if folder else say("no; `qwenchat models pull {name}` fetches it", name=known.name),
        ),
    ]
    return f"{aligned(facts)}\n\n{aligned(_quantizations(known, rooms))}\n\n{_key()}"


def _tokens(number: int) -> str:
    return say("{number:,} tokens", number=number)


def _key() -> str:
    """What the columns of the table mean."""
    return say(
        "WEIGHTS is what they take on a CPU; on a GPU, all but float32 runs as bf16. MEMORY is the weights, {tokens:,} "
        "tokens\nof context and {margin} for the program, then the same with {most:,} tokens.\n"
        "CPU and GPU say how much memory such a machine should have for {tokens:,} tokens of context.\n"
        "F16, Q8_0, Q6_K and Q4_K_M are GGUF files: `qwenchat --model FILE`. The others are made from the Hub's files "
        "when they\nare loaded: `qwenchat --quantization NAME`.",
        tokens=fit.USEFUL_WINDOW,
        most=CONTEXT,
        margin=format_in_words(fit.MARGIN),
    )


def _quantizations(known: KnownModel, rooms: Sequence[DeviceMemory]) -> Iterator[tuple[str, ...]]:
    """A table of what each costs."""
    memories = say("WEIGHTS"), say("MEMORY"), f"({CONTEXT:,})"
    yield say("QUANTIZATION"), say("DOWNLOAD"), *memories, "CPU", "GPU", say("FITS")
    for quantization in (QUANTIZATIONS[name] for name in SHOWN):
        on_cpu = FittingModel(known, quantization.name, "cpu")
        costs = on_cpu.weights, on_cpu.needs(), on_cpu.needs(CONTEXT)
        fits = any(
            FittingModel(known, quantization.name, room.device).fits(room)
            for room in rooms
            if room.device == "cpu" or quantization.gpu
        )
        yield (
            quantization.name,
            format_in_words(known.download_bytes(quantization)),
            *map(format_in_words, costs),
            _size_of_machine(on_cpu.needs() + SYSTEM_BYTES),
            _gpu(known, quantization),
            say("yes") if fits else say("no"),
        )


def _gpu(known: KnownModel, quantization: Quantization) -> str:
    if quantization.gpu is None:
        return "-"
    return _size_of_machine(FittingModel(known, quantization.name, "cuda").needs())


def _size_of_machine(needed: float) -> str:
    """The smallest usual memory that is enough."""
    return next((f"{size} GB" for size in SIZES if size * 1e9 >= needed), f"{needed / 1e9:,.0f} GB")


def _where(path: Path) -> str:
    if not path.exists():
        return say("no; it is fetched when it is needed")
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    size = format_in_words(sum(file.stat().st_size for file in files))
    return say("{size} in {place}", size=size, place=safe_line(str(path), 1000))


def models_of(server: Server) -> str:
    """What a server has. Raises ServerError and ConfigInvalid."""
    found = served(server)
    return aligned(_served_rows(found)) if found else say("It has no model.")


def servers_here() -> str:
    """The servers on this machine with their models; empty when none answers."""
    lines = []
    for server in nearby():
        names = safe_line(listed(offer.name for offer in server.models[:5]), 200) or "-"
        lines.append(f"{server.kind}: {names}\n  qwenchat --server {server.address}")
    return "\n".join((say("Servers on this machine:"), *lines)) if lines else ""


def _served_rows(offers: Sequence[ServedOffer]) -> Iterator[tuple[str, ...]]:
    reported = any(offer.context_window for offer in offers)
    yield say("MODEL"), say("CONTEXT") if reported else ""
    for offer in offers:
        yield safe_line(offer.name, 100), f"{offer.context_window:,}" if offer.context_window else ""
