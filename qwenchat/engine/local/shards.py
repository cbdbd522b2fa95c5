"""The safetensors files that make up a model in a folder."""

from pathlib import Path

from qwenchat.chat.errors import ModelDamaged, ModelError, ModelNotFound, ModelUnsupported
from qwenchat.engine.local.tokenizer import read_json
from qwenchat.i18n.texts import say

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


def shards(folder: Path) -> list[Path]:
    """The files with the weights, of which some may be missing.

    Raises ModelNotFound when there are none, ModelUnsupported when there are only pickles, and ModelDamaged.
    """
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = read_json(index).get("weight_map")
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise ModelDamaged(say("{index} has no weight_map.", index=index), say("Download it again."))
        files = sorted(set(names.values()))
        if any(Path(file).name != file for file in files):
            raise ModelDamaged(
                say("{index} names files that are not beside it.", index=index), say("Download it again.")
            )
        return [folder / file for file in files]
    whole = folder / "model.safetensors"
    files = [whole] if whole.exists() else sorted(folder.glob("*.safetensors"))
    if not files:
        if any(file for kind in _PICKLES for file in folder.glob(kind)):
            raise ModelUnsupported(
                say("{folder} holds only pickled weights, which can run code when opened.", folder=folder),
                say("Convert them to safetensors."),
            )
        raise ModelNotFound(
            say("{folder} holds no weights.", folder=folder), say("Download the model again: it needs *.safetensors.")
        )
    return files


def is_complete(folder: Path) -> bool:
    """Whether the folder has all files that loading needs."""
    try:
        files = shards(folder)
    except ModelError:
        return False
    return all(file.exists() for file in (folder / "config.json", folder / "tokenizer.json", *files))
