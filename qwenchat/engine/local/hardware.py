"""What this machine can compute with. Torch, which is slow to import, is asked only where there may be a GPU."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.i18n.texts import listed, say

_FLOATS = {"bf16": 2, "float16": 2, "float32": 4}
"""Bytes of each."""
_BITS = {"int8": 8, "int4": 4}
_FAILURES = (
    *("CUDA error", "CUDA driver error", "CUBLAS_STATUS", "CUDNN_STATUS"),
    *("HIP error", "HIPBLAS_STATUS", "Metal error", "MPS backend", "MPS device"),
)
"""How torch names the failures of a GPU that have no type of their own."""


_DRIVERS = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/kfd", "/dev/dxg")
"""What the drivers of GPUs that torch can use put there: NVIDIA's, Jetson's, AMD's, Windows' in its Linux."""


def may_have_gpu() -> bool:
    """Whether torch is to be asked for a GPU."""
    return sys.platform == "darwin" or shutil.which("nvidia-smi") is not None or any(map(os.path.exists, _DRIVERS))


def devices() -> tuple[str, ...]:
    """The devices here, best first; cpu is always there."""
    if not may_have_gpu():
        return ("cpu",)
    import torch  # noqa: PLC0415  (slow, and not needed for the CPU)

    found = ["cpu"]
    if torch.backends.mps.is_available():
        found.insert(0, "mps")
    if torch.cuda.is_available():
        found.insert(0, "cuda")
    return tuple(found)


def cpu_features() -> tuple[str, ...]:
    """Those features of the CPU that matter to matrix products; empty where the system does not say."""
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm")
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return ()
    words = set(cpuinfo.read_text("utf-8", errors="replace").split())
    return tuple(name for name in wanted if name in words)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """How a model is to be run."""

    device: str
    """cpu, cuda or mps."""
    dtype: str
    """bf16, float16 or float32: what activations are computed in, and weights that are not quantized."""
    packed: bool = False
    """Whether weights are quantized for the CPU's own kernels, if the model allows it."""
    bits: int | None = None
    """4 or 8 when that was asked for; None keeps what a file has, and makes 8 of floats."""
    required: bool = False
    """Whether a model that cannot be packed is to be refused."""

    @property
    def itemsize(self) -> int:
        """Bytes of one number of `dtype`."""
        return _FLOATS[self.dtype]


def choose(device: str, quantization: str) -> RunPlan:
    """How to run a model for what was asked, "auto" being the best here; raises ConfigInvalid."""
    here = devices()
    if device != "auto" and device not in here:
        raise ConfigInvalid(
            say("There is no {device} device on this machine.", device=device),
            say("There is: {devices}.", devices=listed(here)),
        )
    chosen = here[0] if device == "auto" else device
    if quantization in _FLOATS:
        return RunPlan(chosen, quantization)
    if quantization in _BITS:
        if chosen != "cpu":
            raise ConfigInvalid(
                say("{quantization} runs on the CPU, not on {chosen}.", quantization=quantization, chosen=chosen),
                say("Add --device cpu, or take bf16."),
            )
        return RunPlan(chosen, "float32", packed=True, bits=_BITS[quantization], required=True)
    if quantization != "auto":
        known = listed(("auto", *_BITS, *_FLOATS))
        raise ConfigInvalid(
            say("The quantization {quantization} is not known.", quantization=quantization),
            say("Known: {known}.", known=known),
        )
    if chosen == "cuda":
        return RunPlan(chosen, "bf16" if _has_native_bf16() else "float16")
    if chosen == "mps":
        return RunPlan(chosen, "bf16")
    fast_bf16 = {"avx512_bf16", "amx_bf16", "bf16"} & set(cpu_features())
    return RunPlan(chosen, "bf16" if fast_bf16 else "float32", packed=True)


def _has_native_bf16() -> bool:
    import torch  # noqa: PLC0415  (slow, and not needed for the CPU)

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def cpu_threads() -> int:
    """How many threads to compute with: the physical cores this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def give_torch_threads(network_has_its_own: bool) -> None:
    """Let torch use all cores, or one: its threads go on spinning after each operation and would hold up the others.

    OMP_NUM_THREADS counts where it is set, since on cores that others use too, torch takes ten times as long.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores = max(1, int(wanted)) if wanted.isdecimal() else cpu_threads()
    torch.set_num_threads(1 if network_has_its_own else cores)


def is_device_failure(error: BaseException) -> bool:
    """Whether a GPU gave up; what it holds is lost then, and often it does nothing more for this process."""
    torch = sys.modules.get("torch")
    typed = torch is not None and isinstance(error, torch.AcceleratorError)
    return typed or (isinstance(error, RuntimeError) and any(word in str(error) for word in _FAILURES))
