"""Measures llama.cpp through its own server, in this process: python -m benchmarks.llama_worker q8_0|q4_0|q4_k_m."""

from pathlib import Path

import xllamacpp

from benchmarks.protocol import Stopwatch, arguments, serve
from benchmarks.shape import fresh_ids, kv_bytes


def load(model: Path, threads: int, longest: int) -> xllamacpp.Server:
    """llama.cpp's own defaults (half-float cache, flash attention as it sees fit), without what only a server wants."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx = longest + 512
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.fit_params = False
    params.cache_ram_mib = 0
    params.n_ctx_checkpoints = 0
    return xllamacpp.Server(params)


def main() -> None:
    options = arguments(__doc__, ["q8_0", "q4_0", "q4_k_m"])
    model = Path(options.cache) / f"{options.variant}.gguf"
    server = load(model, options.threads, options.longest)

    def measure(context: int, tokens: int) -> dict[str, float]:
        request = {
            "prompt": fresh_ids(context),
            "n_predict": tokens,
            "stream": True,
            "cache_prompt": False,
            "ignore_eos": True,
            "temperature": 0,
        }
        watch = Stopwatch()
        # Every token of this vocabulary has a text, so a chunk with text is a token; the last chunk has none.
        server.handle_completions(request, lambda chunk: watch.token() if chunk["choices"][0]["text"] else None)
        return watch.rates(context, tokens) | {"step_bytes": model.stat().st_size + context * kv_bytes()}

    serve(measure)


if __name__ == "__main__":
    main()
