"""The local engine: a model in this process, behind the `Engine` protocol."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from qwenchat.chat.commands import LoadModel, ReadAhead, StartTurn
from qwenchat.chat.errors import EngineFailed, OutOfMemory, PromptTooLong
from qwenchat.chat.events import LoadProgressed, TurnEvent
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.base import Stopped, StopSignal, TurnSignals
from qwenchat.engine.local import fit, hardware, memory
from qwenchat.engine.local.catalog import KnownModel
from qwenchat.engine.local.contexts import Contexts
from qwenchat.engine.local.generate import prefill
from qwenchat.engine.local.loader import load, quantization_of
from qwenchat.engine.local.locate import locate
from qwenchat.engine.local.network import Network
from qwenchat.engine.local.prompt import ChatTemplate
from qwenchat.engine.local.tokenizer import ChatTokenizer
from qwenchat.engine.local.turn import Turn, reserve_of
from qwenchat.paths import Paths

SMOLLM2 = SamplingOverrides(temperature=0.2, top_p=0.9, top_k=50, max_tokens=1024)
"""What SmolLM2's model card recommends; it says nothing that takes longer, but may not find the end."""

KEPT_SHARE = 8
"""The share of free memory that the caches of earlier conversations may take: one of so many parts."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    network: Network[Any]
    contexts: Contexts
    template: ChatTemplate
    tokenizer: ChatTokenizer


class LocalEngine:
    """Finds, loads and runs a model on this machine."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._loaded: _Loaded | None = None

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        """See `Engine.load`."""
        self.close()
        started = time.perf_counter()
        plan = hardware.choose(command.device, command.quantization)
        asked = command.context_window

        def check(known: KnownModel) -> None:
            fit.check(known, quantization_of(plan), memory.of(plan.device), asked)

        located = locate(command.name, paths=self._paths, progress=progress, stop=stop, check=check)
        tokenizers = self._paths.cache / "tokenizers"
        model = load(located.path, plan=plan, cache_folder=tokenizers, progress=progress, stop=stop, context=asked)
        hardware.give_torch_threads(model.network.interruptible)
        try:
            template = ChatTemplate(model.tokenizer)
        except BaseException:
            model.network.close()
            raise
        window = model.window
        kept = memory.of(plan.device).free // KEPT_SHARE
        self._loaded = _Loaded(model.network, Contexts(model.network, window.tokens, kept), template, model.tokenizer)
        return ModelInfo(
            name=located.name,
            revision=located.revision,
            quantization=model.quantization,
            device=plan.device,
            context_window=window.tokens,
            thinking=template.thinking,
            parameters=model.parameters,
            memory_bytes=model.memory_bytes,
            sampling=SMOLLM2 if "smollm2" in located.name.lower() else SamplingOverrides(),
            load_s=time.perf_counter() - started,
            reason=f"{located.reason} {window.notice}".strip(),
        )

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        """See `Engine.generate`."""
        loaded = self._require_loaded()
        turn = Turn(loaded.contexts, loaded.template, loaded.tokenizer, command, signals)
        try:
            with _typed_errors(), torch.inference_mode():
                yield from turn.run()
        except (EngineFailed, OutOfMemory):
            loaded.contexts.forget()
            raise

    def read_ahead(self, command: ReadAhead, stop: StopSignal) -> None:
        """See `Engine.read_ahead`."""
        loaded = self._require_loaded()
        window = loaded.contexts.window
        with contextlib.suppress(Stopped, PromptTooLong), _typed_errors(), torch.inference_mode():
            ids = loaded.template.shared_ahead(command.messages, command.thinking, window, reserve_of(window))
            context = loaded.contexts.nearest(ids)
            for _ in prefill(context, ids[context.rewind(ids) :], stop):
                pass

    def close(self) -> None:
        """See `Engine.close`."""
        if self._loaded is not None:
            self._loaded.network.close()
        self._loaded = None

    def _require_loaded(self) -> _Loaded:
        if self._loaded is None:
            raise EngineFailed("No model is loaded.", "Choose one.")
        return self._loaded


@contextlib.contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if hardware.is_out_of_memory(error):
            raise OutOfMemory("The context does not fit the device's memory.", "Start a new chat.") from error
        raise EngineFailed(f"The model failed during the reply: {error}.", "Try again.") from error
