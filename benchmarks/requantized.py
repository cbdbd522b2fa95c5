"""Writes the model of a GGUF file in other bits: its matrices in one format, the embedding in 8 bits."""

from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize

FORMATS = {
    "Q8_0": (Kind.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "Q4_0": (Kind.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
}


def requantize(source: Path, target: Path, name: str) -> Path:
    """The file appears as `target` only when it is whole; one that is there already is kept."""
    if target.exists():
        return target
    kind, file_type = FORMATS[name]
    reader = gguf.GGUFReader(source)
    architecture = str(reader.fields["general.architecture"].contents())
    partial = target.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, architecture)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        of_items = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), field.types[0], of_items)
    writer.add_file_type(file_type)
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        wanted = Kind.F32 if values.ndim == 1 else Kind.Q8_0 if tensor.name == "token_embd.weight" else kind
        writer.add_tensor(tensor.name, quantize(values, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return partial.rename(target)
