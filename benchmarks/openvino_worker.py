"""Measures OpenVINO GenAI: python -m benchmarks.openvino_worker int4|int8."""

from pathlib import Path

import numpy as np
import openvino_genai
from openvino import Tensor

from benchmarks.protocol import Stopwatch, arguments, serve
from benchmarks.shape import fresh_ids, kv_bytes


class Listener(openvino_genai.StreamerBase):
    """Tells the stopwatch of every token."""

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__()
        self.watch = watch

    def write(self, token: int | list[int]) -> openvino_genai.StreamingStatus:
        """Takes one token, or several that came at once."""
        for _ in token if isinstance(token, list) else [token]:
            self.watch.token()
        return openvino_genai.StreamingStatus.RUNNING

    def end(self) -> None:
        """The stopwatch counts tokens: the end is no news."""


def main() -> None:
    options = arguments(__doc__, ["int4", "int8"])
    folder = Path(options.cache) / f"openvino-{options.variant}"
    pipeline = openvino_genai.LLMPipeline(folder, "CPU", INFERENCE_NUM_THREADS=options.threads)
    weights = (folder / "openvino_model.bin").stat().st_size

    # Its cache holds a byte a value, and a scale and a zero point for each 128 of them.
    def measure(context: int, tokens: int) -> dict[str, float]:
        ids = np.array([fresh_ids(context)], np.int64)
        prompt = openvino_genai.TokenizedInputs(Tensor(ids), Tensor(np.ones_like(ids)))
        watch = Stopwatch()
        pipeline.generate(
            prompt,
            streamer=Listener(watch),
            max_new_tokens=tokens,
            ignore_eos=True,
            do_sample=False,
            apply_chat_template=False,
        )
        return watch.rates(context, tokens) | {"step_bytes": weights + context * kv_bytes(8.5)}

    serve(measure)


if __name__ == "__main__":
    main()
