"""Measures `generate` of transformers on the CPU: python -m benchmarks.transformers_worker bfloat16|float32."""

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.generation.streamers import BaseStreamer

from benchmarks.protocol import Stopwatch, arguments, serve
from benchmarks.shape import QWEN3_06B, fresh_ids, kv_bytes


class Listener(BaseStreamer):
    """Tells the stopwatch of every token; `generate` hands over the prompt first."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch
        self.prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        """Takes the prompt, then one token at a time."""
        if self.prompt_seen:
            self.watch.token()
        self.prompt_seen = True

    def end(self) -> None:
        """The stopwatch counts tokens: the end is no news."""


def main() -> None:
    options = arguments(__doc__, ["bfloat16", "float32"])
    torch.set_num_threads(options.threads)
    torch.set_default_dtype(getattr(torch, options.variant))
    model = Qwen3ForCausalLM(Qwen3Config(**QWEN3_06B)).eval()
    bits = torch.get_default_dtype().itemsize * 8
    weights = sum(weight.nbytes for weight in model.parameters())

    def measure(context: int, tokens: int) -> dict[str, float]:
        ids = torch.tensor([fresh_ids(context)])
        mask = torch.ones_like(ids)
        length = {"min_new_tokens": tokens, "max_new_tokens": tokens}
        watch = Stopwatch()
        model.generate(ids, attention_mask=mask, do_sample=False, streamer=Listener(watch), **length)
        return watch.rates(context, tokens) | {"step_bytes": weights + context * kv_bytes(bits)}

    serve(measure)


if __name__ == "__main__":
    main()
