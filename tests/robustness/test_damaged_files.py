"""Whatever a file holds, it is read or refused in words, in bounded time and memory: 300 of each in `make test-slow`.

Each subject is opened in a process of its own (`tests/support/damage.py`), so that one that dies is seen too.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.damage import SUBJECTS
from tests.support.gguf_writer import write_gguf

ROOT = Path(__file__).parents[2]
CHATGPT = ROOT / "tests" / "data" / "chatgpt" / "conversations.json"
CONFIG = """model = "qwen3-0.6b"
system = "Be brief."
[sampling]
temperature = 0.6
top_k = 20
[servers.box]
url = "http://localhost:8000/v1"
[keys]
"chat.search" = "ctrl+f"
[tools]
allowed = ["calculator"]
"""
PRESET = 'about = "Brief"\nsystem = "Be brief."\n[sampling]\ntemperature = 0.2\n'
PROMPTS = '{"prompt": "Hi", "id": 1}\n"Why?"\n{"messages": [{"role": "user", "content": "Hello"}]}\n' * 5


def sound(subject: str, folder: Path, tiny_qwen3: Path, toy_tokenizer_folder: Path) -> Path:
    """A sound file of that kind, which may be written to."""
    match subject:
        case "gguf" | "gguf-header":
            return write_gguf(tiny_qwen3, folder / "tiny.gguf", tokenizer=toy_tokenizer_folder)
        case "safetensors" | "tokenizer" | "model-config":
            for file in tiny_qwen3.iterdir():
                shutil.copy(file, folder)
            if subject != "tokenizer":  # the real one takes a second to read
                for file in toy_tokenizer_folder.iterdir():
                    shutil.copy(file, folder)
            names = {"safetensors": "model.safetensors", "tokenizer": "tokenizer.json", "model-config": "config.json"}
            return folder / names[subject]
        case "import":
            return Path(shutil.copy(CHATGPT, folder))
        case "zip":
            with zipfile.ZipFile(folder / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(CHATGPT, "conversations.json")
            return folder / "export.zip"
        case "theme":
            return Path(shutil.copy(ROOT / "themes" / "paper.toml", folder))
        case _:
            written = {"config": ("config.toml", CONFIG), "preset": ("mine.toml", PRESET)}
            name, text = written.get(subject, ("prompts.jsonl", PROMPTS))
            (folder / name).write_text(text)
            return folder / name


def opened(subject: str, file: Path, seed: int, count: int) -> dict[str, object]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.damage", subject, str(file), str(seed), str(count)],
        cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    result: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return result


@pytest.mark.slow
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_damaged_file_is_read_or_refused_in_words(
    subject: str, tiny_qwen3: Path, toy_tokenizer_folder: Path, tmp_path: Path
) -> None:
    result = opened(subject, sound(subject, tmp_path, tiny_qwen3, toy_tokenizer_folder), seed=1, count=300)
    print(f"{subject}: {result['opened']} read, {result['refused']} refused")
    assert not result["wrong"]


@pytest.mark.parametrize("subject", ["import", "zip", "config", "preset", "theme", "prompts"])
def test_a_few_damaged_files_are_read_or_refused_in_words(
    subject: str, tiny_qwen3: Path, toy_tokenizer_folder: Path, tmp_path: Path
) -> None:
    from tests.support import damage

    result = damage.main(subject, sound(subject, tmp_path, tiny_qwen3, toy_tokenizer_folder), 2, 10)
    assert not result["wrong"]
