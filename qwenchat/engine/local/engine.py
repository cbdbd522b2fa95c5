"""The local engine: a model in this process, behind the `Engine` protocol."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from qwenchat.chat.engine_commands import LoadModel, Prefill, ScoreReply, StartTurn
from qwenchat.chat.errors import DeviceFailed, EngineFailed, OutOfMemory, PromptTooLong
from qwenchat.chat.events import DraftCounted, LoadProgressed, TokensScored, TurnEvent
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.base import Stopped, StopSignal, TurnSignals
from qwenchat.engine.failures import is_out_of_memory
from qwenchat.engine.local import fit, hardware, memory
from qwenchat.engine.local.catalog import KnownModel
from qwenchat.engine.local.context_pool import ContextPool
from qwenchat.engine.local.generate import prefill
from qwenchat.engine.local.generation import Generation, reserve_of
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.loader import load, quantization_of
from qwenchat.engine.local.locate import locate
from qwenchat.engine.local.memory import DeviceMemory
from qwenchat.engine.local.network import Network
from qwenchat.engine.local.prompt import ChatTemplate
from qwenchat.engine.local.token_scorer import TokenScorer
from qwenchat.engine.local.tokenizer import ChatTokenizer
from qwenchat.i18n.texts import say, sentences
from qwenchat.system.paths import Paths

log = logging.getLogger(__name__)

SMOLLM2 = SamplingOverrides(temperature=0.2, top_p=0.9, top_k=50, max_tokens=1024)
"""What SmolLM2's model card recommends; it says nothing that takes longer, but may not find the end."""

KEPT_SHARE = 8
"""The share of free memory that the caches of earlier conversations may take: one of so many parts."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    network: Network[Any]
    contexts: ContextPool
    template: ChatTemplate
    tokenizer: ChatTokenizer
    info: ModelInfo
    command: LoadModel

    @contextlib.contextmanager
    def computing(self, stop: StopSignal) -> Iterator[None]:
        """Errors as what they mean for the reader; what one has left in the sequences is not trusted."""
        try:
            with _typed_errors(self.info.device), self.template.stopped_by(stop):
                yield
        except (EngineFailed, OutOfMemory, DeviceFailed):
            self.contexts.forget()
            raise


class LocalEngine:
    """Finds, loads and runs a model on this machine."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._loaded: _Loaded | None = None

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        """See `Engine.load`. The current model is given up only once the next one is on this machine."""
        if command.back and self._loaded is not None and self._loaded.command == replace(command, back=False):
            return self._loaded.info
        plan = hardware.choose(command.device, command.quantization)
        try:
            return self._load(command, plan, progress, stop)
        except (OutOfMemory, DeviceFailed) as error:
            if command.device != "auto" or plan.device == "cpu":
                raise
            log.warning("the CPU takes over: %s", error)
            model = self._load(command, hardware.choose("cpu", command.quantization), progress, stop)
            return self._with_reason(sentences(model.reason, say("It runs on the CPU."), error.what))

    def _load(
        self, command: LoadModel, plan: RunPlan, progress: Callable[[LoadProgressed], None], stop: StopSignal
    ) -> ModelInfo:
        """Load for one device; raises OutOfMemory or DeviceFailed when it is that which fails."""
        started = time.perf_counter()
        asked = command.context_window

        def check(known: KnownModel) -> None:
            fit.check(known, quantization_of(plan), self._room(plan.device), asked)

        with _typed_device_failures():
            located = locate(command.name, paths=self._paths, progress=progress, stop=stop, check=check)
            self.close()
            model = load(
                located.path, plan=plan, cache_folder=self._paths.cache / "tokenizers", progress=progress, stop=stop,
                context=asked, packed_folder=self._paths.packed,
            )  # fmt: skip
            kept = memory.of(plan.device).free // KEPT_SHARE
        hardware.give_torch_threads(model.network.interruptible)
        try:
            template = ChatTemplate(model.tokenizer, stop)
        except BaseException:
            model.network.close()
            raise
        window = model.window
        contexts = ContextPool(model.network, window.tokens, kept)
        info = ModelInfo(
            name=located.name,
            revision=located.revision,
            quantization=model.quantization,
            device=plan.device,
            context_window=window.tokens,
            thinking=template.thinking,
            system_changes=template.system_changes,
            tools=template.tools,
            parameters=model.parameters,
            memory_bytes=model.memory_bytes,
            sampling=SMOLLM2 if "smollm2" in located.name.lower() else SamplingOverrides(),
            load_s=time.perf_counter() - started,
            reason=f"{located.reason} {window.notice}".strip(),
        )
        self._loaded = _Loaded(model.network, contexts, template, model.tokenizer, info, replace(command, back=False))
        return info

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        """See `Engine.generate`."""
        loaded = self._require_loaded()
        turn = Generation(loaded.contexts, loaded.template, loaded.tokenizer, command, signals)
        with loaded.computing(signals):
            yield from turn.run()

    def count_tokens(self, command: Prefill, stop: StopSignal) -> DraftCounted | None:
        """See `Engine.count_tokens`."""
        loaded = self._require_loaded()
        window = loaded.contexts.window
        with loaded.template.stopped_by(stop):
            return loaded.template.count_tokens(command, window, reserve_of(window))

    def read_ahead(self, command: Prefill, stop: StopSignal) -> None:
        """See `Engine.read_ahead`."""
        loaded = self._require_loaded()
        window = loaded.contexts.window
        with contextlib.suppress(Stopped, PromptTooLong), loaded.computing(stop):
            reserve = reserve_of(window)
            ids = loaded.template.shared_ahead(
                command.messages, command.thinking, window, reserve, command.draft, command.tools
            )
            context = loaded.contexts.nearest(ids)
            for _ in prefill(context, ids[context.rewind(ids) :], stop):
                pass

    def score(self, command: ScoreReply, stop: StopSignal) -> Iterator[TokensScored]:
        """See `Engine.score`."""
        loaded = self._require_loaded()
        lens = TokenScorer(
            loaded.contexts, loaded.template, loaded.tokenizer, command, reserve_of(loaded.contexts.window)
        )
        with loaded.computing(stop):
            yield from lens.run(stop)

    def close(self) -> None:
        """See `Engine.close`."""
        if self._loaded is not None:
            self._loaded.network.close()
            self._loaded.template.close()
            self._loaded = None
            memory.give_back()

    def _with_reason(self, reason: str) -> ModelInfo:
        """The account of the loaded model, which from now on says why it is that one."""
        loaded = self._require_loaded()
        self._loaded = replace(loaded, info=replace(loaded.info, reason=reason))
        return self._loaded.info

    def _room(self, device: str) -> DeviceMemory:
        """What can be had once the current model is given up."""
        room = memory.of(device)
        held = self._loaded.info.memory_bytes if self._loaded is not None and self._loaded.info.device == device else 0
        return replace(room, free=min(room.total, room.free + held))

    def _require_loaded(self) -> _Loaded:
        if self._loaded is None:
            raise EngineFailed(say("No model is loaded."), say("Choose one."))
        return self._loaded


@contextlib.contextmanager
def _typed_errors(device: str) -> Iterator[None]:
    """Errors of a turn that runs on `device`."""
    try:
        with _typed_device_failures():
            yield
    except (MemoryError, RuntimeError, SystemError, OSError) as error:
        if is_out_of_memory(error):
            if device == "cpu":
                raise OutOfMemory(
                    say("The context does not fit the device's memory."), say("Start a new chat.")
                ) from error
            raise DeviceFailed(say("The context does not fit the GPU's memory."), _takes_over()) from error
        raise EngineFailed(
            say("The model failed during the reply: {error}.", error=error), say("Try again.")
        ) from error


@contextlib.contextmanager
def _typed_device_failures() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error) or not hardware.is_device_failure(error):
            raise
        said = str(error).strip().splitlines()[0].rstrip(".")
        raise DeviceFailed(say("The GPU failed: {said}.", said=said), _takes_over()) from error


def _takes_over() -> str:
    return say("What came is kept, and the CPU can go on (--device cpu).")
