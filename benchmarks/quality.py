"""Measures what quantization costs in quality, on real weights: python -m benchmarks.quality --llama

The model reads a text. After each token its expectation of the next is compared with that of the
reference, the same weights in float32: KL divergence (0 is the same), and how often both hold the same token to be the
likeliest. bf16 stands beside the quantized rows, since it is what GPUs run and no reference either.

Of the probabilities only the 1,000 largest are looked at, and all others as one: more llama.cpp does not tell, and all
are measured alike. With --llama it reads the same files: the model's own if it is a GGUF file, and that written anew in
Q8_0 and Q4_0.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.environments import LLAMA, ROOT
from benchmarks.requantized import FORMATS, requantize
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import hardware, loader
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.locate import locate
from qwenchat.system.paths import Paths

TEXTS = ("README.md", "LICENSE")
LARGEST = 1000
"""Probabilities that are looked at after each token."""
GGUF = "the file"
"""Stands for the format of the model's own file until that is known."""


@dataclass(frozen=True)
class Row:
    """How far one way to run a model is from the reference."""

    model: str
    weights: str
    bits: float | None
    """Memory of the weights, in bits a weight."""
    mean_kl: float
    max_kl: float
    top_1: float
    """Share of the positions at which the likeliest token is the same."""
    seconds: float


class Comparison:
    """Takes in expectations position by position."""

    def __init__(self, reference: Tensor) -> None:
        """`reference` [tokens, vocab], log probabilities."""
        self._reference = reference
        self._kl: list[float] = []
        self._same = 0
        self._started = time.perf_counter()

    def add(self, logprobs: Tensor, ids: Tensor) -> None:
        """The largest log probabilities after the next token, likeliest first, and of which tokens; [LARGEST]."""
        expected = self._reference[len(self._kl)].double()
        p, q = (with_rest(some.exp()) for some in (expected[ids], logprobs.double()))
        self._kl.append(float((p * (p / q).log()).sum()))
        self._same += bool(expected.argmax() == ids[0])

    def row(self, model: str, weights: str, bits: float | None) -> Row:
        """The figures over all that was added."""
        count, seconds = len(self._kl), time.perf_counter() - self._started
        return Row(model, weights, bits, sum(self._kl) / count, max(self._kl), self._same / count, seconds)


def with_rest(probabilities: Tensor) -> Tensor:
    rest = (1 - probabilities.sum()).clamp_min(1e-12)
    return torch.cat([probabilities, rest[None]])


def opened(path: Path, quantization: str, cache: Path) -> loader.LoadedModel:
    return loader.load(
        path,
        plan=hardware.choose("cpu", quantization),
        cache_folder=cache,
        progress=lambda step: None,
        stop=StopSignal(),
    )


def expectations(model: loader.LoadedModel, ids: list[int]) -> Iterator[Tensor]:
    """Log probabilities [vocab] after each token of `ids`."""
    network, stop = model.network, StopSignal()
    cache = network.new_cache(len(ids))
    with torch.inference_mode():
        if isinstance(network, Decoder):
            yield from network.logits(network.states(torch.tensor(ids), cache)).log_softmax(-1)
            return
        for token in ids:
            yield torch.from_numpy(network.read([token], cache, stop)).log_softmax(-1)
    network.close()


def measure(name: str, chosen: argparse.Namespace, report: Callable[[Row], None]) -> None:
    """Report a row for each way to run the model called `name`."""
    paths = Paths.of_user()
    path = locate(name, paths=paths, progress=lambda step: None, stop=StopSignal()).path
    exact = opened(path, "float32", paths.cache / "tokenizers")
    ids = [at for text in TEXTS for at in exact.tokenizer.encode((ROOT / text).read_text())[: chosen.tokens // 2]]
    reference = torch.stack(list(expectations(exact, ids)))
    exact_name = exact.quantization
    del exact
    ways = [(path, quantization, quantization) for quantization in ("bf16", "int8", "int4")]
    files = {}
    if path.suffix.lower() == ".gguf":
        files[GGUF] = path
        if chosen.llama:
            chosen.cache.mkdir(parents=True, exist_ok=True)
            files |= {kind: requantize(path, chosen.cache / f"{path.stem}-{kind}.gguf", kind) for kind in FORMATS}
        ways += [(file, "auto", f"{kind} as it is") for kind, file in files.items()]
    for file, quantization, shown in ways:
        model = opened(file, quantization, paths.cache / "tokenizers")
        comparison = Comparison(reference)
        for found in expectations(model, ids):
            comparison.add(*found.topk(LARGEST))
        bits = 8 * model.memory_bytes / model.parameters
        report(comparison.row(name, shown.replace(GGUF, model.quantization), bits))
    if chosen.llama:
        for kind, file in files.items():
            shown = f"llama.cpp, {kind}".replace(GGUF, exact_name)
            report(measure_llama(name, shown, file, ids, reference, chosen.cache))


def measure_llama(name: str, shown: str, file: Path, ids: list[int], reference: Tensor, cache: Path) -> Row:
    comparison = Comparison(reference)
    with tempfile.TemporaryDirectory() as folder:
        text, out = Path(folder, "ids.json"), Path(folder, "found.npz")
        text.write_text(json.dumps(ids))
        command = [LLAMA.python(cache), "-m", "benchmarks.llama_probabilities", str(file), str(text), str(out)]
        threads = str(hardware.cpu_threads())
        subprocess.run([*command, threads], cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = np.load(out)
        for largest, logprobs in zip(found["ids"], found["logprobs"], strict=True):
            comparison.add(torch.from_numpy(logprobs), torch.from_numpy(largest))
    return comparison.row(name, shown, None)


def markdown(rows: list[Row], tokens: int) -> str:
    lines = ["| model | weights | bits a weight | mean KL | max KL | same top token | s |", "|---" * 7 + "|"]
    for row in rows:
        bits = "" if row.bits is None else f"{row.bits:.2f}"
        figures = f"{row.mean_kl:.5f} | {row.max_kl:.3f} | {row.top_1:.1%} | {row.seconds:.0f}"
        lines.append(f"| {row.model} | {row.weights} | {bits} | {figures} |")
    lines += ["", f"Against float32, after each of the first {tokens} tokens of README.md and LICENSE, half of each."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="as for qwenchat; may be repeated; default: smollm2")
    parser.add_argument("--tokens", type=int, default=512, help="length of the text; default: %(default)s")
    parser.add_argument("--llama", action="store_true", help="compare llama.cpp too")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "peers", help="environments and files")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    chosen = parser.parse_args()
    chosen.cache = chosen.cache.absolute()
    rows: list[Row] = []

    def report(row: Row) -> None:
        print(f"{row.model}, {row.weights}: KL {row.mean_kl:.5f}, top token {row.top_1:.1%}", file=sys.stderr)
        rows.append(row)

    for name in chosen.model or ["smollm2"]:
        measure(name, chosen, report)
    if chosen.json:
        figures = {"tokens": chosen.tokens, "cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(markdown(rows, chosen.tokens))


if __name__ == "__main__":
    main()
