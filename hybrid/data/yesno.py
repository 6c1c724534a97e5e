"""yesno (OpenSLR SLR1): 60 recordings, each of eight words YES or NO that its file name spells."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hybrid.base.errors import InputError
from hybrid.data.sets import require_folder, write_set
from hybrid.data.utterance import Utterance

__all__ = ["prepare"]

NAME = re.compile(r"[01](_[01]){7}\Z")
CURE = "Get it with `hybrid data download yesno --out-dir download`."


def prepare(corpus_dir: str | os.PathLike, out_dir: str | os.PathLike) -> dict[str, int]:
    """Makes the sets `train` and `test`: alternate files in the order of their names, as lhotse's recipe does.

    Args:
      corpus_dir: the folder of `0_1_….wav` files, or one that holds it as `waves_yesno`.

    Returns:
      Set name → utterances.

    Raises:
      InputError: no such files there.
    """
    folder = require_folder(corpus_dir, "the wav files of yesno", CURE)
    folder = folder / "waves_yesno" if (folder / "waves_yesno").is_dir() else folder
    files = sorted(path for path in folder.glob("*.wav") if NAME.fullmatch(path.stem))
    if not files:
        raise InputError.at(folder, "holds no files named like 0_1_1_0_0_1_0_1.wav", CURE)
    items = [
        Utterance(
            path.stem, path, "yesno", " ".join(("NO", "YES")[int(d)] for d in path.stem.split("_")), language="Hebrew"
        )
        for path in files
    ]
    settings = {"corpus": "yesno"}
    return {
        name: write_set(part, Path(out_dir) / name, f"yesno {name}", settings)
        for name, part in (("train", items[::2]), ("test", items[1::2]))
    }
