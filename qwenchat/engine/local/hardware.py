"""What this machine can compute with."""

from pathlib import Path

import torch

from qwenchat.chat.errors import ConfigInvalid

_DTYPES = {"bf16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def devices() -> tuple[str, ...]:
    """The devices here, best first; cpu is always there."""
    found = ["cpu"]
    if torch.backends.mps.is_available():
        found.insert(0, "mps")
    if torch.cuda.is_available():
        found.insert(0, "cuda")
    return tuple(found)


def cpu_features() -> tuple[str, ...]:
    """Those features of the CPU that matter to matrix products; empty where the system does not tell."""
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm")
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return ()
    words = set(cpuinfo.read_text("utf-8", errors="replace").split())
    return tuple(name for name in wanted if name in words)


def choose(device: str, quantization: str) -> tuple[str, torch.dtype]:
    """The device and number format for what was asked, "auto" being the best here; raises ConfigInvalid."""
    here = devices()
    if device != "auto" and device not in here:
        raise ConfigInvalid(f"There is no {device} device on this machine.", f"There is: {', '.join(here)}.")
    chosen = here[0] if device == "auto" else device
    if quantization != "auto":
        if quantization not in _DTYPES:
            raise ConfigInvalid(f"The quantization {quantization} is not known.", f"Known: auto, {', '.join(_DTYPES)}.")
        return chosen, _DTYPES[quantization]
    if chosen == "cuda":
        return chosen, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if chosen == "mps":
        return chosen, torch.bfloat16
    fast_bf16 = {"avx512_bf16", "amx_bf16", "bf16"} & set(cpu_features())
    return chosen, torch.bfloat16 if fast_bf16 else torch.float32


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; on the CPU, torch says so in a plain RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and ("allocate memory" in said or "not enough memory" in said)
