"""How a worker speaks: one JSON request a line on its input, one JSON reply a line on its output.

Request: {"context": 512, "tokens": 32}: read a fresh prompt of 512 tokens, then generate 32.
Reply: {"prefill_tokens_per_s": ..., "decode_tokens_per_s": ..., "step_bytes": ...}, or {"error": "..."}.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable


class Stopwatch:
    """Times a generation from outside: started with the request, told of every token as it arrives."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.arrivals: list[float] = []

    def token(self) -> None:
        """Notes that a token has arrived."""
        self.arrivals.append(time.perf_counter())

    def rates(self, context: int, tokens: int) -> dict[str, float]:
        """The prefill ends with the first token, and decoding is all that follows; ValueError if tokens are missing."""
        if len(self.arrivals) != tokens:
            raise ValueError(f"{len(self.arrivals)} tokens arrived instead of {tokens}")
        first, last = self.arrivals[0], self.arrivals[-1]
        return {
            "prefill_tokens_per_s": context / (first - self.started),
            "decode_tokens_per_s": (tokens - 1) / (last - first),
        }


def arguments(description: str, variants: list[str]) -> argparse.Namespace:
    """What every worker is told on its command line: the variant to measure, where its files lie, and its limits."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("variant", choices=variants)
    parser.add_argument("--cache", default="build/peers", help="the folder of models and environments")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--longest", type=int, default=8192, help="the longest prompt that will be asked for")
    return parser.parse_args()


def serve(measure: Callable[[int, int], dict[str, float]]) -> None:
    """Answers requests with `measure(context, tokens)` until the input ends.

    Replies go to the real output; whatever the engine prints goes to the error stream instead.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = measure(request["context"], request["tokens"])
        except Exception as fault:  # noqa: BLE001 - whatever befalls one peer, the others go on
            reply = {"error": f"{type(fault).__name__}: {fault}"}
        print(json.dumps(reply), file=replies, flush=True)
