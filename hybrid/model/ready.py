"""Ready models: trained by the recipes of this repository, committed, and called by name (`--model en-small`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["LEXICON", "model_folder", "ready_models"]

LEXICON = "lexicon.txt"  # beside a ready model: pronunciations of common words, for graphs of one's own
_REPOSITORY = Path(__file__).parents[2] / "egs" / "librispeech" / "pretrained"
_INSTALLED = Path(sys.prefix) / "share" / "hybrid" / "pretrained"  # data_files of setup.cfg


def ready_models(roots: tuple[Path, ...] = (_REPOSITORY, _INSTALLED)) -> dict[str, Path]:
    """Returns the folders of the ready models by name."""
    found = {}
    for root in reversed(roots):
        for meta in sorted(root.glob("*/meta.json")):
            found[meta.parent.name] = meta.parent
    return found


def model_folder(name: str | os.PathLike) -> Path:
    """Returns a model's folder: the path given, or a ready model's where nothing stands at that path."""
    path = Path(name)
    if os.sep in os.fspath(name) or path.exists():
        return path
    return ready_models().get(os.fspath(name), path)
