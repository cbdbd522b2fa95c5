"""The peers' own Python environments, made where they are missing, with the versions the figures were taken with."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Environment:
    """Packages that one peer needs, and any that come along with them and must go."""

    name: str
    requirements: tuple[str, ...]
    unwanted: tuple[str, ...] = ()

    def python(self, cache: Path) -> str:
        """The interpreter of this environment below `cache`, made and filled if need be."""
        home = cache / f"{self.name}-env"
        python = str(home / "bin" / "python")
        wanted = "\n".join([*self.requirements, *(f"# without {name}" for name in self.unwanted)]) + "\n"
        made_of = home / "requirements.txt"
        if made_of.exists() and made_of.read_text() == wanted:
            return python
        print(f"making {home}", file=sys.stderr)
        if not home.exists():
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", *self.requirements], check=True)
        if self.unwanted:
            subprocess.run([*pip, "uninstall", "--yes", *self.unwanted], check=True)
        made_of.write_text(wanted)
        return python


LLAMA = Environment("llama", ("xllamacpp==2026.10.11549", "gguf==0.19.0", "numpy==2.4.6"))
OPENVINO = Environment("openvino", ("openvino-genai==2026.4.1.0", "openvino==2026.4.1", "numpy==2.4.6"))
EXPORT = Environment(
    "export",
    ("torch==2.13.0", "optimum-intel[openvino]==2.2.0", "nncf==3.4.0", "openvino==2026.4.1", "transformers==5.5.4"),
    # optimum-intel asks for it, text does not, and a build for another kind of torch breaks every import.
    unwanted=("torchvision",),
)


def run_module(python: str, *arguments: str) -> None:
    """Runs a module of this folder to its end; CalledProcessError if it fails."""
    subprocess.run([python, "-m", *arguments], cwd=ROOT, check=True)
