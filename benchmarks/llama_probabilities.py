"""What llama.cpp expects after each token of a text: python -m benchmarks.llama_probabilities MODEL IDS OUT THREADS.

IDS is a JSON list of token ids. OUT becomes an .npz with `ids` and `logprobs` [tokens, COUNT], likeliest first.
"""

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.llama_worker import load

COUNT = 1000
"""Tokens whose probability is asked for; the rest share what is left."""


def main() -> None:
    model, text, out, threads = sys.argv[1:]
    read = json.loads(Path(text).read_text())
    server = load(Path(model), int(threads), len(read))
    ids, logprobs = np.zeros((2, len(read), COUNT))
    for at in range(len(read)):
        replies: list[dict] = []
        # With the prompt's cache kept, each request reads one token more than the last.
        request = {"prompt": read[: at + 1], "n_predict": 1, "temperature": 0, "logprobs": COUNT, "stream": False}
        server.handle_completions(request | {"cache_prompt": True}, replies.append)
        likely = replies[-1]["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        ids[at] = [entry["id"] for entry in likely]
        logprobs[at] = [entry["logprob"] for entry in likely]
    np.savez(out, ids=ids.astype(np.int64), logprobs=logprobs)


if __name__ == "__main__":
    main()
