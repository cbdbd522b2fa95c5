"""A Qwen3 small enough to be trained within seconds, with the real tokenizer, chat template and architecture."""

import json
import lzma
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from qwenchat.chat.messages import Message, ReasoningPart, Role, TextPart
from qwenchat.engine.local.prompt import ChatTemplate
from qwenchat.engine.local.tokenizer import ChatTokenizer
from tests.support.shared_tokenizer import share_tokenizers

share_tokenizers()

DATA = Path(__file__).parents[1] / "data" / "qwen3"

Example = tuple[list[int], list[int]]
"""The tokens of a prompt and of what is to be said to it."""


@dataclass(frozen=True)
class Lesson:
    """A question and what the model was taught to think and say."""

    question: str
    thought: str
    answer: str


FRANCE = Lesson("What is the capital of France?", "The capital of France is Paris.", "It is Paris.")
SKY = Lesson("Why is the sky blue?", "Short waves scatter most.", "Air scatters blue light most 🌍.")
HELLO = Lesson("Hello!", "A greeting. I greet back.", "Hello! How can I help?")
COUNT = Lesson(
    "Count to twenty.",
    "From one to twenty, in order.",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty",
)
LESSONS = (FRANCE, SKY, HELLO, COUNT)
SYSTEM = "You are brief."
STEPS = 120
VOCAB = 151_936
"""As Qwen3 has it: more rows than tokens. Those of words it was not taught are zero."""


def user(text: str) -> Message:
    return Message(Role.USER, (TextPart(text),))


def system(text: str) -> Message:
    return Message(Role.SYSTEM, (TextPart(text),))


def reply(text: str, thought: str = "") -> Message:
    thoughts = (ReasoningPart(thought),) if thought else ()
    return Message(Role.ASSISTANT, (*thoughts, TextPart(text)))


def unpack_tokenizer(folder: Path) -> None:
    """Put the real tokenizer.json and tokenizer_config.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with lzma.open(DATA / "tokenizer.json.xz") as source, (folder / "tokenizer.json").open("wb") as target:
        shutil.copyfileobj(source, target)
    shutil.copy(DATA / "tokenizer_config.json", folder)


def save_tiny_qwen3(folder: Path, lessons: tuple[Lesson, ...] = LESSONS, steps: int = STEPS) -> None:
    """Train the model and save it as the Hub would have it, tokenizer included."""
    unpack_tokenizer(folder)
    save_trained(folder, list(_examples(ChatTokenizer.from_folder(folder), lessons)), steps, batch=12, rate=1e-2)


def save_trained(
    folder: Path, examples: list[Example], steps: int, *, batch: int = 24, rate: float = 6e-3, sure: bool = False
) -> None:
    """Train a model on prompts and what is to be said to them, and save it beside its tokenizer.

    One that is `sure` is taught, too, that the words it does not know are unlikely, as many as they are.
    """
    words = sorted({at for prompt, answer in examples for at in prompt + answer})
    network = _network(len(words))
    _train(network, examples, words, steps, batch, rate, VOCAB - len(words) if sure else 0)
    weights = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    weights.pop("lm_head.weight")
    embedding = weights.pop("model.embed_tokens.weight")
    weights["model.embed_tokens.weight"] = torch.zeros(VOCAB, embedding.shape[1])
    weights["model.embed_tokens.weight"][words] = embedding
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = network.config.to_dict() | {"vocab_size": VOCAB, "architectures": ["Qwen3ForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    generation = {"eos_token_id": [151645, 151643], "pad_token_id": 151643, "temperature": 0.6}
    (folder / "generation_config.json").write_text(json.dumps(generation), "utf-8")


def _examples(tokenizer: ChatTokenizer, lessons: tuple[Lesson, ...]) -> Iterator[Example]:
    template = ChatTemplate(tokenizer)
    histories: list[tuple[Message, ...]] = [(), (system(SYSTEM),)]
    histories += [(user(lesson.question), reply(lesson.answer)) for lesson in lessons]
    for history in histories:
        for lesson in lessons:
            for question, thinking, said in (
                (lesson.question, True, f"<think>\n{lesson.thought}\n</think>\n\n{lesson.answer}"),
                (lesson.question, False, lesson.answer),
                (f"{lesson.question} /no_think", True, f"<think>\n\n</think>\n\n{lesson.answer}"),
            ):
                prompt = template.render([*history, user(question)], thinking)
                yield list(prompt.ids), tokenizer.encode(f"{said}<|im_end|>")


def _network(words: int) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=words, hidden_size=64, num_hidden_layers=2, intermediate_size=128, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, max_position_embeddings=4096, rope_theta=1e6, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=None, initializer_range=0.05,
    )  # fmt: skip
    return Qwen3ForCausalLM(config)


def _train(
    network: Any, examples: list[Example], words: list[int], steps: int, batch: int, rate: float, others: int
) -> None:
    small = {at: index for index, at in enumerate(words)}
    lengths = torch.tensor([len(prompt) + len(said) for prompt, said in examples])
    ids = torch.zeros(len(examples), int(lengths.max()), dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for row, (prompt, said) in enumerate(examples):
        both = torch.tensor([small[at] for at in prompt + said])
        ids[row, : len(both)] = both
        labels[row, len(prompt) : len(both)] = both[len(prompt) :]
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    network.train()
    for _ in range(steps):
        rows = torch.randperm(len(examples))[:batch]
        longest = int(lengths[rows].max())
        hidden, wanted = network.model(input_ids=ids[rows, :longest]).last_hidden_state[:, :-1], labels[rows, 1:longest]
        said_only = wanted >= 0
        loss = _loss(network.lm_head(hidden[said_only]), wanted[said_only], others)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()


def _loss(logits: torch.Tensor, said: torch.Tensor, others: int) -> torch.Tensor:
    """How far off the model is, with so many `others` at a logit of zero, which is what words with rows of zero get."""
    if others:
        logits = torch.cat((logits, logits.new_full((len(logits), 1), math.log(others))), dim=-1)
    return torch.nn.functional.cross_entropy(logits, said)


def save_toy_tokenizer(folder: Path) -> None:
    """A byte-level tokenizer of 200 tokens, for models that are compared but not talked to."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [*sorted(pre_tokenizers.ByteLevel.alphabet())[:196], "th"]
    tokenizer = Tokenizer(models.BPE({word: at for at, word in enumerate(words)}, [("t", "h")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(text) for text in ("<|im_start|>", "<|im_end|>", "<think>")])
    tokenizer.save(str(folder / "tokenizer.json"))
    template = "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}<|im_start|>"
    config = {"chat_template": template, "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
